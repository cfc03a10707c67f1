//! Directories that outlive the steps that use them: the `cache` mounts.
//!
//! A cache is found by a hash of its name and of the user that it belongs to, so that no name is ever a path, and nobody finds
//! files that are closed to him. Beside the directory `HEX-N` lies `HEX-N.lock`, with the cache's name in it: it is locked
//! by each process that uses the directory, and exclusively by one that wants it for itself or removes it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::oci::canonical_json;
use crate::scratch::remove_directory;

use super::lock::lock_file;
use super::{Store, StoreError, layout};

const LOCK: &str = "lock";

/// Who may use a cache at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// Any number.
    Shared,
    /// One; who finds it used waits.
    Locked,
    /// One; who finds it used takes another directory.
    Private,
}

/// A cache that is used by this process, until it is dropped.
#[derive(Debug)]
pub struct StepCache {
    path: PathBuf,
    _lock: File,
}

/// What a cache takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepCacheUsage {
    /// The name by which steps ask for it.
    pub id: String,
    /// The directory, relative to the store's root.
    pub path: PathBuf,
    /// Bytes in it, as far as they can be counted.
    pub size: u64,
}

impl StepCache {
    /// The directory; an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// The cache `id` of this user. `waiting` is called if another one has it, and this one has to wait. One that is new is
    /// made by `make`, in a directory that does not exist and whose parent does.
    ///
    /// Whoever wants several takes them in the order of [`StepCache::order`], so there is no deadlock.
    ///
    /// # Errors
    /// The store cannot be written; `make` fails.
    pub fn step_cache(
        &self,
        id: &str,
        wanted: CacheUse,
        waiting: impl FnOnce(),
        make: impl Fn(&Path) -> io::Result<()>,
    ) -> Result<StepCache, StoreError> {
        let directory = self.path(layout::CACHES);
        let directory = fs::canonicalize(&directory).map_err(StoreError::read("inspect", &directory))?;
        let hex = StepCache::order(id).hex();
        let mut waiting = Some(waiting);
        let mut number = 0;
        loop {
            let path = directory.join(format!("{hex}-{number}"));
            let lock = path.with_extension(LOCK);
            let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&lock);
            let mut file = file.map_err(StoreError::write("open the lock", &lock))?;
            if wanted == CacheUse::Private && file.try_lock().is_err() {
                number += 1;
                continue;
            }
            // Who makes the directory is alone.
            let shared = wanted == CacheUse::Shared && path.is_dir();
            let tried = if shared { file.try_lock_shared() } else { file.try_lock() };
            if tried.is_err() {
                waiting.take().into_iter().for_each(|waiting| waiting());
                let waited = if shared { wait_shared(&file) } else { lock_file(&file) };
                waited.map_err(StoreError::write("lock", &lock))?;
            }
            let metadata = file.metadata().map_err(StoreError::read("inspect", &lock))?;
            let found = path.is_dir();
            // The one who had it removed it meanwhile: whoever comes next would lock another file.
            if metadata.nlink() == 0 || shared && !found {
                continue;
            }
            if metadata.len() == 0 {
                file.write_all(id.as_bytes()).map_err(StoreError::write("write", &lock))?;
            }
            if !found {
                let place = self.workplace()?;
                let made = place.path().join("cache");
                make(&made).map_err(StoreError::write("make the cache", &path))?;
                fs::rename(&made, &path).map_err(StoreError::write("create the directory", &path))?;
            }
            if wanted != CacheUse::Shared || shared {
                return Ok(StepCache { path, _lock: file });
            }
            // To share it, the lock is given up and taken anew.
        }
    }

    /// All caches of steps, by name.
    ///
    /// # Errors
    /// Their directory cannot be read.
    pub fn step_caches(&self) -> Result<Vec<StepCacheUsage>, StoreError> {
        let usage = |path: &Path| StepCacheUsage {
            id: fs::read_to_string(path.with_extension(LOCK)).unwrap_or_default(),
            path: Path::new(layout::CACHES).join(path.file_name().unwrap_or_default()),
            size: size_below(path),
        };
        let mut caches: Vec<StepCacheUsage> = self.cache_directories()?.iter().map(|path| usage(path)).collect();
        caches.sort_by(|a, b| (&a.id, &a.path).cmp(&(&b.id, &b.path)));
        Ok(caches)
    }

    /// Removes every cache of steps that nobody uses; with `dry_run` says only which.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn remove_step_caches(&self, dry_run: bool) -> Result<Vec<StepCacheUsage>, StoreError> {
        let mut removed = Vec::new();
        for cache in self.step_caches()? {
            let path = self.root().join(&cache.path);
            let lock = path.with_extension(LOCK);
            let file = match OpenOptions::new().read(true).write(true).open(&lock) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(StoreError::write("open the lock", &lock))?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(StoreError::write("lock", &lock)(error)),
            }
            if !dry_run {
                remove_directory(&path);
                fs::remove_file(&lock).map_err(StoreError::write("remove", &lock))?;
            }
            removed.push(cache);
        }
        Ok(removed)
    }

    fn cache_directories(&self) -> Result<Vec<PathBuf>, StoreError> {
        let directory = self.path(layout::CACHES);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StoreError::read("list", &directory))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StoreError::read("list", &directory))?;
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            found.extend(is_directory.then(|| entry.path()));
        }
        Ok(found)
    }
}

