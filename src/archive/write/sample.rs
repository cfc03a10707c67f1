//! The test that finds chunks not worth compressing.

use libdeflater::{CompressionLvl, Compressor};

/// Number of samples taken of a chunk, at equal distances, and the length of each.
const SAMPLES: usize = 8;
const SAMPLE_LEN: usize = 4 << 10;
/// A sample that comes out shorter than this many bytes makes its chunk worth compressing.
const WORTH: usize = SAMPLE_LEN - SAMPLE_LEN / 32;

/// Compresses samples.
pub(super) struct Sampler {
    compressor: Compressor,
    buffer: Vec<u8>,
}

impl Sampler {
    pub(super) fn new() -> Self {
        let level = CompressionLvl::new(1).expect("1 is a level");
        let mut compressor = Compressor::new(level);
        let bound = compressor.deflate_compress_bound(SAMPLE_LEN);
        Sampler { compressor, buffer: vec![0; bound] }
    }

    /// True if none of the samples becomes shorter by a thirty-second. Chunks too short to be sampled are taken as
    /// compressible.
    pub(super) fn is_incompressible(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() < SAMPLES * SAMPLE_LEN {
            return false;
        }
        let distance = (bytes.len() - SAMPLE_LEN) / (SAMPLES - 1);
        (0..SAMPLES).all(|index| {
            let sample = &bytes[index * distance..][..SAMPLE_LEN];
            let len = self.compressor.deflate_compress(sample, &mut self.buffer);
            len.expect("the buffer has the length that the compressor asked for") >= WORTH
        })
    }
}
