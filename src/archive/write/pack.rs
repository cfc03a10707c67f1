//! The compressed form of a chunk.

use super::gzip::{self, Gzip};
use super::sample::Sampler;
use super::zstd_frame::{self, Zstd};
use crate::format::Compression;

/// Packs chunks. It keeps buffers between chunks, but what it writes for one does not depend on those before.
pub(super) enum Packer {
    Gzip(Sampler, Gzip),
    Zstd(Sampler, Zstd),
    None,
}

impl Packer {
    pub(super) fn new(compression: Compression) -> Self {
        match compression {
            Compression::Gzip => Packer::Gzip(Sampler::new(), Gzip::new()),
            Compression::Zstd => Packer::Zstd(Sampler::new(), Zstd::new()),
            Compression::None => Packer::None,
        }
    }

    /// `bytes` as they are written; `None` when that is as they are.
    pub(super) fn pack(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Packer::Gzip(sampler, gzip) => Some(match sampler.is_incompressible(bytes) {
                true => gzip::store(bytes),
                false => gzip.compress(bytes),
            }),
            Packer::Zstd(sampler, zstd) => Some(match sampler.is_incompressible(bytes) {
                true => zstd_frame::store(bytes),
                false => zstd.compress(bytes),
            }),
            Packer::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn unpack(compression: Compression, packed: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        match compression {
            Compression::Gzip => flate2::bufread::MultiGzDecoder::new(packed).read_to_end(&mut bytes).unwrap(),
            Compression::Zstd => zstd::Decoder::with_buffer(packed).unwrap().read_to_end(&mut bytes).unwrap(),
            Compression::None => unreachable!("nothing is packed"),
        };
        bytes
    }

    #[test]
    fn packed_chunks_unpack_to_what_they_were() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut packer = Packer::new(compression);
            for len in [1, 512, 65_535, 65_536, 131_072, 131_073, 1 << 20] {
                for bytes in [vec![b'a'; len], noise(len)] {
                    let packed = packer.pack(&bytes).unwrap();
                    assert!(unpack(compression, &packed) == bytes, "{compression:?} {len}");
                    assert_eq!(packed, Packer::new(compression).pack(&bytes).unwrap(), "a packer has no memory");
                }
            }
        }
    }

    #[test]
    fn noise_is_stored_and_text_is_not() {
        let noise = noise(1 << 20);
        assert!(Sampler::new().is_incompressible(&noise));
        let mut mixed = noise.clone();
        mixed[..8192].fill(b'a');
        assert!(!Sampler::new().is_incompressible(&mixed));
        assert_eq!(Packer::new(Compression::Gzip).pack(&noise).unwrap().len(), 10 + (1 << 20) + 17 * 5 + 8);
        assert_eq!(Packer::new(Compression::Zstd).pack(&noise).unwrap().len(), 9 + (1 << 20) + 8 * 3);
    }
}
