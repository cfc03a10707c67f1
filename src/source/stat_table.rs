//! The stat cache's file: records of stamps and digests.
//!
//! All numbers are big-endian, so records sort by device and inode as their bytes do, and a look-up is a binary search
//! in the file's bytes: nothing is decoded when it is loaded.
//!
//! ```text
//! bytes
//! 16       "ocify stat v1", zeros
//! 32       SHA-256 of the workspace's root
//! 73 each  device 8, inode 8, size 8, mtime 8, ctime 8 (nanoseconds since 1970, signed), SHA-256 of the content 32,
//!          idle 1: how many times the file was written since a build met this one
//! 32       SHA-256 of all that comes before
//! ```

use crate::digest::Digest;
use crate::entry::Stamp;

const MAGIC: &[u8; 16] = b"ocify stat v1\0\0\0";
const HEADER: usize = 16 + 32;
const CHECKSUM: usize = 32;
const KEY: usize = 16;
const STAMP: usize = 40;
const RECORD: usize = STAMP + 32 + 1;

/// The most records of a table, about 77 MB; of a workspace with more files, some are hashed in each build.
pub(super) const LIMIT: usize = 1 << 20;

/// One file: its stamp and the digest of its content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record([u8; RECORD]);

impl Record {
    /// `None` if a time is out of the range, some 292 years around 1970.
    pub(super) fn new(stamp: &Stamp, digest: &Digest) -> Option<Record> {
        let mut record = [0; RECORD];
        record[..STAMP].copy_from_slice(&encode(stamp)?);
        record[STAMP..RECORD - 1].copy_from_slice(digest.as_bytes());
        Some(Record(record))
    }

    /// Device and inode.
    pub(super) fn key(&self) -> [u8; KEY] {
        *self.0.first_chunk().expect("a record begins with its key")
    }

    /// How many times the file was written since a build met this one.
    pub(super) fn idle(&self) -> u8 {
        self.0[RECORD - 1]
    }

    pub(super) fn with_idle(mut self, idle: u8) -> Record {
        self.0[RECORD - 1] = idle;
        self
    }

    /// The digest, if the file still has this stamp.
    pub(super) fn digest(&self, stamp: &Stamp) -> Option<Digest> {
        (encode(stamp)? == self.0[..STAMP]).then(|| {
            let digest = self.0[STAMP..].first_chunk().expect("a digest follows the stamp");
            Digest::from_bytes(*digest)
        })
    }
}

/// The key of a stamp's record.
pub(super) fn key(stamp: &Stamp) -> [u8; KEY] {
    let mut key = [0; KEY];
    key[..8].copy_from_slice(&stamp.device.to_be_bytes());
    key[8..].copy_from_slice(&stamp.inode.to_be_bytes());
    key
}

fn encode(stamp: &Stamp) -> Option<[u8; STAMP]> {
    let time = |nanoseconds: i128| i64::try_from(nanoseconds).ok().map(i64::to_be_bytes);
    let mut bytes = [0; STAMP];
    bytes[..KEY].copy_from_slice(&key(stamp));
    bytes[16..24].copy_from_slice(&stamp.size.to_be_bytes());
    bytes[24..32].copy_from_slice(&time(stamp.mtime)?);
    bytes[32..].copy_from_slice(&time(stamp.ctime)?);
    Some(bytes)
}

/// Records, one for each device and inode, sorted by these.
#[derive(Default)]
pub(super) struct Table {
    /// The whole file; empty if there is none.
    bytes: Vec<u8>,
}

impl Table {
    /// The most bytes of a table's file.
    pub(super) const MOST_BYTES: u64 = (HEADER + LIMIT * RECORD + CHECKSUM) as u64;

    /// The table in a file's bytes; `None` if it is damaged, of another version, or of another workspace.
    pub(super) fn parse(bytes: Vec<u8>, workspace: &Digest) -> Option<Table> {
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
        let records = content.strip_prefix(MAGIC)?.strip_prefix(workspace.as_bytes())?;
        let sound = records.len() % RECORD == 0 && Digest::of(content).as_bytes() == checksum;
        sound.then_some(Table { bytes })
    }

    /// The file of a table with these records.
    pub(super) fn file(workspace: &Digest, mut records: Vec<Record>) -> Vec<u8> {
        records.sort_unstable();
        let mut bytes = Vec::with_capacity(HEADER + records.len() * RECORD + CHECKSUM);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(workspace.as_bytes());
        records.iter().for_each(|record| bytes.extend_from_slice(&record.0));
        let checksum = Digest::of(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes
    }

    pub(super) fn records(&self) -> &[[u8; RECORD]] {
        let end = self.bytes.len().saturating_sub(CHECKSUM);
        self.bytes.get(HEADER..end).unwrap_or_default().as_chunks().0
    }

    /// The record of the stamp's device and inode, and its place in the table.
    pub(super) fn find(&self, stamp: &Stamp) -> Option<(usize, Record)> {
        let (records, key) = (self.records(), key(stamp));
        let at = records.binary_search_by(|record| record[..KEY].cmp(&key)).ok()?;
        Some((at, Record(records[at])))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Record> {
        self.records().iter().map(|record| Record(*record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(inode: u64) -> Stamp {
        Stamp { device: 7, inode, size: 5, mtime: -3, ctime: 1_700_000_000_123_456_789 }
    }

    fn file() -> (Digest, Vec<u8>) {
        let workspace = Digest::of(b"/w");
        let record = |inode| Record::new(&stamp(inode), &Digest::of(&[inode as u8])).unwrap();
        (workspace, Table::file(&workspace, [300, 2, 70_000, 1].map(record).to_vec()))
    }

    #[test]
    fn a_record_is_found_by_its_whole_stamp() {
        let (workspace, file) = file();
        let table = Table::parse(file, &workspace).unwrap();
        assert_eq!(table.iter().count(), 4);
        let find = |stamp: Stamp| table.find(&stamp).and_then(|(_, record)| record.digest(&stamp));
        for inode in [1, 2, 300, 70_000] {
            let same = stamp(inode);
            assert_eq!(find(same), Some(Digest::of(&[inode as u8])));
            for other in [
                Stamp { device: 8, ..same },
                Stamp { inode: 3, ..same },
                Stamp { size: 6, ..same },
                Stamp { mtime: -2, ..same },
                Stamp { ctime: same.ctime + 1, ..same },
                Stamp { ctime: same.ctime + (1 << 64), ..same },
            ] {
                assert_eq!(find(other), None, "{other:?}");
            }
        }
        assert!(Record::new(&Stamp { mtime: 1 << 64, ..stamp(1) }, &workspace).is_none());
        assert!(Table::default().find(&stamp(1)).is_none());
    }

    #[test]
    fn a_damaged_or_foreign_file_is_no_table() {
        let (workspace, file) = file();
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert!(Table::parse(damaged, &workspace).is_none(), "bit {at}");
            assert!(Table::parse(file[..at].to_vec(), &workspace).is_none(), "cut at {at}");
        }
        assert!(Table::parse([&file[..], b"x"].concat(), &workspace).is_none());
        assert!(Table::parse(file, &Digest::of(b"/other")).is_none());
    }
}
