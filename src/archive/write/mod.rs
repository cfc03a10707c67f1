//! Writing layers: encoding v1, frozen. `docs/encoding-v1.md` specifies it byte by byte.
//!
//! [`encode`] is a pipeline over plain data: the entries are planned into chunks ([`plan`], without reading a file),
//! each chunk's part of the tar stream is put together ([`stream`], from [`header`]s and contents) and packed
//! ([`pack`]: one gzip member, one zstd frame or nothing around it), and the chunks are hashed and written in order
//! ([`layer`]).
//!
//! Nothing but the entries and the [`Encoding`] reaches the output: not the number of threads, not the sizes of
//! buffers, not the machine.

mod error;
mod gzip;
mod header;
mod layer;
mod pack;
mod plan;
mod sample;
mod stream;
mod ustar;
mod zstd_frame;

pub use error::EncodeError;

use std::io::Write;

use crate::digest::{DiffId, Digest};
use crate::entry::Entry;
use crate::format::Compression;

/// The version of the encoding that [`encode`] writes. It belongs into every key of a cache that holds its output.
pub const VERSION: &str = "ocify encoding v1";

/// What may be chosen about a layer's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    pub compression: Compression,
}

/// What was written, as a manifest and a config need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedLayer {
    /// Digest of the uncompressed tar stream.
    pub diff_id: DiffId,
    /// Length of the uncompressed tar stream in bytes.
    pub uncompressed_size: u64,
    /// Digest of the bytes written.
    pub digest: Digest,
    /// Number of bytes written.
    pub size: u64,
    /// For each entry where its content begins in the uncompressed stream, or would if it had one.
    pub offsets: Vec<u64>,
    /// The chunks, in order, without gaps.
    pub chunks: Vec<ChunkRecord>,
}

/// One chunk: a part of the tar stream that is compressed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRecord {
    /// Digest over everything that decides the chunk's compressed bytes. It is computed from the entries alone, so
    /// chunks of equal identity can be copied from one layer to another without reading a file.
    pub identity: Digest,
    /// Where the chunk begins in the uncompressed stream, and its length there.
    pub offset: u64,
    pub len: u64,
    /// Where the chunk begins in the compressed bytes, and its length there.
    pub packed_offset: u64,
    pub packed_len: u64,
}

/// Writes `entries` as one layer to `out`, in parallel on the current rayon pool.
///
/// `entries` are sorted strictly bytewise by path and hold every parent directory that shall be written; mtimes are
/// final; a hard link leads to an earlier entry, which is neither a directory nor itself a hard link; the root
/// directory, if it is there, has the empty path. At most about 100 MiB are held at a time, whatever the size of the
/// contents.
///
/// # Errors
/// A content cannot be read or is not as long as its entry says; an entry has something that a tar cannot hold; the
/// entries are not as described above, which is a defect of the caller; `out` fails. What was written before is no
/// layer and must be thrown away.
pub fn encode(
    entries: &[Entry],
    encoding: &Encoding,
    out: &mut (impl Write + Send),
) -> Result<EncodedLayer, EncodeError> {
    let plan = plan::plan(entries)?;
    layer::write(entries, plan, encoding.compression, out)
}
