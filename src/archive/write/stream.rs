//! The bytes of a chunk of the tar stream.

use std::io;
use std::ops::Range;

use super::buffer::Buffer;
use super::error::EncodeError;
use super::header::{header, padding};
use super::plan::{Chunk, END, content_size};
use crate::entry::{Content, Entry, Kind};
use crate::path::ImagePath;

/// A piece of a chunk. Most entries are three pieces: header, content, zeros up to the next block.
enum Piece<'a> {
    Header(Vec<u8>),
    Content { path: &'a ImagePath, content: &'a Content, range: Range<u64> },
    Zeros(u64),
}

/// Fills `out` with the bytes of `chunk`; the contents are read from where they lie.
pub(super) fn assemble(entries: &[Entry], chunk: &Chunk, out: &mut Buffer) -> Result<(), EncodeError> {
    let len = chunk.len as usize;
    let mut rest = &mut out.room(len)[..len];
    for_each_piece(entries, chunk, |piece| {
        let len = match &piece {
            Piece::Header(header) => header.len(),
            Piece::Zeros(len) => *len as usize,
            Piece::Content { range, .. } => (range.end - range.start) as usize,
        };
        let place = rest.split_off_mut(..len).expect("the plan and the pieces of a chunk agree");
        match piece {
            Piece::Header(header) => place.copy_from_slice(&header),
            Piece::Zeros(_) => place.fill(0),
            Piece::Content { path, content, range } => {
                content.read_exact_at(range.start, place).map_err(|source| match source.kind() {
                    io::ErrorKind::UnexpectedEof => EncodeError::Length { path: path.clone(), size: content.size },
                    _ => EncodeError::Read { path: path.clone(), source },
                })?;
            }
        }
        Ok(())
    })?;
    assert!(rest.is_empty(), "the plan and the pieces of a chunk agree");
    out.set_len(len);
    Ok(())
}

fn for_each_piece<'a>(
    entries: &'a [Entry],
    chunk: &Chunk,
    mut visit: impl FnMut(Piece<'a>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let (start, end) = (chunk.start, chunk.end);
    for (index, entry) in entries.iter().enumerate().take(end.entry + 1).skip(start.entry) {
        let size = content_size(entry);
        let from = if index == start.entry { start.content } else { 0 };
        let to = if index == end.entry { end.content } else { size };
        if index == end.entry && to == 0 {
            break;
        }
        if from == 0 {
            visit(Piece::Header(header(entry)?))?;
        }
        if let Kind::File { content } = &entry.kind
            && from < to
        {
            visit(Piece::Content { path: &entry.path, content, range: from..to })?;
        }
        if index != end.entry && padding(size) != 0 {
            visit(Piece::Zeros(padding(size)))?;
        }
    }
    if end.entry == entries.len() {
        visit(Piece::Zeros(END))?;
    }
    Ok(())
}
