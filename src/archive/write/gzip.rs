//! Gzip members: RFC 1952 around RFC 1951.

use libdeflater::{CompressionLvl, Compressor};

/// libdeflate's level.
const LEVEL: i32 = 5;

/// ID1, ID2, CM deflate, no flags, no time, no extra flags, unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The longest stored block (RFC 1951, section 3.2.4).
const MAX_STORED: usize = 0xffff;

/// Writes gzip members.
pub(super) struct Gzip {
    compressor: Compressor,
    buffer: Vec<u8>,
}

impl Gzip {
    pub(super) fn new() -> Self {
        let level = CompressionLvl::new(LEVEL).expect("libdeflate has levels 1 to 12");
        Gzip { compressor: Compressor::new(level), buffer: Vec::new() }
    }

    /// One member that holds `bytes`, compressed.
    pub(super) fn compress(&mut self, bytes: &[u8]) -> Vec<u8> {
        let bound = self.compressor.deflate_compress_bound(bytes.len());
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        let len = self.compressor.deflate_compress(bytes, &mut self.buffer);
        let len = len.expect("the buffer has the length that the compressor asked for");
        member(bytes, len, |member| member.extend_from_slice(&self.buffer[..len]))
    }
}

/// One member that holds `bytes` as they are: stored blocks of the greatest length, the last one shorter.
pub(super) fn store(bytes: &[u8]) -> Vec<u8> {
    let blocks = bytes.len().div_ceil(MAX_STORED);
    member(bytes, bytes.len() + 5 * blocks, |member| {
        for (index, block) in bytes.chunks(MAX_STORED).enumerate() {
            let len = block.len() as u16;
            member.push(u8::from(index + 1 == blocks));
            member.extend_from_slice(&len.to_le_bytes());
            member.extend_from_slice(&(!len).to_le_bytes());
            member.extend_from_slice(block);
        }
    })
}

/// Header, the deflate stream of `deflated_len` bytes that `deflate` appends, and trailer: CRC-32 and length.
fn member(bytes: &[u8], deflated_len: usize, deflate: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut member = Vec::with_capacity(HEADER.len() + deflated_len + 8);
    member.extend_from_slice(&HEADER);
    deflate(&mut member);
    member.extend_from_slice(&libdeflater::crc32(bytes).to_le_bytes());
    member.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    member
}
