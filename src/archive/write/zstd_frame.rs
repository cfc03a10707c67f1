//! Zstandard frames: RFC 8878.

use zstd::bulk::Compressor;

use super::buffer::Buffer;

/// zstd's level.
const LEVEL: i32 = 3;

/// The longest block (RFC 8878, section 3.1.1.2.4).
const MAX_BLOCK: usize = 128 << 10;

/// Magic number, descriptor, content size.
const HEADER: usize = 4 + 1 + 4;

/// Writes frames with the content's size and without checksum or dictionary; no worker threads, since their number
/// changes the bytes.
pub(super) struct Zstd {
    compressor: Compressor<'static>,
}

impl Zstd {
    pub(super) fn new() -> Self {
        Zstd { compressor: Compressor::new(LEVEL).expect("zstd has this level") }
    }

    /// Makes `out` one frame that holds `bytes`, compressed.
    pub(super) fn compress(&mut self, bytes: &[u8], out: &mut Buffer) {
        let bound = zstd::zstd_safe::compress_bound(bytes.len());
        let len = self.compressor.compress_to_buffer(bytes, &mut out.room(bound)[..bound]);
        out.set_len(len.expect("the buffer has the length that the compressor asked for"));
    }
}

/// Makes `out` one frame that holds `bytes` as they are: raw blocks of the greatest length, the last one shorter. `bytes` has
/// 1 byte to 4 GiB.
pub(super) fn store(bytes: &[u8], out: &mut Buffer) {
    let blocks = bytes.len().div_ceil(MAX_BLOCK);
    let len = HEADER + bytes.len() + 3 * blocks;
    let (header, mut room) = out.room(len)[..len].split_at_mut(HEADER);
    header[..4].copy_from_slice(&0xFD2F_B528_u32.to_le_bytes());
    // Frame header: a content size of four bytes, single segment, so no window descriptor.
    header[4] = 0b1010_0000;
    header[5..].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    for (index, block) in bytes.chunks(MAX_BLOCK).enumerate() {
        let last = u32::from(index + 1 == blocks);
        let (header, rest) = room.split_at_mut(3);
        header.copy_from_slice(&(last | (block.len() as u32) << 3).to_le_bytes()[..3]);
        let (body, rest) = rest.split_at_mut(block.len());
        body.copy_from_slice(block);
        room = rest;
    }
    out.set_len(len);
}
