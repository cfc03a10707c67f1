//! Images on disk, for steps to run in.
//!
//! `roots/HEX.d/tree` is a tree that was extracted, or what a layer makes different, for an overlay; `roots/HEX`, a small file,
//! says what it was like when it was whole: a line of JSON, and the SHA-256 of that line. HEX is up to whoever keeps it. To write a
//! tree is the larger part of a step's cost, so it is kept for the next step that stands on it.
//!
//! It is a cache, and trusted as far as this goes:
//!
//! - A tree gets its name when all of it is written. The file is there before it, and goes after it, so that there is no
//!   tree of which nobody knows.
//! - Before each use, the tree is compared with its [`survey`](super::survey): whoever changed anything in it since has
//!   changed that, also if they set back its times. Nothing of it is read for that; to hash a minimal Debian takes 20
//!   times as long.
//! - What no survey shows is a bit that flips on the disk, and what a power failure did to files that were not flushed. So
//!   a tree is used only in the boot in which it was written, and for a day of it.
//!
//! What fails in any of these is a miss, and the tree is written anew.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::oci::canonical_json;

use super::inventory::Kind;
use super::prune::PruneOptions;
use super::survey::survey;
use super::temporary::Temporary;
use super::workplace::Workplace;
use super::{Store, StoreError, action, layout, unflushed};

/// The name of a tree in its directory.
pub const TREE: &str = "tree";
/// Seconds for which a tree is used.
const LIFE: u64 = 24 * 3600;
/// Bytes that trees may take together: when one is added, those used least recently go that nobody uses now.
const ROOM: u64 = 8 << 30;

/// An extracted tree.
#[derive(Debug)]
pub struct StoredRoot<N> {
    /// Where it is, as long as this and the lease with which it was found live.
    pub path: PathBuf,
    /// What was noted when it was written.
    pub note: N,
    /// Where it is if it could not be kept.
    _place: Option<Workplace>,
}

/// What is known about a tree.
#[derive(Serialize, Deserialize)]
struct Record<N> {
    boot: String,
    /// Seconds after the boot.
    written: u64,
    survey: Digest,
    /// Bytes.
    size: u64,
    note: N,
}

impl Store {
    /// The tree of this name; `None` if it is not there, or not as it was when it was written.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn root_tree<N: DeserializeOwned>(&self, name: &Digest) -> Result<Option<StoredRoot<N>>, StoreError> {
        let path = self.root_record(name);
        let Ok(metadata) = fs::symlink_metadata(&path) else { return Ok(None) };
        let Some(record) = fs::read(&path).ok().and_then(|bytes| action::parse::<Record<N>>(&bytes)) else {
            return Ok(None);
        };
        let is_recent = unflushed::boot(self) == Some(&record.boot) && uptime().saturating_sub(record.written) < LIFE;
        if !is_recent || !self.is_kept(&path, &metadata) {
            return Ok(None);
        }
        let path = root_directory(&path).join(TREE);
        let is_whole = survey(&path).is_ok_and(|survey| survey.digest == record.survey);
        Ok(is_whole.then_some(StoredRoot { path, note: record.note, _place: None }))
    }

    /// Keeps the tree [`TREE`] of a directory under a name, in place of what has that name, with a note on it. Whoever calls
    /// this holds the claim for the name. A tree of which there can be no survey is only there until the result is dropped.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn keep_root_tree<N: Serialize>(
        &self,
        name: &Digest,
        place: Workplace,
        note: N,
    ) -> Result<StoredRoot<N>, StoreError> {
        let tree = place.path().join(TREE);
        let (Ok(survey), Some(boot)) = (survey(&tree), unflushed::boot(self)) else {
            return Ok(StoredRoot { path: tree, note, _place: Some(place) });
        };
        let record =
            Record { boot: boot.to_owned(), written: uptime(), survey: survey.digest, size: survey.size, note };
        let path = self.root_record(name);
        drop(self.remove_root(&path)?);
        let line = canonical_json(&record);
        let mut out = Temporary::create(&self.path(layout::INGEST))?;
        let written = out.write_all(&line).and_then(|()| writeln!(out, "\n{}", Digest::of(&line).hex()));
        written.map_err(StoreError::write("write", &path))?;
        out.persist_unflushed(&path, 0o444)?;
        place.rename(&root_directory(&path))?;
        self.prune_kind(Kind::Root, &PruneOptions { keep_size: Some(ROOM), ..PruneOptions::default() })?;
        Ok(StoredRoot { path: root_directory(&path).join(TREE), note: record.note, _place: None })
    }

    /// Moves what has this name out of the way. It is removed when the result is dropped.
    pub(super) fn remove_root(&self, record: &Path) -> Result<Option<Workplace>, StoreError> {
        let directory = root_directory(record);
        let mut aside = None;
        if directory.exists() {
            let place = self.workplace()?;
            fs::rename(&directory, place.path().join(TREE)).map_err(StoreError::write("rename", &directory))?;
            aside = Some(place);
        }
        match fs::remove_file(record) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(aside),
            result => result.map(|()| aside).map_err(StoreError::write("remove", record)),
        }
    }

    fn root_record(&self, name: &Digest) -> PathBuf {
        self.path(layout::ROOTS).join(name.hex())
    }
}

/// Where the tree of a record is.
pub(super) fn root_directory(record: &Path) -> PathBuf {
    record.with_extension("d")
}

/// How many bytes the tree of a record takes; nothing if the record is damaged.
pub(super) fn root_size(record: &Path) -> u64 {
    let record = fs::read(record).ok().and_then(|bytes| action::parse::<Record<serde_json::Value>>(&bytes));
    record.map_or(0, |record| record.size)
}

/// Seconds since the boot, also those in which the machine slept. No change of the clock changes it.
fn uptime() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
}
