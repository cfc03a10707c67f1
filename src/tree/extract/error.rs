//! Why a tree could not be written to disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::path::ImagePath;

/// Why an extraction failed; nothing of it is left on disk.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    #[error("`{}` {reason}; choose a new or empty directory", path.display())]
    InUse { path: PathBuf, reason: &'static str },
    #[error("cannot {action} `{}`", path.display())]
    Host { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {action} `{path}` of the image")]
    Entry { action: &'static str, path: ImagePath, source: io::Error },
    #[error("the content of `{path}` is not what its digest says")]
    Content { path: ImagePath },
}

impl ExtractError {
    /// Makes an error of one about a path of this machine.
    pub(super) fn host(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ExtractError {
        move |source| ExtractError::Host { action, path: path.to_owned(), source }
    }

    /// Makes an error of one about an entry.
    pub(super) fn entry<E: Into<io::Error>>(action: &'static str, path: &ImagePath) -> impl Fn(E) -> ExtractError {
        move |source| ExtractError::Entry { action, path: path.clone(), source: source.into() }
    }
}
