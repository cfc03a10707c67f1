//! The identity of a chunk.

use std::ops::Range;

use super::VERSION;
use crate::digest::{Digest, Hasher};
use crate::entry::Content;
use crate::format::Compression;

/// The digest over everything that decides the packed bytes of a chunk, taken from its pieces; no file is read for it.
///
/// Hashed are, after the encoding's version and the compression's name, each ended by a newline, the pieces in
/// order: a letter for what it is, its length as 8 bytes big-endian, then a header's bytes, or a content's digest (32
/// bytes) and offset (8 bytes big-endian), or nothing for zeros.
pub(super) struct Identity(Hasher);

impl Identity {
    /// Of a chunk without any piece.
    pub(super) fn new(compression: Compression) -> Self {
        let compression = match compression {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::None => "none",
        };
        let mut hasher = Hasher::new();
        hasher.update(format!("{VERSION} chunk\n{compression}\n").as_bytes());
        Identity(hasher)
    }

    /// Adds the header of an entry.
    pub(super) fn header(&mut self, bytes: &[u8]) {
        self.piece(b'h', bytes.len() as u64);
        self.0.update(bytes);
    }

    /// Adds a part of a content; nothing if it is empty.
    pub(super) fn content(&mut self, content: &Content, range: Range<u64>) {
        if !range.is_empty() {
            self.piece(b'c', range.end - range.start);
            self.0.update(content.digest.as_bytes());
            self.0.update(&range.start.to_be_bytes());
        }
    }

    /// Adds `len` zero bytes; nothing if there are none.
    pub(super) fn zeros(&mut self, len: u64) {
        if len > 0 {
            self.piece(b'z', len);
        }
    }

    pub(super) fn finish(self) -> Digest {
        self.0.finish()
    }

    fn piece(&mut self, letter: u8, len: u64) {
        self.0.update(&[letter]);
        self.0.update(&len.to_be_bytes());
    }
}
