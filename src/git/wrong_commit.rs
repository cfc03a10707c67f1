//! A ref that stands for another commit than it has to.

use crate::diagnostic::Diagnostic;

use super::{ObjectId, RefName, RepositoryUrl};

/// Both commits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is the commit {found}, and not {expected}")]
pub struct WrongCommit {
    /// The repository's own name, and the ref.
    name: String,
    found: ObjectId,
    expected: ObjectId,
}

impl WrongCommit {
    /// Nothing, if the ref `name` of `url` may stand for the commit `found`.
    ///
    /// # Errors
    /// It has to be `expected`.
    pub fn check(
        url: &RepositoryUrl,
        name: &RefName,
        expected: Option<&ObjectId>,
        found: &ObjectId,
    ) -> Result<(), WrongCommit> {
        match expected {
            Some(expected) if expected != found => {
                let name = format!("{}#{name}", url.title());
                Err(WrongCommit { name, found: found.clone(), expected: expected.clone() })
            }
            _ => Ok(()),
        }
    }
}

impl From<WrongCommit> for Diagnostic {
    fn from(error: WrongCommit) -> Self {
        Diagnostic::failure(error.to_string()).label(format!("has to be {}", error.expected))
    }
}
