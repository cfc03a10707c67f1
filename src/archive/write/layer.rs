//! The pipeline that makes a layer of planned chunks.
//!
//! Every chunk passes three stations. It is packed, which includes the reading of files, on any thread and beside
//! others. Then two [lanes](Lane) take it in order, each beside the other: one hashes the uncompressed stream, one
//! hashes and writes the compressed one. As soon as a chunk has left both, the next one is begun: threads idle only
//! when both lanes are busy, which means that hashing or writing is what bounds the speed.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use rayon::ScopeFifo;

use super::buffer::{Buffer, Buffers};
use super::error::EncodeError;
use super::lane::Lane;
use super::pack::Packer;
use super::plan::{Chunk, Plan};
use super::stream::assemble;
use super::{ChunkRecord, EncodedLayer};
use crate::digest::{DiffId, Hasher};
use crate::entry::Entry;
use crate::format::Compression;

/// Chunks under way have this many uncompressed bytes at most; with their compressed bytes and the packers' buffers,
/// this bounds the memory. No part of the encoding: it does not reach the output.
const WINDOW: u64 = 40 << 20;

/// Makes the planned chunks and writes them.
pub(super) fn write(
    entries: &[Entry],
    plan: Plan,
    compression: Compression,
    out: &mut (impl Write + Send),
) -> Result<EncodedLayer, EncodeError> {
    let pipeline = Pipeline {
        entries,
        chunks: &plan.chunks,
        compression,
        intake: Mutex::default(),
        packers: Mutex::default(),
        buffers: Buffers::default(),
        hashing: Lane::new(Hasher::new()),
        writing: Lane::new(LayerWriter { out, compressed: None, size: 0, chunks: Vec::new() }),
    };
    rayon::scope_fifo(|scope| pipeline.refill(0, scope));

    let Pipeline { intake, hashing, writing, .. } = pipeline;
    if let Some((_, error)) = intake.into_inner().expect(UNPOISONED).failure {
        return Err(error);
    }
    let (hasher, writer) = (hashing.into_worker(), writing.into_worker());
    let (hasher, writer) = hasher.zip(writer).expect("a worker that failed has left its error");
    let diff_id = hasher.finish();
    Ok(EncodedLayer {
        diff_id: DiffId(diff_id),
        uncompressed_size: plan.size,
        digest: writer.compressed.map_or(diff_id, Hasher::finish),
        size: writer.size,
        offsets: plan.offsets,
        chunks: writer.chunks,
    })
}

/// A chunk that is ready to be hashed and written.
struct Packed {
    bytes: Buffer,
    /// `None` when it is written as it is.
    packed: Option<Buffer>,
}

struct Pipeline<'a, W> {
    entries: &'a [Entry],
    chunks: &'a [Chunk],
    compression: Compression,
    intake: Mutex<Intake>,
    /// Those that no chunk uses at the moment: each is made once and goes from chunk to chunk.
    packers: Mutex<Vec<Packer>>,
    buffers: Buffers,
    hashing: Lane<Hasher, Arc<Packed>>,
    writing: Lane<LayerWriter<'a, W>, Arc<Packed>>,
}

/// What has been begun.
#[derive(Default)]
struct Intake {
    /// The chunk that is begun next.
    next: usize,
    /// Uncompressed bytes of the chunks that are under way.
    under_way: u64,
    /// The error of the first chunk in order that has one: all before it have been begun, so it does not depend on
    /// which thread was first.
    failure: Option<(usize, EncodeError)>,
}

impl<W: Write + Send> Pipeline<'_, W> {
    /// Begins the chunks for which there is room, after one of `left` bytes has left both lanes.
    fn refill<'scope>(&'scope self, left: u64, scope: &ScopeFifo<'scope>) {
        let mut intake = self.intake();
        intake.under_way -= left;
        while let Some(chunk) = self.chunks.get(intake.next)
            && (intake.under_way == 0 || intake.under_way + chunk.len <= WINDOW)
            && intake.failure.is_none()
        {
            let index = intake.next;
            intake.next += 1;
            intake.under_way += chunk.len;
            scope.spawn_fifo(move |scope| self.pass(index, scope));
        }
    }

    /// Takes one chunk through.
    fn pass<'scope>(&'scope self, index: usize, scope: &ScopeFifo<'scope>) {
        match self.pack(&self.chunks[index]) {
            Ok(packed) => {
                // Both lanes have it before this thread does a lane's work: others may take it meanwhile.
                let packed = Arc::new(packed);
                self.hashing.deliver(index, packed.clone());
                self.writing.deliver(index, packed);
            }
            Err(error) => self.fail(index, error),
        }
        let hashed = self.hashing.run(|hasher, _, chunk| {
            hasher.update(&chunk.bytes);
            self.leave(chunk, scope);
            Ok(())
        });
        let written = self.writing.run(|writer, index, chunk| {
            writer.write(&self.chunks[index], &chunk).map_err(|error| (index, error))?;
            self.leave(chunk, scope);
            Ok(())
        });
        if let Err((index, error)) = hashed.and(written) {
            self.fail(index, error);
        }
    }

    fn pack(&self, chunk: &Chunk) -> Result<Packed, EncodeError> {
        let len = chunk.len as usize;
        let mut bytes = self.buffers.take(len);
        assemble(self.entries, chunk, &mut bytes)?;
        let packer = self.packers().pop();
        let mut packer = packer.unwrap_or_else(|| Packer::new(self.compression));
        let mut packed = self.buffers.take(len);
        let packed = packer.pack(&bytes, &mut packed).then_some(packed);
        self.packers().push(packer);
        Ok(Packed { bytes, packed })
    }

    /// A lane is done with `chunk`. If it is the second one, there is room for others.
    fn leave<'scope>(&'scope self, chunk: Arc<Packed>, scope: &ScopeFifo<'scope>) {
        if let Some(chunk) = Arc::into_inner(chunk) {
            let len = chunk.bytes.len() as u64;
            self.buffers.put(chunk.bytes);
            chunk.packed.into_iter().for_each(|packed| self.buffers.put(packed));
            self.refill(len, scope);
        }
    }

    fn fail(&self, index: usize, error: EncodeError) {
        let mut intake = self.intake();
        if intake.failure.as_ref().is_none_or(|(first, _)| index < *first) {
            intake.failure = Some((index, error));
        }
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().expect(UNPOISONED)
    }

    fn packers(&self) -> MutexGuard<'_, Vec<Packer>> {
        self.packers.lock().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "nothing panics while it holds this lock";

/// Writes the compressed stream and hashes it.
struct LayerWriter<'a, W> {
    out: &'a mut W,
    /// `None` as long as all chunks are written as they are: the digest is then the diff ID.
    compressed: Option<Hasher>,
    size: u64,
    chunks: Vec<ChunkRecord>,
}

impl<W: Write> LayerWriter<'_, W> {
    fn write(&mut self, chunk: &Chunk, Packed { bytes, packed }: &Packed) -> Result<(), EncodeError> {
        if let Some(packed) = packed {
            self.compressed.get_or_insert_default().update(packed);
        }
        let out = packed.as_ref().unwrap_or(bytes);
        self.out.write_all(out).map_err(EncodeError::Write)?;
        self.chunks.push(ChunkRecord {
            identity: chunk.identity,
            offset: chunk.offset,
            len: chunk.len,
            packed_offset: self.size,
            packed_len: out.len() as u64,
        });
        self.size += out.len() as u64;
        Ok(())
    }
}
