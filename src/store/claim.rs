//! Work in progress: who makes what, so that nobody makes it twice at the same time.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::digest::CacheKey;
use crate::scratch::Scratch;

use super::lock::lock_file;
use super::{Store, StoreError, layout};

/// The right to make the result of one action, until it is dropped or the process ends, however it ends. It is a locked
/// file in `ingest/`, so one that a killed process leaves behind is swept as its other temporaries are.
#[must_use]
#[derive(Debug)]
pub struct Claim {
    _file: File,
    path: PathBuf,
    _scratch: Scratch,
}

impl Store {
    /// Waits until nobody else, in this process or another, holds the claim for `key`, and takes it; `waiting` is called
    /// if somebody does. Whoever gets it looks for the result once more: the other one may have made it.
    ///
    /// Whoever holds the claim to bring a blob waits for no other, and whoever holds another one waits for such a claim at
    /// most, so there is no deadlock.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn claim(&self, key: &CacheKey, waiting: impl FnOnce()) -> Result<Claim, StoreError> {
        let path = self.path(layout::INGEST).join(format!("claim-{}", key.0.hex()));
        let mut waiting = Some(waiting);
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
            let file = file.map_err(StoreError::write("open the lock", &path))?;
            if file.try_lock().is_err() {
                waiting.take().into_iter().for_each(|waiting| waiting());
                lock_file(&file).map_err(StoreError::write("lock", &path))?;
            }
            let metadata = file.metadata().map_err(StoreError::read("inspect", &path))?;
            // The one who held it removed the file: whoever comes next would lock another.
            if metadata.nlink() > 0 {
                let (path, scratch) = Scratch::listed(|| Ok::<_, StoreError>(path), PathBuf::as_path)?;
                return Ok(Claim { _file: file, path, _scratch: scratch });
            }
        }
    }
}

impl Drop for Claim {
    /// Removed under the lock. If that fails, the file is swept later.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::digest::Digest;

    #[test]
    fn one_at_a_time_holds_a_claim_and_nothing_is_left_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let key = CacheKey(Digest::of(b"key"));
        let (holders, turns) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let claim = store.claim(&key, || ()).unwrap();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        turns.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(claim);
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), 400);
        assert_eq!(fs::read_dir(directory.path().join("ingest")).unwrap().count(), 0);
    }

    #[test]
    fn a_claim_of_a_killed_process_can_be_taken() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let key = CacheKey(Digest::of(b"key"));
        fs::write(directory.path().join(format!("ingest/claim-{}", key.0.hex())), "").unwrap();
        let claim = store.claim(&key, || panic!("nobody holds it")).unwrap();
        let (told, waiting) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| drop(store.claim(&key, || told.send(()).unwrap())));
            waiting.recv().unwrap();
            drop(claim);
        });
    }
}
