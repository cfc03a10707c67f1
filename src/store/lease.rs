//! Leases: what a running process relies on stays, whatever `ocify prune` does meanwhile.
//!
//! A lease is a file `locks/lease-RANDOM` that its holder keeps locked; its modification time is when it began. *Using* a
//! file of the store means that a leased handle found it. The time of last use of a file is its modification time; to
//! save writes it is renewed only if it is older than [`GRACE`] before the lease's start, so a build that finds
//! everything as the last one left it writes nothing.
//!
//! `locks/prune.lock` is held *shared* to begin a lease and to renew a time, both of which are rare and short, and
//! *exclusively* by prune for each few files that it removes. Inside, prune looks at the leases, then at the references,
//! then at each file's time, and removes a file only if no reference needs it and its time is older than [`GRACE`] before
//! the start of the oldest lease whose holder lives. Why nothing that a lease's holder has found can vanish, with L the
//! lease, F the file, and P a moment in which prune holds the lock, after F was found and before L ends:
//!
//! 1. F was found after L began, and L begins under the lock. So prune sees L in P: it keeps every file whose time is at
//!    least `start(L) - GRACE`.
//! 2. If F's time was at least that when it was found, it is so in P: times only move forward, to now or to the start of a
//!    lease (also where the clock was set back).
//! 3. Else the holder renewed it under the shared lock, after a second look. Either F was gone by then, and so was not
//!    found, or it has a new time before prune gets the lock again. Case 2 applies from then on.
//! 4. A file that is written new has the time of its writing, which is after L began. Where the clock was set back during
//!    the build, it is renewed as in 3 once it has its name.
//!
//! Caches whose files are replaced (records of actions, tables of file digests) are one step weaker: prune may remove the new
//! file that takes an unused one's place between its look at the time and the removal. That is a miss of the next build.
//!
//! And what the holder then names with a reference: it does so before L ends. Prune looks at the leases first and at the
//! references second, so where it does not see L any more, it sees the reference. A reference that appears in between
//! names what is leased.
//!
//! A handle without a lease changes no times and is promised nothing: it is for looking, as `ocify images` does, and for
//! prune itself. Where the store cannot be written there are no leases; nobody who reads it so can be in the way of its
//! owner.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
use tempfile::NamedTempFile;

use crate::scratch::Scratch;

use super::lock::Lock;
use super::temporary::locked_file;
use super::{Store, StoreError, layout};

/// How much older than the start of a lease the time of a file may be before it is renewed.
pub(super) const GRACE: Duration = Duration::from_secs(3600);

const PREFIX: &str = "lease-";

/// A lease, which ends when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lease {
    /// When it began, by the clock of the store's file system.
    start: SystemTime,
    prune_lock: PathBuf,
    /// Locked. The name is removed when it is dropped.
    _file: (NamedTempFile, Scratch),
}

impl Store {
    /// A handle on the same store, and clones of it, for a process that relies on what it finds: until the last of them is
    /// dropped, nothing that they found or wrote is removed by prune. On a store that cannot be written, a handle as this
    /// one.
    ///
    /// # Errors
    /// The lease cannot be written.
    pub fn leased(&self) -> Result<Store, StoreError> {
        match Lease::begin(self) {
            Ok(lease) => Ok(Store { lease: Some(Arc::new(lease)), ..self.clone() }),
            Err(StoreError::ReadOnly { .. }) => Ok(self.clone()),
            Err(error) => Err(error),
        }
    }

    /// A handle on the same store for looking through all of it: what it finds counts as unused, and may be pruned at any
    /// time.
    #[must_use]
    pub fn unleased(&self) -> Store {
        Store { lease: None, ..self.clone() }
    }

    /// Tells the lease, if there is one, that the file at `path`, which was found with this metadata, is relied on. False if
    /// it is gone.
    pub(super) fn is_kept(&self, path: &Path, metadata: &Metadata) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.keeps(metadata) || lease.renew(path))
    }
}

impl Lease {
    fn begin(store: &Store) -> Result<Lease, StoreError> {
        let prune_lock = store.path(layout::PRUNE_LOCK);
        let locks = store.path(layout::LOCKS);
        let _shared = Lock::acquire_shared(&prune_lock)?;
        let (file, scratch) = locked_file(&locks, PREFIX)?;
        let start = file.as_file().metadata().and_then(|metadata| metadata.modified());
        let start = start.map_err(StoreError::read("inspect", file.path()))?;
        Ok(Lease { start, prune_lock, _file: (file, scratch) })
    }

    fn keeps(&self, metadata: &Metadata) -> bool {
        last_use(metadata) >= kept_since(self.start)
    }

