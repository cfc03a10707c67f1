//! What can be wrong with a file of the workspace.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::diagnostic::Diagnostic;

/// Why something of the workspace cannot be read. Paths are relative to the workspace's root.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("no workspace holds `{start}`")]
    NoWorkspace { start: String },
    #[error("`{path}` is not in the workspace at `{root}`")]
    Elsewhere { path: String, root: String },
    #[error("`{path}` does not exist")]
    NotFound { path: String },
    #[error("`{path}` leads out of the workspace through a symbolic link")]
    Outside { path: String },
    #[error("`{path}` is a loop of symbolic links")]
    Loop { path: String },
    #[error("`{path}` is a {kind}, not a file")]
    NotAFile { path: String, kind: &'static str },
    #[error("`{path}` is not a directory")]
    NotADirectory { path: String },
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge { path: String, limit: u64 },
    #[error("`{path}` is not UTF-8 text: line {line} has a byte that is none")]
    NotText { path: String, line: usize },
    #[error("pattern `{pattern}` {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("the name of `{path}` {reason}")]
    Name { path: String, reason: &'static str },
    #[error("`{path}` is a {kind}, which no layer can hold")]
    Special { path: String, kind: &'static str },
    #[error("`{path}` changed while it was being read, {attempts} times in a row")]
    Changed { path: String, attempts: u32 },
    #[error("cannot read `{path}`")]
    Io { path: String, source: io::Error },
}

impl SourceError {
    /// What a person can do about it, if that is more than the message says.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            SourceError::NoWorkspace { .. } => {
                "create a file `ocify.toml` (it may be empty) in the directory that is to be the workspace's root"
            }
            SourceError::Elsewhere { .. } => "run ocify inside the workspace whose targets you name",
            SourceError::NotFound { .. } => "paths are relative to the package's directory",
            SourceError::Outside { .. } => {
                "a build sees only the workspace: replace the link by what it leads to; links must also be relative"
            }
            SourceError::TooLarge { .. } => "spec files are text that people write: is this the right file?",
            SourceError::NotText { .. } => "save the file as UTF-8",
            SourceError::Pattern { .. } => {
                "`*` matches within one directory, `**` between slashes any directories, as in `src/**/*.py`"
            }
            SourceError::Name { .. } => "rename the file, exclude it, or name the directory that holds it",
            SourceError::Special { .. } => "move it out of the directory, or select files with `glob`",
            SourceError::Changed { .. } => "stop what writes to it, then build again",
            _ => return None,
        })
    }

    /// The error for what the kernel said about `path`.
    pub(super) fn from_errno(path: &Path, errno: Errno) -> Self {
        let path = shown(path);
        match errno {
            Errno::NOENT => SourceError::NotFound { path },
            Errno::XDEV => SourceError::Outside { path },
            Errno::LOOP => SourceError::Loop { path },
            Errno::NOTDIR => SourceError::NotADirectory { path },
            errno => SourceError::Io { path, source: errno.into() },
        }
    }
}

impl From<SourceError> for Diagnostic {
    fn from(error: SourceError) -> Self {
        let diagnostic = match &error {
            SourceError::Changed { .. } | SourceError::Io { .. } => Diagnostic::failure(error.to_string()),
            _ => Diagnostic::spec(error.to_string()),
        };
        let diagnostic = match error.help() {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        };
        match error {
            SourceError::Io { source, .. } => diagnostic.caused_by(source),
            _ => diagnostic,
        }
    }
}

/// A path as messages show it; the workspace's root is `.`.
pub(super) fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() { ".".into() } else { path.display().to_string() }
}
