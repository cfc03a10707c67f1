//! What a chunk of the tar stream consists of, as an identity and as bytes.

use std::io;
use std::ops::Range;

use super::VERSION;
use super::error::EncodeError;
use super::header::{header, padding};
use super::plan::{Chunk, END, content_size};
use crate::digest::{Digest, Hasher};
use crate::entry::{Content, Entry, Kind};
use crate::format::Compression;
use crate::path::ImagePath;

/// A piece of a chunk. Most entries are three pieces: header, content, zeros up to the next block.
enum Piece<'a> {
    Header(Vec<u8>),
    Content { path: &'a ImagePath, content: &'a Content, range: Range<u64> },
    Zeros(u64),
}

/// The digest over everything that decides the bytes of `chunk`; no file is read for it.
///
/// Hashed are, after the encoding's version and the compression's name, each ended by a newline, the pieces in
/// order: a letter for what it is, its length as 8 bytes big-endian, then a header's bytes, or a content's digest (32
/// bytes) and offset (8 bytes big-endian), or nothing for zeros.
pub(super) fn identity(entries: &[Entry], chunk: &Chunk, compression: Compression) -> Result<Digest, EncodeError> {
    let compression = match compression {
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        Compression::None => "none",
    };
    let mut hasher = Hasher::new();
    hasher.update(format!("{VERSION} chunk\n{compression}\n").as_bytes());
    let mut piece = |letter: u8, len: u64, parts: &[&[u8]]| {
        hasher.update(&[letter]);
        hasher.update(&len.to_be_bytes());
        parts.iter().for_each(|part| hasher.update(part));
    };
    for_each_piece(entries, chunk, |it| {
        match it {
            Piece::Header(bytes) => piece(b'h', bytes.len() as u64, &[&bytes]),
            Piece::Content { content, range, .. } => {
                let parts = [content.digest.as_bytes().as_slice(), &range.start.to_be_bytes()];
                piece(b'c', range.end - range.start, &parts);
            }
            Piece::Zeros(len) => piece(b'z', len, &[]),
        }
        Ok(())
    })?;
    Ok(hasher.finish())
}

/// The bytes of `chunk`, with the contents read from where they lie.
pub(super) fn assemble(entries: &[Entry], chunk: &Chunk) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(chunk.len as usize);
    for_each_piece(entries, chunk, |piece| {
        match piece {
            Piece::Header(header) => bytes.extend_from_slice(&header),
            Piece::Zeros(len) => bytes.resize(bytes.len() + len as usize, 0),
            Piece::Content { path, content, range } => {
                let len = (range.end - range.start) as usize;
                content.read_range(range.start, len, &mut bytes).map_err(|source| match source.kind() {
                    io::ErrorKind::UnexpectedEof => EncodeError::Length { path: path.clone(), size: content.size },
                    _ => EncodeError::Read { path: path.clone(), source },
                })?;
            }
        }
        Ok(())
    })?;
    assert_eq!(bytes.len() as u64, chunk.len, "the plan and the pieces of a chunk agree");
    Ok(bytes)
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
