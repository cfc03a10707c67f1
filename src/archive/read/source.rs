//! The compressed input of a decoder.

use std::io::{self, BufRead, Read};

/// An input that counts what is taken from it and remembers whether it failed, which tells a disk that cannot be read
/// from data that cannot be unpacked. Decoders never see [`io::ErrorKind::Interrupted`]: not all of them can go on
/// after it.
pub(super) struct Source<'a> {
    input: Box<dyn BufRead + 'a>,
    consumed: u64,
    failed: bool,
}

impl<'a> Source<'a> {
    pub fn new(input: Box<dyn BufRead + 'a>) -> Self {
        Source { input, consumed: 0, failed: false }
    }

    /// Bytes taken so far.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// True if the input itself could not be read.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// True if only zero bytes are left, which are then consumed.
    pub fn rest_is_zero(&mut self) -> io::Result<bool> {
        loop {
            let bytes = self.fill_buf()?;
            if bytes.is_empty() || bytes.iter().any(|&b| b != 0) {
                return Ok(bytes.is_empty());
            }
            let n = bytes.len();
            self.consume(n);
        }
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.input.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
        // Nothing is read here: what was just read is still in the buffer.
        self.input.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.consumed += n as u64;
        self.input.consume(n);
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let n = bytes.len().min(buffer.len());
        buffer[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        Ok(n)
    }
}
