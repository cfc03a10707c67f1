//! What older layers have of one that is about to be written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::buffer::Buffer;
use crate::digest::{Hasher, HasherState};

/// Chunks that older layers of the same compression have, by their identities ([`super::LayerPlan::identities`]). It
/// saves work and reaches no output: a layer has the same bytes without it.
#[derive(Clone, Debug, Default)]
pub struct Reuse {
    /// For each chunk where its packed bytes lie, if they are known; none for those after the last.
    pub packed: Vec<Option<PackedChunk>>,
    /// For each of the first chunks, as far as an older layer began with the same ones, the states of the hashers after it.
    /// These chunks are neither read nor hashed: that they are what the entries say rests on their identities, which hold
    /// the contents' digests.
    pub head: Vec<StreamStates>,
}

/// Where the packed bytes of a chunk lie.
#[derive(Clone, Debug)]
pub struct PackedChunk {
    pub file: Arc<File>,
    /// Where they begin in the file, and their number.
    pub offset: u64,
    pub len: u64,
    /// Their CRC-32. They are copied only if it is right: one bit that flipped in an old blob would otherwise be in every
    /// blob that follows, under a digest that is right.
    pub crc: u32,
}

/// The hashers of a layer's streams after one of its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStates {
    /// Of the uncompressed tar stream, whose digest is the diff ID.
    pub uncompressed: HasherState,
    /// Of the bytes written.
    pub written: HasherState,
}

impl Reuse {
    /// Where chunk `index` lies, if that is known.
    pub(super) fn packed(&self, index: usize) -> Option<&PackedChunk> {
        self.packed.get(index)?.as_ref()
    }

    /// The states after the first chunks, as far as these can be copied too, and hashers that go on from the last of them:
    /// that of the uncompressed stream and that of the bytes written.
    pub(super) fn resume(&self) -> (&[StreamStates], Hasher, Hasher) {
        let copied = self.packed.iter().take_while(|chunk| chunk.is_some()).count();
        let head = &self.head[..self.head.len().min(copied)];
        let resumed = head.last().and_then(|StreamStates { uncompressed, written }| {
            Some((head, Hasher::resume(uncompressed)?, Hasher::resume(written)?))
        });
        resumed.unwrap_or_default()
    }
}

impl PackedChunk {
    /// Reads and checks the bytes.
    pub(super) fn read(&self, out: &mut Buffer) -> io::Result<()> {
        let len = usize::try_from(self.len).map_err(io::Error::other)?;
        let bytes = &mut out.room(len)[..len];
        self.file.read_exact_at(bytes, self.offset)?;
        if libdeflater::crc32(bytes) != self.crc {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes have another CRC-32"));
        }
        out.set_len(len);
        Ok(())
    }
}
