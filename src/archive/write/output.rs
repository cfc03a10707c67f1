//! The two streams of a layer where they leave the pipeline, in order.

use std::io::Write;

use super::error::EncodeError;
use super::reuse::StreamStates;
use crate::digest::{Digest, Hasher, HasherState};

/// Hashes the uncompressed stream.
pub(super) struct StreamHasher {
    hasher: Hasher,
    /// After each chunk so far.
    states: Vec<HasherState>,
}

impl StreamHasher {
    /// `hasher` has seen the chunks that `head` is about.
    pub(super) fn new(head: &[StreamStates], hasher: Hasher) -> Self {
        StreamHasher { hasher, states: head.iter().map(|states| states.uncompressed).collect() }
    }

    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
        self.states.push(self.hasher.state());
    }

    /// The digest, and the state after each chunk.
    pub(super) fn finish(self) -> (Digest, Vec<HasherState>) {
        (self.hasher.finish(), self.states)
    }
}

/// Writes chunks and hashes what it writes.
pub(super) struct LayerWriter<'a, W> {
    out: &'a mut W,
    /// `None` if all chunks are written as they are: the digest is then that of the uncompressed stream.
    hasher: Option<Hasher>,
    /// Of these chunks, at the head, the hasher knows already.
    head: &'a [StreamStates],
    written: Vec<Written>,
}

/// A chunk that was written.
pub(super) struct Written {
    pub(super) len: u64,
    pub(super) crc: u32,
    /// The hasher after it, if there is one.
    pub(super) state: Option<HasherState>,
}

impl<'a, W: Write> LayerWriter<'a, W> {
    pub(super) fn new(out: &'a mut W, head: &'a [StreamStates], hasher: Option<Hasher>) -> Self {
        LayerWriter { out, hasher, head, written: Vec::new() }
    }

    /// Writes a chunk, whose CRC-32 is `crc`.
    pub(super) fn write(&mut self, chunk: &[u8], crc: u32) -> Result<(), EncodeError> {
        let state = match (self.head.get(self.written.len()), &mut self.hasher) {
            (Some(known), _) => Some(known.written),
            (None, Some(hasher)) => {
                hasher.update(chunk);
                Some(hasher.state())
            }
            (None, None) => None,
        };
        self.out.write_all(chunk).map_err(EncodeError::Write)?;
        self.written.push(Written { len: chunk.len() as u64, crc, state });
        Ok(())
    }

    /// The digest of what was written, unless it is that of the uncompressed stream, and the chunks.
    pub(super) fn finish(self) -> (Option<Digest>, Vec<Written>) {
        (self.hasher.map(Hasher::finish), self.written)
    }
}
