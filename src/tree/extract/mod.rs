//! Writing a merged tree to disk.

mod attributes;
mod directories;
mod error;
mod skipped;
mod writer;

pub use error::ExtractError;
pub use skipped::{Skipped, SkippedPart};

use std::fs;
use std::io;
use std::path::Path;

use crate::tree::extract::writer::Writer;
use crate::tree::merge::Tree;

/// Writes `tree` into the directory `destination`, which must not exist or be empty and whose parent must exist. It is
/// written beside that under a temporary name and renamed at the end, so a failure leaves nothing behind.
///
/// No link of the tree is followed: the work is done relative to directory descriptors that are opened without following
/// links, one component at a time, and every file is created anew. The bytes written are compared with their digests.
///
/// Modes and times are as in the tree. Owners are set only when this process runs as root, else everything belongs to
/// its user and the tree's owners are recorded nowhere. What cannot or must not come about is left out and returned,
/// sorted by path:
/// - devices and FIFOs, and hard links to them: they would act on this machine;
/// - setuid and setgid bits of what does not get its owner: they would lend the user's rights to the image's programs;
/// - extended attributes other than `user.*` and `security.capability`, those of overlayfs (`user.overlay.*`), and all
///   that the file system or the kernel refuses.
///
/// # Errors
/// The destination is in use, the disk refuses, or a content cannot be read or is not what its digest says.
pub fn extract(tree: &Tree, destination: &Path) -> Result<Vec<Skipped>, ExtractError> {
    check_free(destination)?;
    let parent = match destination.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new().prefix(".ocify-extract-").tempdir_in(parent);
    let temporary = temporary.map_err(ExtractError::host("make a temporary directory in", parent))?;
    let mut writer = Writer::new(temporary.path())?;
    let written = writer.write(tree).and_then(|skipped| {
        let renamed = fs::rename(temporary.path(), destination);
        renamed.map_err(ExtractError::host("rename the finished tree to", destination)).map(|()| skipped)
    });
    match &written {
        Ok(_) => drop(temporary.keep()),
        // The temporary directory removes itself, for which its directories must be writable.
        Err(_) => writer.unlock_directories(tree, temporary.path()),
    }
    written
}

fn check_free(destination: &Path) -> Result<(), ExtractError> {
    let in_use = |reason| Err(ExtractError::InUse { path: destination.to_owned(), reason });
    let inspect = ExtractError::host("inspect", destination);
    match fs::symlink_metadata(destination) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(inspect(error)),
        Ok(metadata) if !metadata.is_dir() => in_use("is not a directory"),
        Ok(_) => match fs::read_dir(destination).map_err(inspect)?.next() {
            None => Ok(()),
            Some(_) => in_use("is not empty"),
        },
    }
}
