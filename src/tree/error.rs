//! What can be wrong with a layer, or with a path in a tree.

use crate::path::{ImagePath, ImagePathError};
use crate::tree::merge::Tree;

/// Why entries do not form a layer, why a layer does not fit a tree, or why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("`{path}`: names that begin with `.wh.` are kept for whiteouts, so no layer can hold such a file")]
    ReservedName { path: ImagePath },
    #[error("whiteout `{path}` {reason}")]
    Whiteout { path: ImagePath, reason: &'static str },
    #[error("the root of a layer is a {kind} instead of a directory")]
    RootNotDirectory { kind: &'static str },
    #[error("`{path}` lies below `{parent}`, which is a {kind}")]
    ParentNotDirectory { path: ImagePath, parent: ImagePath, kind: &'static str },
    #[error("hard link `{path}` is a link to itself")]
    LinkToItself { path: ImagePath },
    #[error("hard link `{path}` leads to the directory `{target}`")]
    LinkToDirectory { path: ImagePath, target: ImagePath },
    #[error("hard link `{path}` comes before its target `{target}`")]
    LinkBeforeTarget { path: ImagePath, target: ImagePath },
    #[error("hard link `{path}` leads to `{target}`, which does not exist")]
    LinkMissing { path: ImagePath, target: ImagePath },
    #[error("`{path}` leads through too many symbolic links (40, or 4096 bytes of them); they probably form a loop")]
    SymlinkLoop { path: ImagePath },
    #[error("`{path}` does not exist in the image")]
    NotFound { path: ImagePath },
    #[error(
        "up to `{path}`, the tree has more than {} entries or {} bytes of paths, directories that nobody declares included",
        Tree::MAX_ENTRIES,
        Tree::MAX_BYTES
    )]
    TooLarge { path: ImagePath },
    #[error(transparent)]
    Path(#[from] ImagePathError),
}
