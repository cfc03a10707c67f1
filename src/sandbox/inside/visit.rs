//! Visitors, who run a program of their own in the step's root.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::super::error::Stage;
use super::super::passing::{give, take};
use super::super::request::{Ending, Message, Request, Visiting};
use super::init::watch;
use super::recorder::Journal;
use super::streams::Streams;
use super::{Channel, Failure, In};

/// A person may stay as long as they like, as far as clocks go.
const LONG: Duration = Duration::from_secs(u32::MAX as u64);

/// Tells that the step failed; a visitor may then see how it left its root.
pub(super) fn after_failure(
    request: &Request,
    ending: Ending,
    journal: Journal,
    channel: &mut Channel,
) -> Result<(), Failure> {
    channel.send(&Message::Ended(ending)).during(Stage::Changes)?;
    match request.desk {
        true => admit(request, journal, channel),
        false => Ok(()),
    }
}

/// Waits at the desk, runs what the visitor wants, and tells how it ended.
pub(super) fn admit(request: &Request, journal: Journal, channel: &mut Channel) -> Result<(), Failure> {
    channel.flush().during(Stage::Request)?;
    let mut desk = UnixStream::from(io::stdout().as_fd().try_clone_to_owned().during(Stage::Request)?);
    let Some((_, descriptors)) = take(&desk).during(Stage::Request)? else { return Ok(()) };
    let mut text = Vec::new();
    desk.read_to_end(&mut text).during(Stage::Request)?;
    let Visiting { command, window } =
        serde_json::from_slice(&text).map_err(io::Error::other).during(Stage::Request)?;
    let streams = match (window, <[OwnedFd; 3]>::try_from(descriptors)) {
        (Some(window), _) => {
            let (near, streams) = Streams::terminal(window).during(Stage::Devices)?;
            give(&desk, b'T', &[near.as_fd()]).during(Stage::Devices)?;
            streams
        }
        (None, Ok(descriptors)) => Streams::given(descriptors),
        (None, Err(_)) => {
            return Err(Failure { stage: Stage::Request, error: io::Error::from_raw_os_error(libc::EINVAL) });
        }
    };
    let (ending, _) = watch(request, &command, streams, LONG, journal)?;
    channel.send(&Message::Ended(ending)).during(Stage::Changes)
}
