//! Moving damaged blobs out of the way.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::digest::Digest;

use super::lock::Lock;
use super::temporary::sync_parent;
use super::{Store, StoreError, layout};

/// Moves the file of blob `digest` to `quarantine/`, and returns where it is now. `bad` is the file that was found
/// damaged: if another one has its name by now, somebody else was faster and has perhaps stored a good one since, which
/// must stay.
pub(super) fn move_away(store: &Store, digest: &Digest, bad: &Metadata) -> Result<PathBuf, StoreError> {
    let blob = store.blob_path(digest);
    let moved = store.path(layout::QUARANTINE).join(digest.hex());
    let _lock = Lock::acquire(&store.path(layout::QUARANTINE_LOCK))?;
    match fs::symlink_metadata(&blob) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::read("inspect", &blob)(error)),
        Ok(found) if (found.dev(), found.ino()) == (bad.dev(), bad.ino()) => {
            fs::rename(&blob, &moved).map_err(StoreError::write("quarantine", &blob))?;
            sync_parent(&blob)?;
        }
        Ok(_) => {}
    }
    Ok(moved)
}
