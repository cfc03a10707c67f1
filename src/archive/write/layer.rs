//! The pipeline that makes a layer of planned chunks.
//!
//! Every chunk passes three stations. It is packed, which includes the reading of files, on any thread and beside
//! others. Then two [lanes](Lane) take it in order, each beside the other: one hashes the uncompressed stream, one
//! hashes and writes the compressed one. As soon as a chunk has left both, the next one is begun: threads idle only
//! when both lanes are busy, which means that hashing or writing is what bounds the speed.
//!
//! A chunk whose packed bytes are copied from an older layer passes the two lanes as two things: its bytes, read only to be
//! hashed, and its packed bytes. One at the head of the layer passes the second lane only.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use rayon::ScopeFifo;

use super::buffer::{Buffer, Buffers};
use super::error::EncodeError;
use super::lane::Lane;
use super::output::{LayerWriter, StreamHasher};
use super::pack::Packer;
use super::plan::{Chunk, Plan};
use super::reuse::{Reuse, StreamStates};
use super::stream::assemble;
use super::task::{Queue, Task, Work};
use super::{ChunkRecord, EncodedLayer};
use crate::digest::DiffId;
use crate::entry::Entry;
use crate::format::Compression;

/// Makes the planned chunks and writes them.
pub(super) fn write(
    entries: &[Entry],
    plan: Plan,
    compression: Compression,
    reuse: &Reuse,
    out: &mut (impl Write + Send),
) -> Result<EncodedLayer, EncodeError> {
    // As it is written as it is, a copy of it would save nothing.
    let (none, packs) = (Reuse::default(), compression != Compression::None);
    let reuse = if packs { reuse } else { &none };
    let (head, uncompressed, written) = reuse.resume();
    let intake = Intake {
        reading: Queue::reading(&plan.chunks, reuse, head.len()),
        copying: Queue::copying(&plan.chunks, reuse),
        failure: None,
    };
    let pipeline = Pipeline {
        entries,
        chunks: &plan.chunks,
        compression,
        reuse,
        intake: Mutex::new(intake),
        packers: Mutex::default(),
        buffers: Buffers::default(),
        hashing: Lane::new(head.len(), StreamHasher::new(head, uncompressed)),
        writing: Lane::new(0, LayerWriter::new(out, head, packs.then_some(written))),
    };
    rayon::scope_fifo(|scope| {
        pipeline.refill(|intake| &mut intake.reading, 0, scope);
        pipeline.refill(|intake| &mut intake.copying, 0, scope);
    });

    let Pipeline { intake, hashing, writing, .. } = pipeline;
    if let Some((_, error)) = intake.into_inner().expect(UNPOISONED).failure {
        return Err(error);
    }
    let (hasher, writer) = (hashing.into_worker(), writing.into_worker());
    let (hasher, writer) = hasher.zip(writer).expect("a worker that failed has left its error");
    let ((diff_id, states), (digest, written)) = (hasher.finish(), writer.finish());
    let mut size = 0;
    let chunks = plan.chunks.iter().zip(states.into_iter().zip(written)).map(|(chunk, (uncompressed, written))| {
        let packed_offset = size;
        size += written.len;
        ChunkRecord {
            identity: chunk.identity,
            offset: chunk.offset,
            len: chunk.len,
            packed_offset,
            packed_len: written.len,
            packed_crc: written.crc,
            states: StreamStates { uncompressed, written: written.state.unwrap_or(uncompressed) },
        }
    });
    Ok(EncodedLayer {
        diff_id: DiffId(diff_id),
        uncompressed_size: plan.size,
        digest: digest.unwrap_or(diff_id),
        chunks: chunks.collect(),
        size,
        offsets: plan.offsets,
        copied: reuse.packed.iter().flatten().count(),
    })
}

/// A chunk that was read.
struct Read {
    bytes: Buffer,
    form: Form,
}

/// How a chunk that was read is written.
enum Form {
    Packed(Buffer),
    AsItIs,
    /// It is not: it was read only to be hashed.
    Copied,
}

/// A chunk that is ready to be written.
enum Ready {
    Read(Arc<Read>),
    /// Packed bytes and their CRC-32.
    Copied(Buffer, u32),
}

struct Pipeline<'a, W> {
    entries: &'a [Entry],
    chunks: &'a [Chunk],
    compression: Compression,
    reuse: &'a Reuse,
    intake: Mutex<Intake>,
    /// Those that no chunk uses at the moment: each is made once and goes from chunk to chunk.
    packers: Mutex<Vec<Packer>>,
    buffers: Buffers,
    hashing: Lane<StreamHasher, Arc<Read>>,
    writing: Lane<LayerWriter<'a, W>, Ready>,
}

