//! What is to be done for a layer, and how much of it is under way.

use super::plan::Chunk;
use super::reuse::Reuse;

/// Chunks that are read have this many uncompressed bytes under way at most for each thread, and within these bounds
/// altogether. With their packed bytes and the packers' buffers, this bounds the memory, and the smaller it is the less
/// memory is touched for the first time, which is what much of the time goes to when little is compressed. No part of the
/// encoding: it does not reach the output.
const READING_WINDOW: u64 = 8 << 20;
const READING_WINDOWS: (u64, u64) = (16 << 20, 40 << 20);
/// Chunks that are copied have this many bytes under way at most.
const COPYING_WINDOW: u64 = 8 << 20;

/// One step for one chunk, on any thread and beside others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    /// The chunk.
    pub(super) index: usize,
    pub(super) work: Work,
    /// Bytes held until the chunk has left the lanes.
    pub(super) len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Read it and pack it; it is hashed and written.
    Pack,
    /// Read it only to be hashed, as the digest of the uncompressed stream needs it: its packed bytes are copied.
    Hash,
    /// Copy its packed bytes.
    Copy,
}

/// Tasks that are begun in the order of their chunks, as far as there is room.
///
/// There are two queues, one of chunks that are read and one of chunks that are copied, since the hash of the uncompressed
/// stream, which needs the first, would otherwise wait for the copies before them. The first task of either that is not
/// done has always been begun, so what waits in a lane waits for something that is under way.
#[derive(Debug)]
pub(super) struct Queue {
    tasks: Vec<Task>,
    /// The task that is begun next.
    next: usize,
    /// Bytes of the tasks that are under way, and their greatest number.
    under_way: u64,
    window: u64,
}

impl Queue {
    /// What is to be read of the chunks from number `first` on.
    pub(super) fn reading(chunks: &[Chunk], reuse: &Reuse, first: usize) -> Self {
        let tasks = chunks.iter().enumerate().skip(first).map(|(index, chunk)| {
            let work = if reuse.packed(index).is_some() { Work::Hash } else { Work::Pack };
            Task { index, work, len: chunk.len }
        });
        let (least, most) = READING_WINDOWS;
        let window = (rayon::current_num_threads() as u64 * READING_WINDOW).clamp(least, most);
        Queue { tasks: tasks.collect(), next: 0, under_way: 0, window }
    }

    /// What is to be copied.
    pub(super) fn copying(chunks: &[Chunk], reuse: &Reuse) -> Self {
        let copied = (0..chunks.len()).filter_map(|index| Some((index, reuse.packed(index)?)));
        let tasks = copied.map(|(index, packed)| Task { index, work: Work::Copy, len: packed.len });
        Queue { tasks: tasks.collect(), next: 0, under_way: 0, window: COPYING_WINDOW }
    }

    /// Begins a task if there is room for one.
    pub(super) fn begin(&mut self) -> Option<Task> {
        let task = *self.tasks.get(self.next)?;
        let room = self.under_way == 0 || self.under_way + task.len <= self.window;
        room.then(|| {
            self.next += 1;
            self.under_way += task.len;
            task
        })
    }

    /// A task that held `len` bytes is done.
    pub(super) fn end(&mut self, len: u64) {
        self.under_way -= len;
    }
}
