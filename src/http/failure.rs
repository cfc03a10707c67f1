//! What of a server's failures is worth another attempt, and when.

use std::io;
use std::time::Duration;

use ureq::http::header::RETRY_AFTER;
use ureq::http::{Response, StatusCode};
use ureq::{Body, Timeout};

/// Why an exchange failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    #[error("the server answered {}", status(*.0))]
    Status(u16),
    #[error("{0} took too long")]
    Timeout(&'static str),
    #[error("{0}")]
    Transport(String),
    #[error("more than {0} redirects")]
    TooManyRedirects(u32),
    #[error("redirect to `{url}`: {reason}")]
    Redirect { url: String, reason: &'static str },
}

/// Whether another attempt may mend a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    Never,
    Soon,
    /// After the pause that the server asked for.
    After(Duration),
}

/// A failure, and whether another attempt may mend it.
#[derive(Debug)]
pub struct Refusal {
    pub failure: Failure,
    pub again: Again,
}

impl Refusal {
    /// A failure that comes back however often it is tried.
    pub fn lasting(failure: Failure) -> Self {
        Refusal { failure, again: Again::Never }
    }

    /// What a response of a status that is no success means.
    pub fn of_status(response: &Response<Body>) -> Self {
        let failure = Failure::Status(response.status().as_u16());
        Refusal { failure, again: again(response) }
    }
}

/// Whether a request that was answered so may be answered otherwise later.
pub fn again(response: &Response<Body>) -> Again {
    let status = response.status();
    if !status.is_server_error() && !matches!(status.as_u16(), 408 | 429) {
        return Again::Never;
    }
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    asked.map_or(Again::Soon, |seconds| Again::After(Duration::from_secs(seconds)))
}

/// What an error of the transport means. Connections that were refused or cut are worth another attempt; a server that
/// was silent for as long as it may be has had its chance.
impl From<ureq::Error> for Refusal {
    fn from(error: ureq::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof};
        Refusal::lasting(match error {
            ureq::Error::Timeout(timeout) => Failure::Timeout(match timeout {
                Timeout::Resolve => "resolving the name",
                Timeout::Connect => "connecting",
                Timeout::SendRequest | Timeout::PerWrite => "sending the request",
                Timeout::RecvResponse => "waiting for the response",
                Timeout::PerRead => "waiting for data",
                _ => "the transfer",
            }),
            ureq::Error::Io(error) => {
                let cut = matches!(
                    error.kind(),
                    ConnectionRefused | ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof
                );
                let again = if cut { Again::Soon } else { Again::Never };
                return Refusal { failure: Failure::Transport(error.to_string()), again };
            }
            ureq::Error::HostNotFound => Failure::Transport("no such host".into()),
            ureq::Error::Other(error) => Failure::Transport(error.to_string()),
            // An error may quote the URL that ureq was given; ours is shown beside it, without its query.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Failure::Transport("the URL is malformed".into()),
            error => Failure::Transport(error.to_string()),
        })
    }
}

/// A failed read of a body.
impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        ureq::Error::from(error).into()
    }
}

fn status(code: u16) -> String {
    let reason = StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason());
    format!("{code} {}", reason.unwrap_or_default()).trim_end().to_owned()
}
