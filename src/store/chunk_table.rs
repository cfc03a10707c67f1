//! What the store keeps of a layer's chunks, as bytes.
//!
//! ```text
//! bytes
//! 16        "ocify chunks v1", zero
//! 32        digest of the blob
//! 252 each  a chunk, in the blob's order, without gaps: identity 32, number of its bytes in the blob 8 (big-endian), their
//!           CRC-32 4 (big-endian), states of the hashers after it of the uncompressed stream and of the blob 104 each
//! 32        SHA-256 of all that comes before
//! ```

use crate::digest::{Digest, HasherState};

const MAGIC: &[u8; 16] = b"ocify chunks v1\0";
const CHECKSUM: usize = 32;
const RECORD: usize = 32 + 8 + 4 + 2 * HasherState::LEN;

/// A chunk of a layer in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    /// Digest over everything that decides its bytes in the blob.
    pub identity: Digest,
    /// Number of its bytes in the blob, and their CRC-32.
    pub len: u64,
    pub crc: u32,
    /// The hasher of the uncompressed stream after it.
    pub uncompressed: HasherState,
    /// The hasher of the blob after it.
    pub written: HasherState,
}

/// The chunks of a blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChunkTable {
    pub(super) blob: Digest,
    pub(super) chunks: Vec<StoredChunk>,
}

impl ChunkTable {
    /// The most bytes of a table's file: that of a layer of some 500 GiB.
    pub(super) const MOST_BYTES: u64 = 64 << 20;

    /// The table in a file's bytes; `None` if it is damaged or of another version.
    pub(super) fn parse(bytes: &[u8]) -> Option<ChunkTable> {
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
        if Digest::of(content).as_bytes() != checksum {
            return None;
        }
        let (blob, records) = content.strip_prefix(MAGIC)?.split_first_chunk()?;
        let (records, []) = records.as_chunks::<RECORD>() else { return None };
        let chunks = records.iter().map(decode).collect::<Option<_>>()?;
        Some(ChunkTable { blob: Digest::from_bytes(*blob), chunks })
    }

    /// The file of a table.
    pub(super) fn file(blob: &Digest, chunks: &[StoredChunk]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAGIC.len() + 32 + chunks.len() * RECORD + CHECKSUM);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(blob.as_bytes());
        for StoredChunk { identity, len, crc, uncompressed, written } in chunks {
            bytes.extend_from_slice(identity.as_bytes());
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(&crc.to_be_bytes());
            bytes.extend_from_slice(uncompressed.as_bytes());
            bytes.extend_from_slice(written.as_bytes());
        }
        let checksum = Digest::of(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes
    }
}

/// Always `Some`: a record is as long as its fields.
fn decode(record: &[u8; RECORD]) -> Option<StoredChunk> {
    let (identity, record) = record.split_first_chunk()?;
    let (len, record) = record.split_first_chunk()?;
    let (crc, record) = record.split_first_chunk()?;
    let (uncompressed, written) = record.split_first_chunk()?;
    Some(StoredChunk {
        identity: Digest::from_bytes(*identity),
        len: u64::from_be_bytes(*len),
        crc: u32::from_be_bytes(*crc),
        uncompressed: HasherState::from_bytes(*uncompressed),
        written: HasherState::from_bytes(written.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Hasher;

    #[test]
    fn a_table_comes_back_and_a_damaged_one_does_not() {
        let chunk = |n: u8| {
            let (mut uncompressed, mut written) = (Hasher::new(), Hasher::new());
            uncompressed.update(&[n; 70]);
            written.update(&[n; 7]);
            let (uncompressed, written) = (uncompressed.state(), written.state());
            StoredChunk { identity: Digest::of(&[n]), len: 1 << 40, crc: u32::from(n) << 24, uncompressed, written }
        };
        let table = ChunkTable { blob: Digest::of(b"blob"), chunks: vec![chunk(1), chunk(200)] };
        let file = ChunkTable::file(&table.blob, &table.chunks);
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            assert_eq!(ChunkTable::parse(&damaged), None, "byte {at}");
            assert_eq!(ChunkTable::parse(&file[..at]), None, "cut at {at}");
        }
        assert_eq!(ChunkTable::parse(&[&file[..], b"x"].concat()), None);
        assert_eq!(ChunkTable::parse(&file), Some(table));
    }
}
