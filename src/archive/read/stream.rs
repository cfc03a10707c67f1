//! The blocks of a tar stream.

use std::io::{BufRead, BufReader, Read};

use crate::archive::read::block::Block;
use crate::archive::read::spool::Intake;
use crate::archive::read::{Limits, ReadError};
use crate::digest::{Digest, HashingReader};

/// A tar stream that is hashed, counted and limited on the way.
pub(super) struct TarStream<R: Read> {
    input: BufReader<HashingReader<R>>,
    position: u64,
    limit: u64,
}

/// What stands where a header block may be.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack; a box would be an allocation for each entry"
)]
pub(super) enum NextBlock {
    Block(Block),
    /// 512 zero bytes.
    Zero,
    /// The stream ends here.
    End,
    /// The stream ends in the middle of the block.
    Cut,
}

impl<R: Read> TarStream<R> {
    pub fn new(input: R, limits: &Limits) -> Self {
        let input = BufReader::with_capacity(128 << 10, HashingReader::new(input));
        TarStream { input, position: 0, limit: limits.bytes }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn next_block(&mut self) -> Result<NextBlock, ReadError> {
        let mut bytes = [0; Block::SIZE];
        let mut filled = 0;
        let missing = self.take(Block::SIZE as u64, |part| {
            bytes[filled..filled + part.len()].copy_from_slice(part);
            filled += part.len();
            Ok(())
        })?;
        Ok(match missing as usize {
            0 if bytes == [0; Block::SIZE] => NextBlock::Zero,
            0 => NextBlock::Block(Block::new(bytes)),
            Block::SIZE => NextBlock::End,
            _ => NextBlock::Cut,
        })
    }

    /// Reads a body of `size` bytes into memory; the caller has checked that this is little. Returns how many bytes
    /// are missing if the stream ends before.
    pub fn read_body(&mut self, size: u64) -> Result<Result<Vec<u8>, u64>, ReadError> {
        let mut body = Vec::new();
        let missing = self.take(size, |bytes| {
            body.extend_from_slice(bytes);
            Ok(())
        })?;
        let missing = missing + self.take(padding(size), |_| Ok(()))?;
        Ok(if missing == 0 { Ok(body) } else { Err(missing) })
    }

    /// Hands a body of `size` bytes to `intake`. Returns how many bytes are missing if the stream ends before. It may end
    /// in the padding: umoci 0.4 writes layers that do, and Go's reader takes them.
    pub fn copy_body(&mut self, size: u64, intake: &mut Intake) -> Result<u64, ReadError> {
        let missing = self.take(size, |bytes| intake.write(bytes))?;
        self.take(padding(size), |_| Ok(()))?;
        Ok(missing)
    }

    /// Reads to the end: every byte counts for the digest. Returns true if any of them is not zero.
    pub fn drain(&mut self) -> Result<bool, ReadError> {
        let mut content = false;
        self.take(u64::MAX, |bytes| {
            content |= bytes.iter().any(|&b| b != 0);
            Ok(())
        })?;
        Ok(content)
    }

    /// The digest and length of the stream, once it was drained.
    pub fn finish(self) -> (Digest, u64) {
        self.input.into_inner().finish()
    }

    /// Hands the next `len` bytes to `part`, in pieces, and returns how many are missing if the stream ends before.
    fn take(&mut self, mut len: u64, mut part: impl FnMut(&[u8]) -> Result<(), ReadError>) -> Result<u64, ReadError> {
        while len > 0 {
            let bytes = match self.input.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::from_io(error)),
            };
            let n = bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            if self.position + n as u64 > self.limit {
                return Err(ReadError::TooLarge { limit: self.limit });
            }
            part(&bytes[..n])?;
            self.input.consume(n);
            self.position += n as u64;
            len -= n as u64;
        }
        Ok(len)
    }
}

/// Bytes from the end of a body to the next block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % Block::SIZE as u64
}
