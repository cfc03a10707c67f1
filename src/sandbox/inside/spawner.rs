//! The process that forks for each helper: see [`spawner`](super::super::spawner).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::process::{PidfdFlags, fchdir, getpid, getppid, pidfd_open};

use super::super::kernel;
use super::super::passing::{give, take};
use super::die_with_parent;
use super::streams::Streams;

/// Forks for each message at stdin, with the descriptors that come with it; true in the new processes, and false when nothing
/// more comes.
pub(super) fn serve() -> io::Result<bool> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // What a person types at the terminal is for the build.
    rustix::process::setsid()?;
    kernel::ignore_children();
    let spawner = getpid();
    while let Some((_, descriptors)) = take(&socket)? {
        let descriptors = <[OwnedFd; 4]>::try_from(descriptors);
        let [stdin, stdout, stderr, place] = descriptors.map_err(|_| io::ErrorKind::InvalidData)?;
        let forked = match kernel::fork() {
            Ok(None) => {
                die_with_parent()?;
                // It died before.
                if getppid() != Some(spawner) {
                    return Ok(false);
                }
                kernel::await_children();
                Streams::given([stdin, stdout, stderr]).take()?;
                fchdir(place)?;
                return Ok(true);
            }
            Ok(Some(helper)) => pidfd_open(helper, PidfdFlags::empty()).map_err(io::Error::from),
            Err(error) => Err(error),
        };
        match forked {
            Ok(process) => give(&socket, 0, &[process.as_fd()])?,
            Err(error) => give(&socket, error.raw_os_error().unwrap_or(libc::EIO) as u8, &[])?,
        }
    }
    Ok(false)
}
