//! The compressed form of a chunk.

use super::buffer::Buffer;
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

    /// Puts `bytes` into `out` as they are written; false, and `out` is left alone, when that is as they are.
    #[must_use]
    pub(super) fn pack(&mut self, bytes: &[u8], out: &mut Buffer) -> bool {
        match self {
            Packer::Gzip(sampler, gzip) => match sampler.is_incompressible(bytes) {
                true => gzip::store(bytes, out),
                false => gzip.compress(bytes, out),
            },
            Packer::Zstd(sampler, zstd) => match sampler.is_incompressible(bytes) {
                true => zstd_frame::store(bytes, out),
                false => zstd.compress(bytes, out),
            },
            Packer::None => return false,
        }
        true
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

    fn pack(packer: &mut Packer, bytes: &[u8]) -> Vec<u8> {
        let mut out = Buffer::default();
        out.room(5).fill(b'x');
        assert!(packer.pack(bytes, &mut out));
        out.to_vec()
    }

    #[test]
    fn packed_chunks_unpack_to_what_they_were() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut packer = Packer::new(compression);
            for len in [1, 512, 65_535, 65_536, 131_072, 131_073, 1 << 20] {
                for bytes in [vec![b'a'; len], noise(len)] {
                    let packed = pack(&mut packer, &bytes);
                    assert!(unpack(compression, &packed) == bytes, "{compression:?} {len}");
                    assert_eq!(packed, pack(&mut Packer::new(compression), &bytes), "a packer has no memory");
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
        assert_eq!(pack(&mut Packer::new(Compression::Gzip), &noise).len(), 10 + (1 << 20) + 17 * 5 + 8);
        assert_eq!(pack(&mut Packer::new(Compression::Zstd), &noise).len(), 9 + (1 << 20) + 8 * 3);
    }
}
