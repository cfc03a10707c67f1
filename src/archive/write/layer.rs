//! The ordered writing of chunks that are packed in parallel.

use std::io::Write;
use std::sync::Mutex;

use rayon::prelude::*;

use super::error::EncodeError;
use super::pack::Packer;
use super::plan::{Chunk, Plan};
use super::stream::{assemble, identity};
use super::{ChunkRecord, EncodedLayer};
use crate::digest::{DiffId, Digest, Hasher};
use crate::entry::Entry;
use crate::format::Compression;

/// Chunks are packed in batches of about this many uncompressed bytes; with its compressed bytes, and what is left of
/// the batch that is being written, this bounds the memory. No part of the encoding: it does not reach the output.
const BATCH: u64 = 24 << 20;

/// A chunk that is ready to be written.
struct Packed {
    identity: Digest,
    offset: u64,
    bytes: Vec<u8>,
    /// `None` when it is written as it is.
    packed: Option<Vec<u8>>,
}

/// Writes the planned chunks: while one batch is hashed and written, the next one is read and packed.
pub(super) fn write(
    entries: &[Entry],
    plan: Plan,
    compression: Compression,
    out: &mut (impl Write + Send),
) -> Result<EncodedLayer, EncodeError> {
    let mut writer = LayerWriter::new(out);
    let packers = Packers { compression, idle: Mutex::default() };
    let mut ready = Vec::new();
    for batch in batches(&plan.chunks) {
        let (written, next) = rayon::join(|| writer.write(ready), || pack(entries, batch, &packers));
        written?;
        ready = next?;
    }
    writer.write(ready)?;
    Ok(writer.finish(plan))
}

/// Consecutive chunks of about [`BATCH`] bytes.
fn batches(chunks: &[Chunk]) -> impl Iterator<Item = &[Chunk]> {
    chunks.chunk_by(|a, b| a.offset / BATCH == b.offset / BATCH)
}

/// Packers that no chunk uses at the moment: each is made once and goes from chunk to chunk.
struct Packers {
    compression: Compression,
    idle: Mutex<Vec<Packer>>,
}

impl Packers {
    fn pack(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let idle = || self.idle.lock().expect("nothing panics while it holds this lock");
        let packer = idle().pop();
        let mut packer = packer.unwrap_or_else(|| Packer::new(self.compression));
        let packed = packer.pack(bytes);
        idle().push(packer);
        packed
    }
}

fn pack(entries: &[Entry], batch: &[Chunk], packers: &Packers) -> Result<Vec<Packed>, EncodeError> {
    let pack = |chunk: &Chunk| {
        let bytes = assemble(entries, chunk)?;
        let packed = packers.pack(&bytes);
        Ok(Packed { identity: identity(entries, chunk, packers.compression)?, offset: chunk.offset, bytes, packed })
    };
    // Collected by index, so the order is the plan's whichever thread was first: for reproducibility. Of several
    // errors the first in order is reported, too.
    let packed: Vec<Result<Packed, EncodeError>> = batch.par_iter().with_max_len(1).map(pack).collect();
    packed.into_iter().collect()
}

/// Writes chunks in order and hashes both streams.
struct LayerWriter<'a, W> {
    out: &'a mut W,
    uncompressed: Hasher,
    /// `None` as long as all chunks are written as they are: the digest is then the diff ID.
    compressed: Option<Hasher>,
    size: u64,
    chunks: Vec<ChunkRecord>,
}

impl<'a, W: Write + Send> LayerWriter<'a, W> {
    fn new(out: &'a mut W) -> Self {
        LayerWriter { out, uncompressed: Hasher::new(), compressed: None, size: 0, chunks: Vec::new() }
    }

    fn write(&mut self, batch: Vec<Packed>) -> Result<(), EncodeError> {
        let LayerWriter { out, uncompressed, compressed, size, chunks } = self;
        let hash = || batch.iter().for_each(|chunk| uncompressed.update(&chunk.bytes));
        let write = || -> Result<(), EncodeError> {
            for chunk in &batch {
                let bytes = chunk.packed.as_ref().unwrap_or(&chunk.bytes);
                if chunk.packed.is_some() {
                    compressed.get_or_insert_default().update(bytes);
                }
                out.write_all(bytes).map_err(EncodeError::Write)?;
                chunks.push(ChunkRecord {
                    identity: chunk.identity,
                    offset: chunk.offset,
                    len: chunk.bytes.len() as u64,
                    packed_offset: *size,
                    packed_len: bytes.len() as u64,
                });
                *size += bytes.len() as u64;
            }
            Ok(())
        };
        rayon::join(hash, write).1
    }

    fn finish(self, plan: Plan) -> EncodedLayer {
        let diff_id = self.uncompressed.finish();
        EncodedLayer {
            diff_id: DiffId(diff_id),
            uncompressed_size: plan.size,
            digest: self.compressed.map_or(diff_id, Hasher::finish),
            size: self.size,
            offsets: plan.offsets,
            chunks: self.chunks,
        }
    }
}
