//! Why a file could not be fetched.

use std::error::Error;
use std::fmt::Write;
use std::io;

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::http;
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
    /// Each URL, in the order tried, with its failure.
    #[error("cannot fetch {digest}:{}", listed(.failures))]
    Failed { digest: Digest, failures: Vec<(String, Failure)> },
    /// No URL gave a file. Each, in the order tried, with its failure.
    #[error("cannot fetch `{name}`:{}", listed(.failures))]
    Nowhere { name: String, failures: Vec<(String, Failure)> },
    #[error("cannot use the store")]
    Store(#[from] StoreError),
    #[error("cannot write to the store")]
    Write { source: io::Error },
    #[error("{digest} was fetched, but left the store or was damaged before it could be read")]
    Vanished { digest: Digest },
}

/// Why one URL gave no file.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("wrong digest: expected {expected}, found {found}")]
    WrongDigest { expected: Digest, found: Digest },
    #[error(transparent)]
    Http(http::Failure),
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("{}", with_cause(.0))]
    Source(SourceError),
    #[error("it is not in the store, and without network it cannot be asked for")]
    Offline,
}

impl FetchError {
    /// What a person can do about it, if that is more than the message says.
    pub fn help(&self) -> Option<String> {
        match self {
            FetchError::NoUrls => {
                Some("give one in `urls`, as in `urls = [\"https://example.com/file.tar.gz\"]`".into())
            }
            FetchError::Url { .. } => Some(
                "URLs begin with `https://`, `http://`, or `file://` and a path relative to the package, and hold no \
                 user name or password"
                    .into(),
            ),
            FetchError::Failed { failures, .. } | FetchError::Nowhere { failures, .. } => failures.iter().find_map(|(url, failure)| match failure {
                Failure::WrongDigest { found, .. } => Some(format!(
                    "the file at {url} is not the one that the spec or the lock names; if it was changed on purpose, and \
                     you trust it, set `sha256 = \"{}\"`, or run `ocify update` where the lock pins it",
                    found.hex()
                )),
                Failure::Offline => Some("run once with network: the store keeps what was fetched".into()),
                Failure::Source(error) => error.help().map(str::to_owned),
                _ => None,
            }),
            FetchError::Store(_) | FetchError::Write { .. } | FetchError::Vanished { .. } => None,
        }
    }

    /// True if the spec is wrong, whatever the network does.
    pub fn is_spec_error(&self) -> bool {
        matches!(self, FetchError::NoUrls | FetchError::Url { .. })
    }
}

impl From<FetchError> for Diagnostic {
    fn from(error: FetchError) -> Self {
        let message = error.to_string();
        let diagnostic = if error.is_spec_error() { Diagnostic::spec(message) } else { Diagnostic::failure(message) };
        let diagnostic = match error.help() {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        };
        match error {
            FetchError::Store(error) => diagnostic.caused_by(error),
            FetchError::Write { source } => diagnostic.caused_by(source),
            _ => diagnostic,
        }
    }
}

fn listed(failures: &[(String, Failure)]) -> String {
    failures.iter().fold(String::new(), |mut text, (url, failure)| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {url}: {failure}");
        text
    })
}

/// The error in one line with what is below it: in the list of failures there is no other place for that.
fn with_cause(error: &SourceError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