/// What has been begun.
struct Intake {
    reading: Queue,
    copying: Queue,
    /// The error of the first chunk in order that has one: all before it in its queue have been begun, so it does not
    /// depend on which thread was first.
    failure: Option<(usize, EncodeError)>,
}

impl<W: Write + Send> Pipeline<'_, W> {
    /// Begins the tasks of a queue for which there is room, after one of `left` bytes is done.
    fn refill<'scope>(&'scope self, queue: impl Fn(&mut Intake) -> &mut Queue, left: u64, scope: &ScopeFifo<'scope>) {
        let mut intake = self.intake();
        queue(&mut intake).end(left);
        while intake.failure.is_none()
            && let Some(task) = queue(&mut intake).begin()
        {
            scope.spawn_fifo(move |scope| self.pass(task, scope));
        }
    }

    /// Takes one chunk through.
    fn pass<'scope>(&'scope self, task: Task, scope: &ScopeFifo<'scope>) {
        if let Err(error) = self.deliver(task) {
            self.fail(task.index, error);
        }
        let hashed = self.hashing.run(|hasher, _, chunk| {
            hasher.update(&chunk.bytes);
            self.leave(chunk, scope);
            Ok(())
        });
        let written =
            self.writing.run(|writer, index, chunk| self.write(writer, chunk, scope).map_err(|error| (index, error)));
        if let Err((index, error)) = hashed.and(written) {
            self.fail(index, error);
        }
    }

    /// Does a task up to the lanes.
    fn deliver(&self, Task { index, work, len }: Task) -> Result<(), EncodeError> {
        let mut bytes = self.buffers.take(len as usize);
        match work {
            Work::Copy => {
                let chunk = self.reuse.packed(index).expect("only what is known is copied");
                chunk.read(&mut bytes).map_err(EncodeError::Copy)?;
                self.writing.deliver(index, Ready::Copied(bytes, chunk.crc));
            }
            Work::Hash => {
                assemble(self.entries, &self.chunks[index], &mut bytes)?;
                self.hashing.deliver(index, Arc::new(Read { bytes, form: Form::Copied }));
            }
            Work::Pack => {
                assemble(self.entries, &self.chunks[index], &mut bytes)?;
                let form = self.pack(&bytes);
                // Both lanes have it before this thread does a lane's work: others may take it meanwhile.
                let chunk = Arc::new(Read { bytes, form });
                self.hashing.deliver(index, chunk.clone());
                self.writing.deliver(index, Ready::Read(chunk));
            }
        }
        Ok(())
    }

    fn pack(&self, bytes: &[u8]) -> Form {
        let packer = self.packers().pop();
        let mut packer = packer.unwrap_or_else(|| Packer::new(self.compression));
        let mut packed = self.buffers.take(bytes.len());
        let as_it_is = !packer.pack(bytes, &mut packed);
        self.packers().push(packer);
        if as_it_is { Form::AsItIs } else { Form::Packed(packed) }
    }

    fn write<'scope>(
        &'scope self,
        writer: &mut LayerWriter<'_, W>,
        chunk: Ready,
        scope: &ScopeFifo<'scope>,
    ) -> Result<(), EncodeError> {
        match chunk {
            Ready::Read(chunk) => {
                let out = match &chunk.form {
                    Form::Packed(packed) => packed,
                    Form::AsItIs => &chunk.bytes,
                    Form::Copied => unreachable!("it came as `Ready::Copied`"),
                };
                writer.write(out, libdeflater::crc32(out))?;
                self.leave(chunk, scope);
            }
            Ready::Copied(packed, crc) => {
                writer.write(&packed, crc)?;
                let len = packed.len() as u64;
                self.buffers.put(packed);
                self.refill(|intake| &mut intake.copying, len, scope);
            }
        }
        Ok(())
    }

    /// A lane is done with `chunk`. If it is the last one, there is room for others.
    fn leave<'scope>(&'scope self, chunk: Arc<Read>, scope: &ScopeFifo<'scope>) {
        if let Some(Read { bytes, form }) = Arc::into_inner(chunk) {
            let len = bytes.len() as u64;
            self.buffers.put(bytes);
            if let Form::Packed(packed) = form {
                self.buffers.put(packed);
            }
            self.refill(|intake| &mut intake.reading, len, scope);
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
