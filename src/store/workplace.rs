//! Directories in `ingest/` for what is made of many files.
//!
//! A directory cannot be locked by those who only may look at it, so `NAME.d` belongs to the locked file `NAME` beside it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::scratch::{Scratch, remove_directory};

use super::temporary::locked_file;
use super::{Store, StoreError, layout};

/// An empty directory on the store's file system, which is removed with all that is in it when it is dropped.
#[derive(Debug)]
pub struct Workplace {
    path: PathBuf,
    _scratch: Scratch,
    _lock: (NamedTempFile, Scratch),
}

const SUFFIX: &str = "d";

impl Store {
    /// A new directory that only its owner can enter.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn workplace(&self) -> Result<Workplace, StoreError> {
        let lock = locked_file(&self.path(layout::INGEST), ".work")?;
        let path = fs::canonicalize(lock.0.path()).map_err(StoreError::read("inspect", lock.0.path()))?;
        let path = path.with_extension(SUFFIX);
        let make = || DirBuilder::new().mode(0o700).create(&path).map(|()| path.clone());
        let (path, scratch) =
            Scratch::listed(make, PathBuf::as_path).map_err(StoreError::write("create the directory", &path))?;
        Ok(Workplace { path, _scratch: scratch, _lock: lock })
    }
}

impl Workplace {
    /// Gives the directory another name, under which it stays.
    ///
    /// # Errors
    /// The name is taken, or the store cannot be written.
    pub(super) fn rename(self, to: &Path) -> Result<(), StoreError> {
        fs::rename(&self.path, to).map_err(StoreError::write("rename a directory to", to))
    }

    /// An absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        remove_directory(&self.path);
    }
}

/// Removes a directory if its file is gone. The file is there as long as the directory is, unless their process died.
pub(super) fn remove_if_stale(path: &Path) {
    if path.extension().is_some_and(|extension| extension == SUFFIX) && !path.with_extension("").exists() {
        remove_directory(path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_goes_with_its_owner_and_a_dead_ones_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let place = store.workplace().unwrap();
        fs::create_dir(place.path().join("closed")).unwrap();
        fs::write(place.path().join("closed/file"), "").unwrap();
        fs::set_permissions(place.path().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        let ingest = place.path().parent().unwrap().to_owned();
        let stale = ingest.join(".workstale.d");
        fs::create_dir(&stale).unwrap();
        Store::open(directory.path().join("store")).unwrap();
        assert!(!stale.exists() && place.path().exists());
        drop(place);
        assert_eq!(fs::read_dir(ingest).unwrap().count(), 0);
    }
}
