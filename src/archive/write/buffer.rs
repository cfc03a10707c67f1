//! Memory that goes from chunk to chunk.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard};

/// Bytes with room for more. What was written into the room once stays initialised, so that a buffer in use again is not
/// filled with zeros first.
#[derive(Default)]
pub(super) struct Buffer {
    room: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// Room for `len` bytes at least, of any content; what the buffer held is lost. Who writes into it says by [`Buffer::set_len`] how many there are.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.room.len() < len {
            // Not `resize`, which would touch memory only to copy what nobody needs and to fill the rest with zeros.
            self.room = vec![0; with_reserve(len)];
        }
        &mut self.room
    }

    /// The first `len` bytes of the room are what the buffer holds.
    pub(super) fn set_len(&mut self, len: usize) {
        assert!(len <= self.room.len(), "a buffer holds no more than it has room for");
        self.len = len;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

/// The room that is made for `len` bytes: for a chunk a little more, so that its packed bytes, and another chunk of about
/// its length, fit too.
fn with_reserve(len: usize) -> usize {
    const STEP: usize = 256 << 10;
    if len < STEP { len } else { (len + len / 64).next_multiple_of(STEP) }
}

/// Buffers that nobody uses at the moment: to give memory back and get it again costs as much as a copy of the chunk.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Buffer>>);

/// The most bytes that unused buffers may have together.
const MAX_UNUSED: usize = 16 << 20;

impl Buffers {
    /// A buffer in which `len` bytes are going to be put, packed or not. Of those that are there it is the smallest with enough room, so that
    /// memory follows what chunks need.
    pub(super) fn take(&self, len: usize) -> Buffer {
        let (mut unused, len) = (self.unused(), with_reserve(len));
        let fitting = unused.iter().enumerate().filter(|(_, buffer)| buffer.room.len() >= len);
        match fitting.min_by_key(|(_, buffer)| buffer.room.len()).map(|(index, _)| index) {
            Some(index) => unused.swap_remove(index),
            None => Buffer::default(),
        }
    }

    /// Takes a buffer back.
    pub(super) fn put(&self, buffer: Buffer) {
        let mut unused = self.unused();
        if unused.iter().map(|buffer| buffer.room.len()).sum::<usize>() + buffer.room.len() <= MAX_UNUSED {
            unused.push(buffer);
        }
    }

    fn unused(&self) -> MutexGuard<'_, Vec<Buffer>> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(len: usize) -> Buffer {
        let mut buffer = Buffer::default();
        buffer.room(len);
        buffer
    }

    #[test]
    fn a_buffer_holds_what_was_written_and_keeps_its_room() {
        let mut buffer = buffer(3);
        assert_eq!(&*buffer, b"");
        buffer.room(2).copy_from_slice(b"abc");
        buffer.set_len(2);
        assert_eq!(&*buffer, b"ab");
        assert_eq!(buffer.room(1), b"abc");
    }

    #[test]
    fn the_smallest_buffer_that_fits_is_taken_and_few_are_kept() {
        let buffers = Buffers::default();
        [300, 100, 200, MAX_UNUSED].into_iter().for_each(|len| buffers.put(buffer(len)));
        let taken = [150, 150, 150, 0].map(|len| buffers.take(len).room.len());
        assert_eq!(taken, [200, 300, 0, 100]);
    }
}
