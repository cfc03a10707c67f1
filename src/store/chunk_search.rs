//! Which chunks of a new layer lie in blobs of the store.
//!
//! `chunks/HEX` is the [`ChunkTable`] of a layer, HEX being the identity of one of its chunks: the table lies there under
//! the four least identities that the layer has (as hard links, so it is written once). A new layer is looked up under its
//! own four least. Two layers that share most of their chunks share most likely one of these, whatever step or
//! workspace they come from, and of all tables in the store only up to four are read; of two layers with the same identity
//! the younger one has it. (This is the representative of "Extreme Binning", Bhagwat et al., MASCOTS 2009.)
//!
//! It is a cache: a table that is missing, damaged or of a blob that is gone is a miss, and none is flushed to the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use crate::digest::{Digest, HasherState};

use super::chunk_table::{ChunkTable, StoredChunk};
use super::temporary::Temporary;
use super::{Store, StoreError, layout};

/// Number of names of a table.
const NAMES: usize = 4;

/// What the store has of a layer's chunks.
#[derive(Debug, Default)]
pub struct FoundChunks {
    /// For each chunk where it lies, if it was found.
    pub chunks: Vec<Option<FoundChunk>>,
    /// For each of the first chunks, as far as one blob begins with them, the hashers after it: of the uncompressed stream
    /// and of the blob.
    pub head: Vec<(HasherState, HasherState)>,
}

/// A chunk in a blob. Its bytes have not been looked at: who reads them compares the CRC-32.
#[derive(Clone, Debug)]
pub struct FoundChunk {
    pub file: Arc<File>,
    pub offset: u64,
    pub len: u64,
    pub crc: u32,
}

impl Store {
    /// Looks for chunks by their identities, a layer's in order. A layer of a single chunk is not looked for: either it is
    /// there as a whole, or it is a new one.
    pub fn find_chunks(&self, identities: &[Digest]) -> FoundChunks {
        let mut found = FoundChunks::default();
        let mut blobs = BTreeSet::new();
        let mut places = BTreeMap::new();
        for name in names(identities) {
            let Some(table) = self.chunk_table(&name) else { continue };
            if !blobs.insert(table.blob) {
                continue;
            }
            let Some(file) = self.blob_file(&table) else { continue };
            let mut offset = 0;
            for StoredChunk { identity, len, crc, .. } in &table.chunks {
                let chunk = FoundChunk { file: file.clone(), offset, len: *len, crc: *crc };
                places.entry(*identity).or_insert(chunk);
                offset += len;
            }
            let same = table.chunks.iter().zip(identities).take_while(|(chunk, identity)| chunk.identity == **identity);
            let head: Vec<_> = same.map(|(chunk, _)| (chunk.uncompressed, chunk.written)).collect();
            if head.len() > found.head.len() {
                found.head = head;
            }
        }
        if !places.is_empty() {
            found.chunks = identities.iter().map(|identity| places.get(identity).cloned()).collect();
        }
        found
    }

    /// Remembers the chunks of a layer's blob, in order. Of a blob of one chunk nothing is remembered.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn put_chunks(&self, blob: &Digest, chunks: &[StoredChunk]) -> Result<(), StoreError> {
        let identities: Vec<Digest> = chunks.iter().map(|chunk| chunk.identity).collect();
        let mut paths = names(&identities).into_iter().map(|name| self.chunks_path(&name));
        let Some(first) = paths.next() else { return Ok(()) };
        let mut temporary = Temporary::create(&self.path(layout::INGEST))?;
        temporary.write_all(&ChunkTable::file(blob, chunks)).map_err(StoreError::write("write", &first))?;
        temporary.persist_unflushed(&first, 0o600)?;
        for other in paths {
            // Without its other names a table is found less often. The gap between the two is a miss for others.
            let _ = fs::remove_file(&other);
            let _ = fs::hard_link(&first, &other);
        }
        Ok(())
    }

    /// The blob that the table of this name is about; `None` if it is damaged.
    pub(super) fn chunk_table_blob(&self, name: &Digest) -> Option<Digest> {
        self.chunk_table(name).map(|table| table.blob)
    }

    fn chunk_table(&self, name: &Digest) -> Option<ChunkTable> {
        let file = File::open(self.chunks_path(name)).ok()?;
        let mut bytes = Vec::with_capacity(file.metadata().ok()?.len().min(ChunkTable::MOST_BYTES) as usize + 1);
        file.take(ChunkTable::MOST_BYTES).read_to_end(&mut bytes).ok()?;
        ChunkTable::parse(&bytes)
    }

    /// The blob of a table; `None` if it is gone or has another length.
    fn blob_file(&self, table: &ChunkTable) -> Option<Arc<File>> {
        let file = File::open(self.blob_path(&table.blob)).ok()?;
        let size = table.chunks.iter().try_fold(0_u64, |size, chunk| size.checked_add(chunk.len))?;
        (file.metadata().ok()?.len() == size).then(|| Arc::new(file))
    }

    fn chunks_path(&self, identity: &Digest) -> PathBuf {
        self.path(layout::CHUNKS).join(identity.hex())
    }
}

/// The names of the table of a layer with these chunks.
fn names(identities: &[Digest]) -> Vec<Digest> {
    if identities.len() < 2 {
        return Vec::new();
    }
    let least: BTreeSet<Digest> = identities.iter().copied().collect();
    least.into_iter().take(NAMES).collect()
}
