//! One header block of a tar archive (POSIX.1-1988 "ustar", GNU and version 7).

use std::ops::Range;

use crate::archive::read::Fault;
use crate::archive::read::number::parse_field;

/// The 512 bytes of a header.
pub(super) struct Block([u8; Block::SIZE]);

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;

impl Block {
    pub const SIZE: usize = 512;

    pub fn new(bytes: [u8; Block::SIZE]) -> Self {
        Block(bytes)
    }

    /// The type flag.
    pub fn kind(&self) -> u8 {
        self.0[TYPE]
    }

    /// Compares the checksum with the sum of the bytes, the checksum's own taken as spaces. Some old archives have the
    /// sum of signed bytes, and every reader accepts both.
    pub fn verify(&self) -> Result<(), Fault> {
        let claimed = parse_field(&self.0[CHECKSUM]);
        let sum = |value: fn(u8) -> i64| {
            let all: i64 = self.0.iter().map(|&byte| value(byte)).sum();
            let own: i64 = self.0[CHECKSUM].iter().map(|&byte| value(byte)).sum();
            Some(i128::from(all - own + CHECKSUM.len() as i64 * i64::from(b' ')))
        };
        let matches = claimed == sum(i64::from) || claimed == sum(|byte| i64::from(byte as i8));
        if matches { Ok(()) } else { Err(Fault::Checksum) }
    }

    /// The name with the prefix that POSIX has for long ones. In GNU archives other fields stand there.
    pub fn name(&self) -> Vec<u8> {
        let (prefix, name) = (text(&self.0[PREFIX]), text(&self.0[NAME]));
        if &self.0[MAGIC] == b"ustar\0" && !prefix.is_empty() { [prefix, name].join(&b'/') } else { name.to_vec() }
    }

    /// The target of a link.
    pub fn link(&self) -> Vec<u8> {
        text(&self.0[LINK]).to_vec()
    }

    /// The bits of the mode; the file type that some writers put above them is cut off.
    pub fn mode(&self) -> Result<u32, Fault> {
        Ok(self.number(MODE, "mode", 0, i128::from(u32::MAX))? as u32 & 0o7777)
    }

    pub fn uid(&self) -> Result<u64, Fault> {
        self.unsigned(UID, "uid")
    }

    pub fn gid(&self) -> Result<u64, Fault> {
        self.unsigned(GID, "gid")
    }

    pub fn size(&self) -> Result<u64, Fault> {
        self.unsigned(SIZE, "size")
    }

    /// Seconds since 1970; base-256 can hold negative ones.
    pub fn mtime(&self) -> Result<i64, Fault> {
        Ok(self.number(MTIME, "mtime", i64::MIN.into(), i64::MAX.into())? as i64)
    }

    /// The numbers of a device; version 7 has no place for them.
    pub fn device(&self) -> Result<(u64, u64), Fault> {
        if !self.0[MAGIC].starts_with(b"ustar") {
            return Err(Fault::Number { field: "device number", reason: "is missing" });
        }
        Ok((self.unsigned(MAJOR, "device number")?, self.unsigned(MINOR, "device number")?))
    }

    fn unsigned(&self, range: Range<usize>, field: &'static str) -> Result<u64, Fault> {
        Ok(self.number(range, field, 0, u64::MAX.into())? as u64)
    }

    fn number(&self, range: Range<usize>, field: &'static str, min: i128, max: i128) -> Result<i128, Fault> {
        let value = parse_field(&self.0[range]).ok_or(Fault::Number { field, reason: "is not a number" })?;
        match value {
            _ if value < min && min == 0 => Err(Fault::Number { field, reason: "is negative" }),
            _ if value < min || value > max => Err(Fault::Number { field, reason: "is too large" }),
            _ => Ok(value),
        }
    }
}

/// The bytes before the first NUL, or all. What follows the NUL is nothing: old writers left there what was in memory.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&b| b == 0).next().unwrap_or_default()
}