impl StepCache {
    /// What the cache `id` of this user is called, and in which order several are taken.
    pub fn order(id: &str) -> Digest {
        let user = rustix::process::geteuid().as_raw();
        Digest::of(&canonical_json(&serde_json::json!({ "id": id, "user": user })))
    }
}

fn wait_shared(file: &File) -> io::Result<()> {
    loop {
        match file.lock_shared() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Bytes of the files below a directory. No link is followed; what is closed to this user is not counted.
fn size_below(directory: &Path) -> u64 {
    let (mut size, mut left) = (0, vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => left.push(entry.path()),
                Ok(metadata) => size += metadata.len(),
                Err(_) => {}
            }
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn cache(store: &Store, id: &str, wanted: CacheUse) -> PathBuf {
        store.step_cache(id, wanted, || panic!("nobody has it"), made).unwrap().path().to_owned()
    }

    #[test]
    fn a_name_is_no_path_and_leads_to_the_same_directory_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let first = cache(&store, "../../dir", CacheUse::Shared);
        fs::write(first.join("file"), "1234").unwrap();
        assert_eq!(first.parent(), Some(&*directory.path().canonicalize().unwrap().join("store/caches")));
        assert_eq!(cache(&store, "../../dir", CacheUse::Locked), first);
        assert_ne!(cache(&store, "other", CacheUse::Shared), first);
        let caches = store.step_caches().unwrap();
        let listed: Vec<(&str, u64)> = caches.iter().map(|cache| (cache.id.as_str(), cache.size)).collect();
        assert_eq!(listed, [("../../dir", 4), ("other", 0)]);
    }

    #[test]
    fn a_private_cache_is_one_that_nobody_uses() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let take = |wanted| store.step_cache("c", wanted, || panic!("nobody waits"), made).unwrap();
        let shared = [take(CacheUse::Shared), take(CacheUse::Shared)];
        assert_eq!(shared[0].path(), shared[1].path());
        let private = [take(CacheUse::Private), take(CacheUse::Private)];
        assert!(private.iter().all(|cache| cache.path() != shared[0].path()));
        assert_ne!(private[0].path(), private[1].path());
        assert_eq!(store.remove_step_caches(false).unwrap(), [], "all are used");
        let path = shared[0].path().to_owned();
        drop((shared, private));
        assert_eq!(store.remove_step_caches(true).unwrap().len(), 3);
        assert!(path.exists());
        assert_eq!(store.remove_step_caches(false).unwrap().len(), 3);
        assert!(!path.exists() && !path.with_extension(LOCK).exists());
        assert_eq!(cache(&store, "c", CacheUse::Private), path);
    }

    #[test]
    fn a_locked_cache_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let held = store.step_cache("c", CacheUse::Locked, || (), made).unwrap();
        let (told, waiting) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for wanted in [CacheUse::Locked, CacheUse::Shared] {
                let (store, told) = (&store, told.clone());
                scope.spawn(move || store.step_cache("c", wanted, || told.send(()).unwrap(), made).unwrap());
            }
            waiting.recv().unwrap();
            waiting.recv().unwrap();
            drop(held);
        });
    }
}
