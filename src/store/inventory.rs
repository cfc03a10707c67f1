//! The files of the store that can be removed if nobody needs them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Deserialize;

use crate::digest::Digest;

use super::lease::last_use;
use super::reachable::Reachable;
use super::roots::root_size;
use super::{Store, StoreError, layout};

/// What a file of the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Blob,
    LayerIndex,
    ActionRecord,
    ChunkTable,
    Sources,
    Root,
    FileDigests,
    Quarantined,
}

/// A file of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    pub kind: Kind,
    /// The digest after which it is named.
    pub name: Digest,
    /// Bytes.
    pub size: u64,
    /// When it was used for the last time, to about an hour.
    pub used: SystemTime,
    /// Of an action record or a chunk table: the blobs that it is about. Of a blob: those of the records that need it.
    about: Vec<Digest>,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Blob,
        Kind::LayerIndex,
        Kind::ActionRecord,
        Kind::ChunkTable,
        Kind::Sources,
        Kind::Root,
        Kind::FileDigests,
        Kind::Quarantined,
    ];

    /// The directory below the store's root.
    pub fn directory(self) -> &'static str {
        match self {
            Kind::Blob => layout::BLOBS,
            Kind::LayerIndex => layout::LAYERS,
            Kind::ActionRecord => layout::ACTIONS,
            Kind::ChunkTable => layout::CHUNKS,
            Kind::Sources => layout::SOURCES,
            Kind::Root => layout::ROOTS,
            Kind::FileDigests => layout::STAT,
            Kind::Quarantined => layout::QUARANTINE,
        }
    }
}

impl StoredFile {
    /// Its path relative to the store's root.
    pub fn path(&self) -> PathBuf {
        [self.kind.directory(), &self.name.hex()].iter().collect()
    }

    /// True if an image that a reference names needs it, or is made again sooner with it.
    pub(super) fn is_needed(&self, reachable: &Reachable) -> bool {
        match self.kind {
            Kind::Sources => reachable.needs_blob(&self.name),
            Kind::LayerIndex => reachable.needs_layer(&self.name),
            Kind::Blob | Kind::ActionRecord | Kind::ChunkTable => {
                let itself = (self.kind == Kind::Blob).then_some(&self.name);
                itself.into_iter().chain(&self.about).any(|digest| reachable.needs_blob(digest))
            }
            Kind::Root | Kind::FileDigests | Kind::Quarantined => false,
        }
    }

    /// When it was used for the last time, as the file says now; `None` if it is gone. Who uses a blob uses its chunk table.
    pub(super) fn used_now(&self, store: &Store) -> Result<Option<SystemTime>, StoreError> {
        let path = store.root().join(self.path());
        let used = match fs::symlink_metadata(&path) {
            Ok(metadata) => last_use(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::read("inspect", &path)(error)),
        };
        let blob = match (self.kind, self.about.first()) {
            (Kind::ChunkTable, Some(blob)) => fs::symlink_metadata(store.blob_path(blob)).ok(),
            _ => None,
        };
        Ok(Some(blob.map_or(used, |blob| used.max(last_use(&blob)))))
    }
}

/// All files of the store but those that it cannot do without, by kind and name. What has another name than the store
/// gives is not ours.
pub(super) fn inventory(store: &Store) -> Result<Vec<StoredFile>, StoreError> {
    inventory_of(store, &Kind::ALL)
}

/// As [`inventory`], for some kinds.
pub(super) fn inventory_of(store: &Store, kinds: &[Kind]) -> Result<Vec<StoredFile>, StoreError> {
    let mut files: BTreeMap<(Kind, Digest), StoredFile> = BTreeMap::new();
    let mut records = Vec::new();
    for &kind in kinds {
        let directory = store.path(kind.directory());
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(StoreError::read("list", &directory))?,
        };
        for entry in entries {
            let entry = entry.map_err(StoreError::read("list", &directory))?;
            let Some(name) = entry.file_name().to_str().and_then(|name| Digest::from_hex(name).ok()) else { continue };
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata.map_err(StoreError::read("inspect", &entry.path()))?,
            };
            if metadata.is_file() {
                let mut file =
                    StoredFile { kind, name, size: metadata.len(), used: last_use(&metadata), about: Vec::new() };
                match kind {
                    Kind::ActionRecord => {
                        let record = record(store, &name);
                        file.about.clone_from(&record.outputs);
                        records.push(record);
                    }
                    Kind::ChunkTable => {
                        // It has several names, and takes its room once.
                        file.size /= metadata.nlink().max(1);
                        file.about = store.chunk_table_blob(&name).into_iter().collect();
                        let blob = file.about.first().and_then(|blob| files.get(&(Kind::Blob, *blob)));
                        file.used = blob.map_or(file.used, |blob| file.used.max(blob.used));
                    }
                    Kind::Root => file.size += root_size(&entry.path()),
                    Kind::Blob | Kind::LayerIndex | Kind::Sources | Kind::FileDigests | Kind::Quarantined => {}
                }
                files.insert((kind, name), file);
            }
        }
    }
    for Record { outputs, documents } in records {
        for document in documents {
            if let Some(blob) = files.get_mut(&(Kind::Blob, document)) {
                blob.about.extend(&outputs);
            }
        }
    }
    Ok(files.into_values().collect())
}

/// What matters here of an action's record.
#[derive(Default, Deserialize)]
struct Record {
    outputs: Vec<Digest>,
    #[serde(default)]
    documents: Vec<Digest>,
}

/// The record of an action; an empty one if it is damaged.
fn record(store: &Store, key: &Digest) -> Record {
    let bytes = fs::read(store.path(layout::ACTIONS).join(key.hex())).unwrap_or_default();
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice(line).unwrap_or_default()
}
