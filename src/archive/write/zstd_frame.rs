//! Zstandard frames: RFC 8878.

use zstd::bulk::Compressor;

/// zstd's level.
const LEVEL: i32 = 3;

/// The longest block (RFC 8878, section 3.1.1.2.4).
const MAX_BLOCK: usize = 128 << 10;

/// Writes frames with the content's size and without checksum or dictionary; no worker threads, since their number
/// changes the bytes.
pub(super) struct Zstd {
    compressor: Compressor<'static>,
    buffer: Vec<u8>,
}

impl Zstd {
    pub(super) fn new() -> Self {
        let compressor = Compressor::new(LEVEL).expect("zstd has this level");
        Zstd { compressor, buffer: Vec::new() }
    }

    /// One frame that holds `bytes`, compressed.
    pub(super) fn compress(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.buffer.clear();
        self.buffer.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        let done = self.compressor.compress_to_buffer(bytes, &mut self.buffer);
        done.expect("the buffer has the length that the compressor asked for");
        self.buffer.as_slice().to_vec()
    }
}

/// One frame that holds `bytes` as they are: raw blocks of the greatest length, the last one shorter. `bytes` has
/// 1 byte to 4 GiB.
pub(super) fn store(bytes: &[u8]) -> Vec<u8> {
    let blocks = bytes.len().div_ceil(MAX_BLOCK);
    let mut frame = Vec::with_capacity(9 + bytes.len() + 3 * blocks);
    frame.extend_from_slice(&0xFD2F_B528_u32.to_le_bytes());
    // Frame header: a content size of four bytes, single segment, so no window descriptor.
    frame.push(0b1010_0000);
    frame.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    for (index, block) in bytes.chunks(MAX_BLOCK).enumerate() {
        let last = u32::from(index + 1 == blocks);
        frame.extend_from_slice(&(last | (block.len() as u32) << 3).to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    frame
}
