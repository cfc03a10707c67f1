//! A lock between processes and between threads.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use std::os::unix::fs::OpenOptionsExt;

use super::StoreError;

/// A flock on a file of its own, released when dropped or when the process ends, however it ends. Each
/// lock opens the file anew, so it holds between threads too.
#[must_use]
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock at `path`, creating the file if it is missing.
    pub(super) fn acquire(path: &Path) -> Result<Lock, StoreError> {
        let file = open(path)?;
        lock_file(&file).map_err(StoreError::write("lock", path))?;
        Ok(Lock { _file: file })
    }

    /// As [`Lock::acquire`], but many may hold it at once, while nobody holds it exclusively.
    pub(super) fn acquire_shared(path: &Path) -> Result<Lock, StoreError> {
        let file = open(path)?;
        wait(|| file.lock_shared()).map_err(StoreError::write("lock", path))?;
        Ok(Lock { _file: file })
    }

    /// `None` if another one holds the lock.
    pub(super) fn try_acquire(path: &Path) -> Result<Option<Lock>, StoreError> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::write("lock", path)(error)),
        }
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
    file.map_err(StoreError::write("open the lock", path))
}

/// Waits for an exclusive flock on `file`; a signal does not end the wait.
pub(super) fn lock_file(file: &File) -> io::Result<()> {
    wait(|| file.lock())
}

fn wait(lock: impl Fn() -> io::Result<()>) -> io::Result<()> {
    loop {
        match lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
