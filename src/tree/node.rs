//! What a name of a tree stands for.

use crate::entry::{Kind, Metadata};

/// An entry without its path: several names share one node when they are hard links to each other. In a
/// [`Tree`](crate::tree::Tree) the kind is never [`Kind::HardLink`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub metadata: Metadata,
    pub kind: Kind,
}

impl Node {
    /// A directory that nothing describes: 0755, owner 0:0.
    pub(super) fn undescribed_directory(mtime: i64) -> Self {
        Node { metadata: Metadata::root_owned(0o755, mtime), kind: Kind::Directory }
    }
}
