//! A file tree in memory: merge, whiteouts, difference, and resolution of links inside the root.
//!
//! A [`Changeset`] is one layer as a set: entries, whiteouts and opaque marks, whatever order they came in. A [`Tree`]
//! is what a stack of them amounts to. Layers are merged here and never on disk, so a link in a layer cannot lead to
//! anything of this machine; [`extract()`] writes only the end result, into a new directory, by descriptors.
//!
//! Paths are resolved as the kernel does below a changed root: an absolute link starts at the image's root, and `..`
//! stops there. Semantics are those of image-spec, "Image Layer Filesystem Changeset", read as containerd reads it:
//!
//! - Whiteouts and opaque marks of a layer act on the layers below it, and before its own entries.
//! - A directory over a directory changes the metadata and keeps what is in it. Anything else replaces what had the
//!   name, with all below it; a directory at the name of a symbolic link replaces the link, never its target.
//! - A parent that is a symbolic link leads to where the link points, in this or a lower layer. Entries of a layer whose
//!   parents are directories by their own names take their places first, in bytewise order, then those that are not.
//! - Missing parents are directories with mode 0755, owner 0:0 and time 0.
//! - A hard link names a node of the same layer or of the tree below; its own metadata in the archive is ignored. One to a
//!   name of its layer is that node from the beginning. The others come last, each after those that it needs: the way to
//!   its target may lead through another that is one to a symbolic link. The way of no other entry may.
//! - A mark whose way leads through a file removes nothing: the kernel goes no further, whatever comes after the file.

mod below;
mod canonical;
mod changeset;
mod diff;
mod error;
mod extract;
mod merge;
mod names;
mod node;
mod placement;
#[cfg(test)]
mod sample;
mod stratum;
mod transplant;
mod walk;
mod whiteout;

pub use below::{Below, Glimpse, Glimpsed, TreeSize};
pub use changeset::Changeset;
pub use diff::diff;
pub use error::TreeError;
pub use extract::{ExtractError, Skipped, SkippedPart, extract, extract_for_step};
pub use merge::Tree;
pub use node::Node;
pub use stratum::Stratum;
pub use transplant::{Misfit, MisfitKind, misfits};
