//! The action cache: what an action gave, under the key of everything that decided it.
//!
//! `actions/HEX`, HEX being the cache key, is two lines: a JSON object with the preimage and the result, and the SHA-256
//! of that line. It is a cache: a record that is truncated or altered is removed and counts as a miss. So it is not
//! flushed to the disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::{CacheKey, Digest};
use crate::oci::canonical_json;

use super::temporary::Temporary;
use super::{Store, StoreError, layout};

/// What is stored of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord<P, R> {
    /// What the key is the digest of, for explaining a miss.
    pub preimage: P,
    pub result: R,
    /// The blobs that the result is about: as long as a reference needs one of them, the record is worth its room.
    pub outputs: Vec<Digest>,
    /// Small blobs that stay as long as the record is worth its room, which it is not without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Digest>,
}

impl Store {
    /// The record of an action; `None` if there is none that can be read.
    pub fn action<P: DeserializeOwned, R: DeserializeOwned>(
        &self,
        key: &CacheKey,
    ) -> Result<Option<ActionRecord<P, R>>, StoreError> {
        let path = self.action_path(key);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(StoreError::read("open", &path))?,
        };
        let metadata = file.metadata().map_err(StoreError::read("inspect", &path))?;
        let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
        // `take`, as a file by itself asks for its length once more.
        file.take(u64::MAX).read_to_end(&mut bytes).map_err(StoreError::read("read", &path))?;
        let record = parse(&bytes);
        if record.is_none() {
            // If that fails, it is a miss again next time.
            let _ = fs::remove_file(&path);
        }
        Ok(record.filter(|_| self.is_kept(&path, &metadata)))
    }

    /// Stores the record of an action, in place of an older one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_action<P: Serialize, R: Serialize>(
        &self,
        key: &CacheKey,
        record: &ActionRecord<P, R>,
    ) -> Result<(), StoreError> {
        let path = self.action_path(key);
        let line = canonical_json(record);
        let mut out = Temporary::create(&self.path(layout::INGEST))?;
        let mut write = || {
            out.write_all(&line)?;
            writeln!(out, "\n{}", Digest::of(&line).hex())
        };
        write().map_err(StoreError::write("write", &path))?;
        out.persist_unflushed(&path, 0o444)
    }

    /// The keys of all actions that have a record, sorted.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn action_keys(&self) -> Result<Vec<CacheKey>, StoreError> {
        let directory = self.path(layout::ACTIONS);
        let mut keys = Vec::new();
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(keys),
            entries => entries.map_err(StoreError::read("list", &directory))?,
        };
        for entry in entries {
            let name = entry.map_err(StoreError::read("list", &directory))?.file_name();
            keys.extend(name.to_str().and_then(|name| Digest::from_hex(name).ok()).map(CacheKey));
        }
        keys.sort();
        Ok(keys)
    }

    fn action_path(&self, key: &CacheKey) -> PathBuf {
        self.path(layout::ACTIONS).join(key.0.hex())
    }
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (line, checksum) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let whole = Digest::from_hex(checksum.strip_suffix('\n')?).ok()? == Digest::of(line.as_bytes());
    if whole { serde_json::from_str(line).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Record = ActionRecord<String, u32>;

    #[test]
    fn a_record_comes_back_and_a_damaged_one_is_a_miss() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let key = CacheKey(Digest::of(b"key"));
        let record = Record { preimage: "why".into(), result: 7, outputs: Vec::new(), documents: Vec::new() };
        assert_eq!(store.action::<String, u32>(&key).unwrap(), None);
        store.put_action(&key, &record).unwrap();
        assert_eq!(store.action(&key).unwrap(), Some(record.clone()));

        let path = store.action_path(&key);
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(9) {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            let zeros = vec![0; whole.len()];
            for damaged in [&flipped, &whole[..at], &zeros] {
                fs::remove_file(&path).unwrap();
                fs::write(&path, damaged).unwrap();
                assert_eq!(store.action::<String, u32>(&key).unwrap(), None, "byte {at}");
                assert!(!path.exists(), "a damaged record is removed");
                store.put_action(&key, &record).unwrap();
            }
        }
    }
}
