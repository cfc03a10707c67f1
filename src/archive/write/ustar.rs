//! One block of a ustar header: POSIX.1-2024, `pax`, "ustar Interchange Format".
//!
//! The block is built here and not by the tar crate, whose releases are free to fill a field differently.

use std::ops::Range;

/// Size of a header block, and the unit that contents are padded to.
pub(super) const BLOCK: usize = 512;

/// A field: its bytes in the block.
pub(super) type Field = Range<usize>;

pub(super) const NAME: Field = 0..100;
pub(super) const MODE: Field = 100..108;
pub(super) const UID: Field = 108..116;
pub(super) const GID: Field = 116..124;
pub(super) const SIZE: Field = 124..136;
pub(super) const MTIME: Field = 136..148;
const CHECKSUM: Field = 148..156;
const TYPEFLAG: usize = 156;
pub(super) const LINKNAME: Field = 157..257;
const MAGIC_AND_VERSION: Field = 257..265;
pub(super) const DEVMAJOR: Field = 329..337;
pub(super) const DEVMINOR: Field = 337..345;
pub(super) const PREFIX: Field = 345..500;

/// A header block under construction.
pub(super) struct Ustar([u8; BLOCK]);

impl Ustar {
    /// A block whose numbers are all 0 and whose texts are all empty.
    pub(super) fn new(typeflag: u8) -> Self {
        let mut block = Ustar([0; BLOCK]);
        block.0[TYPEFLAG] = typeflag;
        block.text(MAGIC_AND_VERSION, b"ustar\x0000");
        for field in [MODE, UID, GID, SIZE, MTIME, DEVMAJOR, DEVMINOR] {
            block.text(field.start..field.end - 1, b"00000000000");
        }
        block
    }

    /// Writes as much of `bytes` as fits, from the left. The rest of the field stays NUL; a full field has no NUL.
    pub(super) fn text(&mut self, field: Field, bytes: &[u8]) {
        let len = bytes.len().min(field.len());
        self.0[field][..len].copy_from_slice(&bytes[..len]);
    }

    /// Writes `value` in octal digits with leading zeros and one NUL at the end. False, and nothing is written, if
    /// it has more digits than the field has room for.
    #[must_use]
    pub(super) fn number(&mut self, field: Field, value: u64) -> bool {
        let width = field.len() - 1;
        if value >> (3 * width) != 0 {
            return false;
        }
        self.octal(field.start..field.end - 1, value);
        self.0[field.end - 1] = 0;
        true
    }

    /// The block with its checksum: the sum of all bytes, those of the checksum taken as blanks, in six octal
    /// digits, NUL, blank.
    pub(super) fn finish(mut self) -> [u8; BLOCK] {
        self.text(CHECKSUM, &[b' '; 8]);
        let sum: u32 = self.0.iter().map(|&byte| u32::from(byte)).sum();
        self.octal(CHECKSUM.start..CHECKSUM.end - 2, sum.into());
        self.text(CHECKSUM.end - 2..CHECKSUM.end, b"\0 ");
        self.0
    }

    /// Fills `digits` with the last digits of `value`. By hand, as `format!` takes longer than all else in a header.
    fn octal(&mut self, digits: Field, mut value: u64) {
        for digit in self.0[digits].iter_mut().rev() {
            *digit = b'0' + (value & 7) as u8;
            value >>= 3;
        }
    }
}
