//! Why the files of a commit could not be had.

use std::io;

use crate::archive::write::EncodeError;
use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::git::{ObjectId, RemoteRef};
use crate::source::SourceError;
use crate::store::StoreError;

/// Why there is no tar of a commit. What git says is in one line, without anything that would steer a terminal.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("the program `git` cannot be run")]
    Missing { source: io::Error },
    #[error("`git {step}` failed: {said}")]
    Failed { step: String, said: String },
    #[error("what git says cannot be read")]
    Output { source: io::Error },
    #[error("git has not done it within {seconds} seconds")]
    TimedOut { seconds: u64 },
    #[error("{what} than {limit} bytes")]
    TooMuch { what: &'static str, limit: u64 },
    #[error("the store lacks it, and without network {} cannot be asked", .remote.url)]
    Offline { remote: RemoteRef },
    #[error("{} has no ref `{}`", .remote.url, .remote.name)]
    NoRef { remote: RemoteRef },
    #[error("{} has a tag `{}` and a branch of the same name", .remote.url, .remote.name)]
    Ambiguous { remote: RemoteRef },
    #[error("{} does not give the commit {commit}, and its `{}` does not lead to it", .remote.url, .remote.name)]
    Gone { remote: RemoteRef, commit: ObjectId },
    #[error("{} has no commit {commit}", .remote.url)]
    NoCommit { remote: RemoteRef, commit: ObjectId },
    #[error("{id} is not a commit but a {kind}")]
    NotACommit { id: ObjectId, kind: String },
    #[error("the commit {commit} has submodules: {paths}")]
    Submodules { commit: ObjectId, paths: String },
    #[error("the commit {commit} cannot be used: {reason}")]
    Unusable { commit: ObjectId, reason: String },
    /// A directory of the workspace.
    #[error("`{path}` {reason}")]
    Local { path: String, reason: &'static str },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the files of the commit {commit} are not those that are pinned: expected {expected}, found {found}")]
    WrongDigest { commit: ObjectId, expected: Digest, found: Digest },
    #[error("the files of the commit {commit} cannot be put into a tar")]
    Encode { commit: ObjectId, source: Box<EncodeError> },
    #[error("cannot use the store")]
    Store(#[from] StoreError),
    #[error("cannot write to the store")]
    Spool { source: io::Error },
    #[error("{digest} was fetched, but left the store or was damaged before it could be read")]
    Vanished { digest: Digest },
}

impl GitError {
    /// What a person can do about it, if that is more than the message says.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            GitError::Missing { .. } => {
                "install git; it is needed only as long as the store does not have the files of the commit".into()
            }
            GitError::Failed { step, .. } if matches!(step.as_str(), "fetch" | "ls-remote") => {
                "is the URL right, and may you read it? keys of ssh and its agent are used, and `~/.netrc` for https; nobody \
                 is asked for a password, and your settings of git are not read"
                    .into()
            }
            GitError::Offline { .. } => "run once with network: the store keeps what was fetched".into(),
            GitError::NoRef { .. } => {
                "name a branch, a tag, the whole name of a ref, `refs/...`, or a commit by all of its ID".into()
            }
            GitError::NoCommit { .. } => "is it in the repository, and in a branch or tag of it?".into(),
            GitError::Ambiguous { remote } => {
                format!("say which one is meant: `refs/tags/{0}` or `refs/heads/{0}`", remote.name)
            }
            GitError::Gone { remote, .. } => format!(
                "it may have been rewritten away; if it is fine to move on, run `ocify update {remote}`, or give another \
                 `commit` and `sha256` where the spec has them"
            ),
            GitError::NotACommit { .. } => "give the commit that it leads to: `git rev-parse 'NAME^{commit}'` shows it".into(),
            GitError::Submodules { .. } => {
                "submodules are not brought; name their repositories in an `archive(src = git(...))` of their own".into()
            }
            GitError::Local { .. } => {
                "a repository of the workspace is a directory with a `.git` directory, or a bare one".into()
            }
            GitError::WrongDigest { found, .. } => format!(
                "a commit never changes, so one of the two is mistaken; if you trust the repository, set `sha256 = \
                 \"{}\"` beside this `commit`",
                found.hex()
            ),
            GitError::Source(error) => return error.help().map(str::to_owned),
            _ => return None,
        })
    }
}

impl From<GitError> for Diagnostic {
    fn from(error: GitError) -> Self {
        let help = error.help();
        let diagnostic = help.into_iter().fold(Diagnostic::failure(error.to_string()), Diagnostic::help);
        match error {
            GitError::Missing { source } | GitError::Output { source } | GitError::Spool { source } => {
                diagnostic.caused_by(source)
            }
            GitError::Encode { source, .. } => diagnostic.caused_by(source),
            GitError::Store(error) => diagnostic.caused_by(error),
            _ => diagnostic,
        }
    }
}
