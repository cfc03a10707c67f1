//! A directory in `ingest/` for what other programs write.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::scratch::Scratch;

use super::lock::lock_file;
use super::{Store, StoreError, layout};

/// A directory that is removed, with all that is in it, when it is dropped. It is locked as long as it is there, which tells
/// the sweeper that its owner lives.
#[derive(Debug)]
pub struct ScratchDirectory {
    directory: TempDir,
    _lock: File,
    _scratch: Scratch,
}

impl Store {
    /// A new directory of mode 0700 in the store's file system.
    pub fn scratch_directory(&self) -> Result<ScratchDirectory, StoreError> {
        let ingest = self.path(layout::INGEST);
        loop {
            let make = || tempfile::Builder::new().prefix(".dir").tempdir_in(&ingest);
            let (directory, scratch) = Scratch::listed(make, TempDir::path)
                .map_err(StoreError::write("create a temporary directory in", &ingest))?;
            // Between these steps a sweeper may find the directory unlocked and remove it.
            let lock = match File::open(directory.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(StoreError::write("open", directory.path()))?,
            };
            lock_file(&lock).map_err(StoreError::write("lock", directory.path()))?;
            if directory.path().is_dir() {
                return Ok(ScratchDirectory { directory, _lock: lock, _scratch: scratch });
            }
        }
    }
}

impl ScratchDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Removes a directory of [`Store::scratch_directory`] if its owner is gone.
pub(super) fn remove_if_stale(path: &Path) -> io::Result<()> {
    let directory = File::open(path)?;
    if directory.try_lock().is_ok() {
        // Removed under the lock.
        fs::remove_dir_all(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_swept_and_what_is_in_use_is_not() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(place.path().join("store")).unwrap();
        let used = store.scratch_directory().unwrap();
        fs::write(used.path().join("x"), "x").unwrap();
        let left = store.path(layout::INGEST).join(".dirleft");
        fs::create_dir_all(left.join("objects/pack")).unwrap();
        fs::write(left.join("objects/pack/tmp_pack_x"), "x").unwrap();
        Store::open(store.root()).unwrap();
        assert!(!left.exists() && used.path().join("x").exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
