//! The stat cache: digests of files that were hashed before and were not written since.
//!
//! A file counts as unchanged if its device, inode, size, modification time and change time are those that it had when
//! it was hashed. Size and modification time alone are not enough: whoever replaces a file can keep both
//! (moby/buildkit#2592). The change time is the kernel's own.
//!
//! | what happens to a file | what tells |
//! |---|---|
//! | other bytes of the same size, modification time set back | the change time |
//! | replaced by a rename, a hard link swapped | the inode |
//! | another file gets its inode | the change time, which is that of the new file's making |
//! | written again within one tick of the clock | it was not remembered: see [`Clock::has_passed`] |
//! | written while it is hashed | it is hashed again: see `hash` |
//! | its times lie in the future, or the clock was set back | it is not remembered, and if it was, not trusted |
//!
//! git keeps a "racily clean" entry and doubts it later; here it is not kept. Only the file system's own clock is
//! compared with, so nothing depends on when a build runs. What no stamp shows is a write through a memory map that began
//! before the file was hashed and has not reached the disk; git and make don't see it either.
//!
//! The cache only saves hashing: no output depends on whether a digest came from it, and what is archived is
//! compared with its stamp again when it is read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::digest::Digest;
use crate::entry::Stamp;
use crate::store::{StatFile, Store};

use super::clock::Clock;
use super::stat_table::{self, LIMIT, Record, Table};
use super::workspace::Workspace;

/// A file that no build has met is forgotten when the cache was written this many times since.
const MOST_IDLE: u8 = 16;

/// What is known of the files of one workspace. Loaded when it is first asked.
pub struct StatCache {
    store: Store,
    file: StatFile,
    loaded: OnceLock<Loaded>,
    clock: OnceLock<Clock>,
    /// What this build has hashed, by device and inode.
    fresh: Mutex<BTreeMap<[u8; 16], Record>>,
}

struct Loaded {
    table: Table,
    /// Which records this build has met.
    met: Vec<AtomicBool>,
}

impl StatCache {
    /// The cache that `store` keeps for `workspace`; empty if it keeps none, or one that is damaged.
    pub fn open(store: &Store, workspace: &Workspace) -> StatCache {
        StatCache {
            store: store.clone(),
            file: store.stat_file(workspace.name()),
            loaded: OnceLock::new(),
            clock: OnceLock::new(),
            fresh: Mutex::default(),
        }
    }

    /// Keeps what was learned for the next build. Writes nothing if that is nothing. A store that cannot be written
    /// is no error: the next build hashes again.
    pub fn save(&self) {
        if !self.fresh().is_empty() {
            let _ = self.file.replace(&Table::file(&self.file.workspace(), self.kept()));
        }
    }

    /// The digest of the file with this stamp, if it is known for sure.
    pub(super) fn get(&self, stamp: &Stamp) -> Option<Digest> {
        let Loaded { table, met } = self.loaded();
        let old = table.find(stamp).and_then(|(at, record)| {
            let digest = record.digest(stamp)?;
            met[at].store(true, Ordering::Relaxed);
            Some(digest)
        });
        let digest = old.or_else(|| self.fresh().get(&stat_table::key(stamp))?.digest(stamp))?;
        self.has_passed(stamp).then_some(digest)
    }

    /// Remembers the digest of a file that had this stamp before and after it was hashed, and on whose file system the
    /// clock had moved on when that began.
    pub(super) fn put(&self, stamp: &Stamp, digest: &Digest) {
        if let Some(record) = Record::new(stamp, digest) {
            self.fresh().insert(record.key(), record);
        }
    }

    /// The store's clock as it was when the build first asked for it.
    pub(super) fn clock(&self) -> &Clock {
        self.clock.get_or_init(|| Clock::read(&self.store))
    }

    /// As [`Clock::has_passed`], by now. The clock is read again only for files that are young or of the future.
    pub(super) fn has_passed(&self, stamp: &Stamp) -> bool {
        self.clock().has_passed(stamp) || Clock::read(&self.store).has_passed(stamp)
    }

