//! Whether bytes are an archive at all.

use std::io::{BufRead, Read};

use super::{Limits, decompress};

/// True for a tar file, compressed or not: the first block is the header of an entry. Names are not asked.
pub fn is_tar(input: impl BufRead) -> bool {
    let Ok(mut stream) = decompress(input, &Limits::default()) else { return false };
    let mut block = [0; 512];
    if stream.read_exact(&mut block).is_err() {
        return false;
    }
    // The sum over the header with blanks in place of the sum itself (POSIX ustar, "chksum").
    let sum: u32 =
        block.iter().enumerate().map(|(at, &b)| u32::from(if (148..156).contains(&at) { b' ' } else { b })).sum();
    let stated = String::from_utf8_lossy(&block[148..156]);
    let stated = u32::from_str_radix(stated.trim_matches(|c: char| c == ' ' || c == '\0'), 8);
    stated.is_ok_and(|stated| stated == sum)
}
