//! The names by which a layer removes what lies below it.
//!
//! Source: image-spec, "Image Layer Filesystem Changeset § Whiteouts" and "§ Opaque Whiteout".

use crate::entry::{Content, Entry, Kind, Metadata};
use crate::path::ImagePath;
use crate::tree::error::TreeError;

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a layer removes from those below it.
pub(super) enum Mark {
    /// A path, with all below it.
    Whiteout(ImagePath),
    /// All that is in a directory.
    Opaque(ImagePath),
}

/// The mark that an entry of a layer is; `None` for an ordinary entry.
///
/// # Errors
/// A name that begins with `.wh.` but marks nothing (`.wh.`, `.wh..`, `.wh...`; `.wh..wh.` and anything but `.opq`, of
/// which AUFS had several); a mark that is not an empty file; a directory with such a name on the way.
pub(super) fn mark_of(entry: &Entry) -> Result<Option<Mark>, TreeError> {
    let parent = entry.path.parent().unwrap_or(ImagePath::root());
    check_ordinary(&parent)?;
    let name = entry.path.file_name().unwrap_or_default();
    let Some(removed) = name.strip_prefix(PREFIX) else { return Ok(None) };
    let fail = |reason| Err(TreeError::Whiteout { path: entry.path.clone(), reason });
    let mark = match removed {
        _ if name == OPAQUE => Mark::Opaque(parent),
        b"" | b"." | b".." => return fail("names no file"),
        reserved if reserved.starts_with(PREFIX) => return fail("has a reserved name that is not `.wh..wh..opq`"),
        removed => Mark::Whiteout(parent.child(removed)?),
    };
    match &entry.kind {
        Kind::File { content } if content.size == 0 => Ok(Some(mark)),
        Kind::File { .. } => fail("is not empty"),
        _ => fail("is not a regular file"),
    }
}

/// Checks that no component of `path` would be taken for a whiteout.
pub(super) fn check_ordinary(path: &ImagePath) -> Result<(), TreeError> {
    match path.components().any(|name| name.starts_with(PREFIX)) {
        true => Err(TreeError::ReservedName { path: path.clone() }),
        false => Ok(()),
    }
}

/// Checks that whatever mark is needed for `path` has a path that is not too long.
pub(super) fn check_markable(path: &ImagePath) -> Result<(), TreeError> {
    check_ordinary(path)?;
    path.child(OPAQUE)?;
    Ok(())
}

/// The entry of a mark as docker and containerd write it: an empty file with mode 0 and owner 0:0. The mark's path has
/// passed [`check_markable`].
pub(super) fn entry_of(mark: &Mark, mtime: i64) -> Entry {
    let path = match mark {
        Mark::Opaque(directory) => directory.child(OPAQUE),
        Mark::Whiteout(path) => {
            let name = [PREFIX, path.file_name().unwrap_or_default()].concat();
            path.parent().unwrap_or(ImagePath::root()).child(&name)
        }
    };
    Entry {
        path: path.expect("a mark's length was checked when it was added"),
        metadata: Metadata::root_owned(0, mtime),
        kind: Kind::File { content: Content::inline(*b"") },
    }
}