    fn loaded(&self) -> &Loaded {
        self.loaded.get_or_init(|| {
            let bytes = self.file.read(Table::MOST_BYTES);
            let table = bytes.and_then(|bytes| Table::parse(bytes, &self.file.workspace())).unwrap_or_default();
            let met = table.iter().map(|_| AtomicBool::new(false)).collect();
            Loaded { table, met }
        })
    }

    /// What this build met, and of the rest what is not idle for too long.
    fn kept(&self) -> Vec<Record> {
        let Loaded { table, met } = self.loaded();
        let fresh = self.fresh();
        let old = table.iter().zip(met).filter(|(record, _)| !fresh.contains_key(&record.key()));
        let aged = old.map(|(record, met)| {
            let met = met.load(Ordering::Relaxed);
            record.with_idle(if met { 0 } else { record.idle().saturating_add(1) })
        });
        let mut records: Vec<Record> = fresh.values().copied().collect();
        records.extend(aged.filter(|record| record.idle() < MOST_IDLE));
        if records.len() > LIMIT {
            records.sort_by_key(Record::idle);
            records.truncate(LIMIT);
        }
        records
    }

    fn fresh(&self) -> MutexGuard<'_, BTreeMap<[u8; 16], Record>> {
        // Each change of the map is one call, so a thread that panicked has not left half of one.
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const LONG_AGO: i128 = 1_500_000_000_123_456_789;

    fn stamp(inode: u64) -> Stamp {
        Stamp { device: 1, inode, size: 3, mtime: LONG_AGO, ctime: LONG_AGO }
    }

    fn open(directory: &TempDir) -> StatCache {
        let store = Store::open(directory.path().join("store")).unwrap();
        StatCache::open(&store, &Workspace::at(directory.path()).unwrap())
    }

    #[test]
    fn what_was_put_is_found_in_this_build_and_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let cache = open(&directory);
        assert_eq!(cache.get(&stamp(1)), None);
        cache.put(&stamp(1), &Digest::of(b"one"));
        assert_eq!(cache.get(&stamp(1)), Some(Digest::of(b"one")));
        cache.save();
        let next = open(&directory);
        assert_eq!(next.get(&stamp(1)), Some(Digest::of(b"one")));
        assert_eq!(next.get(&Stamp { ctime: LONG_AGO + 1, ..stamp(1) }), None);
    }

    /// The clock was ten years ahead when the file was remembered, and was then set right.
    #[test]
    fn a_stamp_of_the_future_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let made = Stamp::of(&tempfile::tempfile_in(directory.path()).unwrap().metadata().unwrap());
        let future = Stamp { ctime: made.ctime + 10 * 365 * 86_400 * 1_000_000_000, ..made };
        let cache = open(&directory);
        assert!(!cache.has_passed(&future));
        cache.put(&future, &Digest::of(b"old"));
        cache.save();
        assert_eq!(open(&directory).get(&future), None);
    }

    #[test]
    fn files_that_no_build_meets_are_forgotten_in_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(&directory);
        for inode in [1, 2] {
            first.put(&stamp(inode), &Digest::of(b"old"));
        }
        first.save();
        for write in 0..u64::from(MOST_IDLE) {
            let cache = open(&directory);
            assert!(cache.loaded().table.find(&stamp(2)).is_some(), "forgotten after {write}");
            assert!(cache.get(&stamp(1)).is_some());
            cache.put(&stamp(100 + write), &Digest::of(b"new"));
            cache.save();
        }
        let cache = open(&directory);
        assert!(cache.get(&stamp(1)).is_some() && cache.get(&stamp(2)).is_none());
        assert_eq!(cache.loaded().table.iter().count(), 1 + usize::from(MOST_IDLE));
    }

    #[test]
    fn one_inode_has_one_record() {
        let directory = tempfile::tempdir().unwrap();
        for (ctime, text) in [(LONG_AGO, "old"), (LONG_AGO + 1, "new")] {
            let cache = open(&directory);
            cache.put(&Stamp { ctime, ..stamp(1) }, &Digest::of(text.as_bytes()));
            cache.save();
        }
        let cache = open(&directory);
        assert_eq!(cache.loaded().table.iter().count(), 1);
        assert_eq!(cache.get(&stamp(1)), None);
        assert_eq!(cache.get(&Stamp { ctime: LONG_AGO + 1, ..stamp(1) }), Some(Digest::of(b"new")));
    }
}