    /// Sets the file's time to now. False if the file is gone. One whose time cannot be set is there all the same: then
    /// prune, too, has a store that it cannot write.
    fn renew(&self, path: &Path) -> bool {
        let _shared = Lock::acquire_shared(&self.prune_lock);
        if set_time(path, Timespec { tv_sec: 0, tv_nsec: UTIME_NOW }).is_err() {
            return fs::symlink_metadata(path).is_ok();
        }
        if fs::symlink_metadata(path).is_ok_and(|metadata| !self.keeps(&metadata)) {
            // The clock was set back. That this one, too, fails has the same reason as above.
            let since_1970 = self.start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let seconds = since_1970.as_secs().try_into().unwrap_or_default();
            let _ = set_time(path, Timespec { tv_sec: seconds, tv_nsec: since_1970.subsec_nanos().into() });
        }
        true
    }
}

/// When a file was used for the last time.
pub(super) fn last_use(metadata: &Metadata) -> SystemTime {
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Files used at this time or later must stay for the sake of a running process; `None` if there is none.
///
/// # Errors
/// The leases cannot be listed.
pub(super) fn kept_for_others(store: &Store) -> Result<Option<SystemTime>, StoreError> {
    let locks = store.path(layout::LOCKS);
    let mut oldest: Option<SystemTime> = None;
    for path in leases(&locks)? {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if lives(&path) {
            let since = kept_since(last_use(&metadata));
            oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
        }
    }
    Ok(oldest)
}

/// Removes the leases of processes that were killed.
pub(super) fn sweep(locks: &Path) {
    for path in leases(locks).unwrap_or_default() {
        let _ = super::temporary::remove_if_stale(&path);
    }
}

fn kept_since(start: SystemTime) -> SystemTime {
    start.checked_sub(GRACE).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn leases(locks: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut leases = Vec::new();
    for entry in fs::read_dir(locks).map_err(StoreError::read("list", locks))? {
        let entry = entry.map_err(StoreError::read("list", locks))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            leases.push(entry.path());
        }
    }
    Ok(leases)
}

/// False if the file is gone or nobody has it locked; true also where that cannot be found out.
fn lives(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn set_time(path: &Path, time: Timespec) -> rustix::io::Result<()> {
    // Both times now are allowed to whoever may write the file, one of them only to its owner.
    let other = if time.tv_nsec == UTIME_NOW { time } else { Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT } };
    let times = Timestamps { last_access: other, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use crate::digest::Digest;

    use super::*;

    const WHILE: Duration = Duration::from_millis(100);

    fn with_old_blob() -> (tempfile::TempDir, Store, Digest) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let digest = store.put_blob(b"old").unwrap();
        let path = store.blob_path(&digest);
        File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH + GRACE).unwrap();
        (directory, store, digest)
    }

    /// Steps 1 and 3 of the argument: both wait for prune, and what it removed meanwhile is not found.
    #[test]
    fn neither_a_lease_nor_a_renewal_comes_in_between() {
        for removed in [false, true] {
            let (_directory, store, digest) = with_old_blob();
            let leased = store.leased().unwrap();
            let lock = Lock::acquire(&store.path(layout::PRUNE_LOCK)).unwrap();
            thread::scope(|scope| {
                let (found, find) = mpsc::channel();
                let (begun, begin) = mpsc::channel();
                let (leased, other) = (&leased, &store);
                scope.spawn(move || found.send(leased.contains(&digest)));
                scope.spawn(move || begun.send(other.leased().is_ok()));
                assert!(find.recv_timeout(WHILE).is_err() && begin.recv_timeout(WHILE).is_err());
                if removed {
                    fs::remove_file(store.blob_path(&digest)).unwrap();
                }
                drop(lock);
                assert_eq!(find.recv().unwrap(), if removed { None } else { Some(3) });
                assert!(begin.recv().unwrap());
            });
        }
    }

    /// Case 2 of the argument, and the reason for which a build that finds all as it left it can run beside prune.
    #[test]
    fn what_is_recent_is_found_while_prune_holds_the_lock() {
        let (_directory, store, _) = with_old_blob();
        let leased = store.leased().unwrap();
        let recent = store.put_blob(b"recent").unwrap();
        let _lock = Lock::acquire(&store.path(layout::PRUNE_LOCK)).unwrap();
        assert_eq!(leased.contains(&recent), Some(6));
    }

    #[test]
    fn a_clock_that_is_set_back_ends_no_lease() {
        let (_directory, store, digest) = with_old_blob();
        let mut leased = store.leased().unwrap();
        let later = leased.lease.as_ref().unwrap().start + 100 * GRACE;
        let lease = Arc::get_mut(leased.lease.as_mut().unwrap()).unwrap();
        lease.start = later;
        lease._file.0.as_file().set_modified(later).unwrap();

        let written = leased.put_blob(b"new").unwrap();
        assert!(leased.contains(&digest).is_some());
        for digest in [digest, written] {
            let used = last_use(&fs::metadata(store.blob_path(&digest)).unwrap());
            assert!(used >= kept_for_others(&store).unwrap().unwrap());
        }
    }
}
