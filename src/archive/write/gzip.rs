//! Gzip members: RFC 1952 around RFC 1951.

use libdeflater::{CompressionLvl, Compressor};

use super::buffer::Buffer;

/// libdeflate's level.
const LEVEL: i32 = 5;

/// ID1, ID2, CM deflate, no flags, no time, no extra flags, unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// CRC-32 and length.
const TRAILER: usize = 8;

/// The longest stored block (RFC 1951, section 3.2.4).
const MAX_STORED: usize = 0xffff;

/// Writes gzip members.
pub(super) struct Gzip {
    compressor: Compressor,
}

impl Gzip {
    pub(super) fn new() -> Self {
        let level = CompressionLvl::new(LEVEL).expect("libdeflate has levels 1 to 12");
        Gzip { compressor: Compressor::new(level) }
    }

    /// Makes `out` one member that holds `bytes`, compressed.
    pub(super) fn compress(&mut self, bytes: &[u8], out: &mut Buffer) {
        let bound = self.compressor.deflate_compress_bound(bytes.len());
        member(bytes, bound, out, |deflated| {
            let len = self.compressor.deflate_compress(bytes, deflated);
            len.expect("the buffer has the length that the compressor asked for")
        });
    }
}

/// Makes `out` one member that holds `bytes` as they are: stored blocks of the greatest length, the last one shorter.
pub(super) fn store(bytes: &[u8], out: &mut Buffer) {
    let blocks = bytes.len().div_ceil(MAX_STORED);
    member(bytes, bytes.len() + 5 * blocks, out, |mut deflated| {
        for (index, block) in bytes.chunks(MAX_STORED).enumerate() {
            let len = block.len() as u16;
            let (header, rest) = deflated.split_at_mut(5);
            header[0] = u8::from(index + 1 == blocks);
            header[1..3].copy_from_slice(&len.to_le_bytes());
            header[3..].copy_from_slice(&(!len).to_le_bytes());
            let (body, rest) = rest.split_at_mut(block.len());
            body.copy_from_slice(block);
            deflated = rest;
        }
        bytes.len() + 5 * blocks
    });
}

/// Header, the deflate stream that `deflate` writes into `bound` bytes and gives the length of, and trailer.
fn member(bytes: &[u8], bound: usize, out: &mut Buffer, deflate: impl FnOnce(&mut [u8]) -> usize) {
    let room = out.room(HEADER.len() + bound + TRAILER);
    room[..HEADER.len()].copy_from_slice(&HEADER);
    let end = HEADER.len() + deflate(&mut room[HEADER.len()..][..bound]);
    room[end..][..4].copy_from_slice(&libdeflater::crc32(bytes).to_le_bytes());
    room[end + 4..][..4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.set_len(end + TRAILER);
}
