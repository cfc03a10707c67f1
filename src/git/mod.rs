//! Names of git: where a repository is, what a ref in it is called, and which commit is meant.

mod object_id;
mod ref_name;
mod repository_url;
mod wrong_commit;

use std::fmt;

pub use object_id::ObjectId;
pub use ref_name::RefName;
pub use repository_url::RepositoryUrl;
pub use wrong_commit::WrongCommit;

use crate::digest::Digest;

/// A ref of a repository: what a spec names and a lock pins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RemoteRef {
    /// One of the workspace is named from its root.
    pub url: RepositoryUrl,
    /// The ref, or the commit itself.
    pub name: RefName,
    /// Beside the files there is a `.git` (docs/design/git.md).
    pub keep_git_dir: bool,
}

impl RemoteRef {
    /// The commit, where it is named by its ID.
    pub fn commit(&self) -> Option<ObjectId> {
        self.name.as_str().parse().ok()
    }
}

/// The commit that a ref stood for, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    pub commit: ObjectId,
    /// What a tag stood for whose `.git` is kept: an annotated tag, or the commit.
    pub tag: Option<ObjectId>,
    /// Of the canonical tar of the commit's tree (docs/design/git.md).
    pub sha256: Digest,
}

/// `URL#REF`: no URL has a `#`.
impl fmt::Display for RemoteRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.url, self.name)
    }
}

/// Why a text is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The URL is shown without credentials.
    #[error("the repository `{url}` {reason}")]
    Url { url: String, reason: String },
    /// `[USER@]HOST:PATH`; here as a URL.
    #[error("the repository of `{url}` is written without a scheme")]
    Scheme { url: String },
    #[error("`{name}` is not the name of a ref: it {reason}")]
    Ref { name: String, reason: &'static str },
    #[error("`{text}` is not the ID of a commit, which has 40 or 64 hexadecimal digits in lower case")]
    Id { text: String },
}

impl NameError {
    /// What to write instead.
    pub fn help(&self) -> String {
        match self {
            NameError::Url { .. } => {
                "write `https://HOST/PATH`, `ssh://USER@HOST/PATH`, or `file://` and a path relative to the package; \
                 passwords have no place in it"
                    .into()
            }
            NameError::Scheme { url } => format!("write `{url}`"),
            NameError::Ref { .. } => {
                "give a branch, a tag, the whole name of a ref, such as `refs/heads/main`, or the ID of a commit".into()
            }
            NameError::Id { .. } => {
                "`git rev-parse 'NAME^{commit}'` shows it; a branch or a tag is given as `ref`".into()
            }
        }
    }
}
