//! Writing layers: encoding v1, frozen. `docs/encoding-v1.md` specifies it byte by byte.
//!
//! [`encode`] is a pipeline over plain data: `plan` cuts the stream of entries into chunks, without reading a file;
//! `stream` puts a chunk's bytes together from headers (`header`, on `ustar` blocks) and contents; `pack` makes one
//! gzip member or zstd frame of it; `layer` does this for many chunks in parallel, and hashes and writes them in order.
//! Between the two halves, a [`LayerPlan`] tells the chunks' identities, and its caller what older layers have of them
//! ([`Reuse`]).
//!
//! Nothing but the entries and the [`Encoding`] reaches the output: not the number of threads, not the sizes of
//! buffers, not the machine.

mod buffer;
mod error;
mod gzip;
mod header;
mod identity;
mod lane;
mod layer;
mod output;
mod pack;
mod plan;
mod reuse;
mod sample;
mod stream;
mod task;
mod ustar;
mod zstd_frame;

pub use error::EncodeError;
pub use reuse::{PackedChunk, Reuse, StreamStates};

use std::io::Write;

use plan::Plan;

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
    /// Number of chunks that were copied out of older layers; all others were packed.
    pub copied: usize,
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
    /// CRC-32 of its compressed bytes.
    pub packed_crc: u32,
    /// The hashers of both streams after it.
    pub states: StreamStates,
}

/// A layer that is not written yet: its entries are checked, and its chunks are known.
pub struct LayerPlan<'a> {
    entries: &'a [Entry],
    compression: Compression,
    plan: Plan,
}

impl<'a> LayerPlan<'a> {
    /// Plans a layer of `entries`, which are as [`encode`] demands. No file is read.
    ///
    /// # Errors
    /// An entry has something that a tar cannot hold; the entries are not as they must be.
    pub fn new(entries: &'a [Entry], encoding: &Encoding) -> Result<Self, EncodeError> {
        let compression = encoding.compression;
        Ok(LayerPlan { entries, compression, plan: plan::plan(entries, compression)? })
    }

    /// The identities of its chunks, in order: see [`ChunkRecord::identity`].
    pub fn identities(&self) -> impl ExactSizeIterator<Item = Digest> {
        self.plan.chunks.iter().map(|chunk| chunk.identity)
    }

    /// Writes the layer to `out`, in parallel on the current rayon pool. What `reuse` knows is copied.
    ///
    /// # Errors
    /// As [`encode`]; [`EncodeError::Copy`] if a chunk that `reuse` knows cannot be read or is not what it was. The layer
    /// can then be written without it.
    pub fn write(self, reuse: &Reuse, out: &mut (impl Write + Send)) -> Result<EncodedLayer, EncodeError> {
        layer::write(self.entries, self.plan, self.compression, reuse, out)
    }
}

/// Writes `entries` as one layer to `out`, in parallel on the current rayon pool.
///
/// `entries` are sorted strictly bytewise by path and hold every parent directory that shall be written; mtimes are
/// final; a hard link leads to an earlier entry, which is neither a directory nor itself a hard link; the root
/// directory, if it is there, has the empty path. About 150 MiB are held at most, whatever the size of the contents.
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
    LayerPlan::new(entries, encoding)?.write(&Reuse::default(), out)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::sync::Arc;

    use super::*;
    use crate::entry::{Content, Kind, Metadata, Origin};
    use crate::path::ImagePath;

    fn file(path: &str, content: Content) -> Entry {
        let path = ImagePath::parse(path).unwrap();
        Entry { path, metadata: Metadata::root_owned(0o644, 0), kind: Kind::File { content } }
    }

    /// 9 MiB in files of 3,000 bytes to 5 MiB.
    fn entries() -> Vec<Entry> {
        let content = |size: usize| Content::inline((0..size).map(|n| (n * n / 977) as u8).collect::<Vec<_>>());
        let small = (0..1000).map(|n| file(&format!("a{n:04}"), content(3000 + n)));
        small.chain([file("large", content(5 << 20)), file("tail", content(5))]).collect()
    }

    fn encode_on(threads: usize, entries: &[Entry], compression: Compression) -> (EncodedLayer, Vec<u8>) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = Vec::new();
        let layer = pool.install(|| encode(entries, &Encoding { compression }, &mut out)).unwrap();
        (layer, out)
    }

    #[test]
    fn output_does_not_depend_on_the_number_of_threads() {
        let entries = entries();
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            let one = encode_on(1, &entries, compression);
            assert!(one.0.chunks.len() >= 4);
            assert!(
                encode_on(2, &entries, compression) == one && encode_on(8, &entries, compression) == one,
                "{compression:?}"
            );
        }
    }

    #[test]
    fn what_is_reported_is_what_was_written() {
        let entries = entries();
        let (plain, tar) = encode_on(2, &entries, Compression::None);
        let (gzip, member) = encode_on(2, &entries, Compression::Gzip);
        let (zstd, frame) = encode_on(2, &entries, Compression::Zstd);
        for (layer, bytes) in [(&plain, &tar), (&gzip, &member), (&zstd, &frame)] {
            assert_eq!((layer.digest, layer.size), (Digest::of(bytes), bytes.len() as u64));
            assert_eq!((layer.diff_id.0, layer.uncompressed_size), (Digest::of(&tar), tar.len() as u64));
            assert_eq!(layer.offsets, plain.offsets);
            let mut end = (0, 0);
            for chunk in &layer.chunks {
                assert_eq!((chunk.offset, chunk.packed_offset), end);
                end = (chunk.offset + chunk.len, chunk.packed_offset + chunk.packed_len);
            }
            assert_eq!(end, (tar.len() as u64, bytes.len() as u64));
        }
        for (entry, &offset) in entries.iter().zip(&plain.offsets) {
            let Kind::File { content } = &entry.kind else { unreachable!() };
            let bytes = &tar[offset as usize..][..content.size as usize];
            assert_eq!(Digest::of(bytes), content.digest, "{}", entry.path);
        }
        for chunk in &gzip.chunks {
            let packed = &member[chunk.packed_offset as usize..][..chunk.packed_len as usize];
            let mut bytes = Vec::new();
            flate2::bufread::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
            assert!(bytes == tar[chunk.offset as usize..][..chunk.len as usize]);
        }
    }

    #[test]
    fn a_content_that_cannot_be_read_is_an_error_that_names_its_path() {
        let encode = |origin| {
            let content = Content { size: 7, digest: Digest::of(b""), origin };
            encode(&[file("etc/x", content)], &Encoding::default(), &mut io::sink()).unwrap_err()
        };
        assert!(matches!(encode(Origin::Unknown), EncodeError::Read { path, .. } if path.to_string() == "/etc/x"));
        let mut short = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut short, b"short").unwrap();
        let error = encode(Origin::Region { file: Arc::new(short), offset: 0 });
        assert_eq!(error.to_string(), "the content of `/etc/x` is not 7 bytes long, as it was when it was hashed");
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut full = [0; 10];
        let entries = [file("etc/motd", Content::inline(*b"hello"))];
        let error = encode(&entries, &Encoding::default(), &mut full.as_mut_slice()).unwrap_err();
        assert!(matches!(error, EncodeError::Write(_)));
    }
}
