//! What can go wrong between a server and its client.

use std::time::Duration;

use super::message::{Request, Response};

/// Something that goes wrong with the requests of one method whose path, with the query, has a certain part.
///
/// An answer 401 is left alone, so that what follows it is struck, unless the fault is of the challenge itself.
pub struct Fault {
    method: &'static str,
    path: String,
    skip: usize,
    times: usize,
    what: What,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum What {
    /// The connection ends after so many bytes of the answer's body.
    Cut { after: u64 },
    /// The connection ends after so many bytes of the request's body, which the server has then seen; it doesn't answer.
    CutRequest { after: u64 },
    /// The request is read and never answered.
    Silent,
    /// A pause before each byte of the body.
    Slow { pause: Duration },
    /// No length, and a body that doesn't end.
    Endless,
    /// `Content-Length` says this; the body is whole, and the connection ends after it.
    Length(u64),
    /// One byte of the body is another.
    Flip { at: usize },
    /// The answer has this header, in place of its own of that name.
    Header(&'static str, String),
    /// 307 to the same path below `http://HOST` or `https://HOST`.
    Redirect(String),
    /// This instead of what the server would have said; the request has no effect.
    Answer(Response),
}

impl Fault {
    /// At every request of the method (each, when empty) whose path contains `path`.
    pub fn new(method: &'static str, path: &str, what: What) -> Self {
        Fault { method, path: path.to_owned(), skip: 0, times: usize::MAX, what }
    }

    /// Only so many times.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Not at the first so many requests.
    pub fn skip(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// What happens to this request, of which `refused` says that it gets a challenge.
    pub(super) fn strikes(&mut self, request: &Request, refused: bool) -> Option<What> {
        let meant = self.method.is_empty() || self.method == request.method;
        if !meant || !request.target.contains(&self.path) || refused != self.what.is_of_challenge() || self.times == 0 {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.what.clone())
    }
}

impl What {
    /// 429 with the seconds after which to come again.
    pub fn too_many_requests(retry_after: u64) -> Self {
        What::Answer(
            Response::error(429, "TOOMANYREQUESTS", "slow down").header("Retry-After", &retry_after.to_string()),
        )
    }

    /// 503 with the seconds after which to come again.
    pub fn unavailable(retry_after: u64) -> Self {
        What::Answer(Response::new(503).header("Retry-After", &retry_after.to_string()))
    }

    fn is_of_challenge(&self) -> bool {
        matches!(self, What::Header(name, _) if name.eq_ignore_ascii_case("www-authenticate"))
    }
}
