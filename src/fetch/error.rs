//! Why a file could not be fetched.

use std::fmt::Write;
use std::io;

use crate::digest::Digest;
use crate::source::SourceError;
use crate::store::StoreError;

/// Why a fetch failed. URLs are shown without their query, which often holds a signature, and never with credentials.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The spec is wrong.
    #[error("`fetch` needs at least one URL")]
    NoUrls,
    /// The spec is wrong.
    #[error("URL `{url}` {reason}")]
    Url { url: String, reason: String },
    /// The spec is wrong.
    #[error("`{name}` cannot be the name of a fetched file")]
    Name { name: String },
    #[error("{digest} is not in the store, and fetching it from {url} needs the network")]
    Offline { digest: Digest, url: String },
    /// Each URL, in the order tried, with its failure.
    #[error("cannot fetch {digest}:{}", listed(.failures))]
    Failed { digest: Digest, failures: Vec<(String, Failure)> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot read the fetched file {digest} back from the store")]
    ReadBack { digest: Digest, source: io::Error },
}

/// Why one URL gave no file.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("wrong digest: expected {expected}, found {found}")]
    WrongDigest { expected: Digest, found: Digest },
    #[error("the server answered with status {0}")]
    Status(u16),
    #[error("no answer within the time allowed ({0})")]
    Timeout(&'static str),
    #[error("{0}")]
    Transport(String),
    #[error("more than {0} redirects")]
    TooManyRedirects(u32),
    #[error("redirect to `{url}`: {reason}")]
    Redirect { url: String, reason: String },
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    #[error(transparent)]
    Source(SourceError),
    #[error("cannot read it: {0}")]
    Read(io::Error),
}

impl FetchError {
    /// What a person can do about it, if that is more than the message says.
    pub fn help(&self) -> Option<String> {
        match self {
            FetchError::NoUrls => Some("give one in `urls`, as in `urls = [\"https://example.com/file.tar.gz\"]`".into()),
            FetchError::Url { .. } => Some(
                "URLs begin with `https://`, `http://`, or `file://` and a path relative to the package, and hold no \
                 user name or password"
                    .into(),
            ),
            FetchError::Name { .. } => Some("set `name` to a plain file name".into()),
            FetchError::Offline { .. } => Some("run once with network: the store keeps what was fetched".into()),
            FetchError::Failed { failures, .. } => failures.iter().find_map(|(url, failure)| match failure {
                Failure::WrongDigest { found, .. } => Some(format!(
                    "the file at {url} is not the one that the spec names; if it was changed on purpose, and you trust \
                     it, set `sha256 = \"{}\"`",
                    found.hex()
                )),
                _ => None,
            }),
            FetchError::Store(_) | FetchError::ReadBack { .. } => None,
        }
    }

    /// True if the spec is wrong, whatever the network does.
    pub fn is_spec_error(&self) -> bool {
        matches!(self, FetchError::NoUrls | FetchError::Url { .. } | FetchError::Name { .. })
    }
}

fn listed(failures: &[(String, Failure)]) -> String {
    failures.iter().fold(String::new(), |mut text, (url, failure)| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {url}: {failure}");
        text
    })
}
