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
