//! The directory index of a layer: what is in it and where, so that a layer need not be unpacked to know its tree.
//!
//! `layers/HEX`, HEX being the diff ID, is text:
//!
//! ```text
//! {"version":1,"diff_id":"sha256:...","entries":2}
//! ["/bin",[493,0,0,0],{},"d"]
//! ["/bin/sh",[493,0,0,0],{},{"f":[125640,"sha256:...",1536]}]
//! 1f6c...                     SHA-256 of the lines above
//! ```
//!
//! A line is path, then mode, uid, gid and mtime, then extended attributes, then the kind; a file has size, digest and
//! the offset of its content in the layer's tar stream. It is a cache: one that is truncated, altered or of another
//! version is removed and counts as a miss.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest, Hasher};
use crate::entry::{Content, Entry, Kind, Metadata, Origin};
use crate::path::ImagePath;

use super::temporary::Temporary;
use super::{Store, StoreError, layout};

const VERSION: u32 = 1;

impl Store {
    /// The entries of a layer in the order in which they were stored, contents being [`Origin::Layer`]; `None` if the
    /// store has no index of it.
    pub fn layer_index(&self, diff_id: &DiffId) -> Result<Option<Vec<Entry>>, StoreError> {
        let path = self.layer_index_path(diff_id);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(StoreError::read("open", &path))?,
        };
        let entries = read(file, diff_id).map_err(StoreError::read("read", &path))?;
        if entries.is_none() {
            // If that fails, it is a miss again next time.
            let _ = fs::remove_file(&path);
        }
        Ok(entries)
    }

    /// Stores the entries of a layer.
    ///
    /// # Errors
    /// A file's content is not [`Origin::Layer`] of this layer; the index cannot be written.
    pub fn put_layer_index(&self, diff_id: &DiffId, entries: &[Entry]) -> Result<(), StoreError> {
        let path = self.layer_index_path(diff_id);
        let out = Temporary::create(&self.path(layout::INGEST))?;
        let mut lines = Lines { out, hasher: Hasher::new(), line: Vec::new() };
        let header = Header { version: VERSION, diff_id: *diff_id, entries: entries.len() };
        lines.push(&header).map_err(StoreError::write("write", &path))?;
        for entry in entries {
            let line = to_line(entry, diff_id)?;
            lines.push(&line).map_err(StoreError::write("write", &path))?;
        }
        let temporary = lines.finish().map_err(StoreError::write("write", &path))?;
        temporary.persist(&path, 0o600)
    }

    fn layer_index_path(&self, diff_id: &DiffId) -> PathBuf {
        self.path(layout::LAYERS).join(diff_id.0.hex())
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    diff_id: DiffId,
    entries: usize,
}

/// An entry in its line. The fields are an array, since their names would be half the file.
type Line<Path, Xattrs> = (Path, (u32, u32, u32, i64), Xattrs, LineKind);

#[derive(Serialize, Deserialize)]
enum LineKind {
    #[serde(rename = "f")]
    File(u64, Digest, u64),
    #[serde(rename = "d")]
    Directory,
    /// The bytes as Latin-1 characters, so that none is lost.
    #[serde(rename = "l")]
    Symlink(String),
    #[serde(rename = "h")]
    HardLink(ImagePath),
    #[serde(rename = "c")]
    CharDevice(u32, u32),
    #[serde(rename = "b")]
    BlockDevice(u32, u32),
    #[serde(rename = "p")]
    Fifo,
}

fn to_line<'a>(
    entry: &'a Entry,
    diff_id: &DiffId,
) -> Result<Line<&'a ImagePath, &'a BTreeMap<String, Vec<u8>>>, StoreError> {
    let kind = match &entry.kind {
        Kind::File { content } => match content.origin {
            Origin::Layer { diff_id: layer, offset } if layer == *diff_id => {
                LineKind::File(content.size, content.digest, offset)
            }
            _ => return Err(StoreError::NotInLayer { diff_id: *diff_id, path: entry.path.clone() }),
        },
        Kind::Directory => LineKind::Directory,
        Kind::Symlink { target } => LineKind::Symlink(target.iter().map(|&byte| char::from(byte)).collect()),
        Kind::HardLink { target } => LineKind::HardLink(target.clone()),
        Kind::CharDevice { major, minor } => LineKind::CharDevice(*major, *minor),
        Kind::BlockDevice { major, minor } => LineKind::BlockDevice(*major, *minor),
        Kind::Fifo => LineKind::Fifo,
    };
    let Metadata { mode, uid, gid, mtime, xattrs } = &entry.metadata;
    Ok((&entry.path, (*mode, *uid, *gid, *mtime), xattrs, kind))
}

/// `None` for a symbolic link whose text is not Latin-1.
fn from_line(line: Line<ImagePath, BTreeMap<String, Vec<u8>>>, diff_id: DiffId) -> Option<Entry> {
    let (path, (mode, uid, gid, mtime), xattrs, kind) = line;
    let kind = match kind {
        LineKind::File(size, digest, offset) => {
            Kind::File { content: Content { size, digest, origin: Origin::Layer { diff_id, offset } } }
        }
        LineKind::Directory => Kind::Directory,
        LineKind::Symlink(text) => {
            Kind::Symlink { target: text.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Arc<[u8]>>>()? }
        }
        LineKind::HardLink(target) => Kind::HardLink { target },
        LineKind::CharDevice(major, minor) => Kind::CharDevice { major, minor },
        LineKind::BlockDevice(major, minor) => Kind::BlockDevice { major, minor },
        LineKind::Fifo => Kind::Fifo,
    };
    Some(Entry { path, metadata: Metadata { mode, uid, gid, mtime, xattrs }, kind })
}

/// Writes lines and hashes them.
struct Lines<W> {
    out: W,
    hasher: Hasher,
    line: Vec<u8>,
}

impl<W: Write> Lines<W> {
    fn push(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.hasher.update(&self.line);
        self.out.write_all(&self.line)
    }

    /// Writes the line that tells a whole file.
    fn finish(mut self) -> io::Result<W> {
        writeln!(self.out, "{}", self.hasher.finish().hex())?;
        Ok(self.out)
    }
}

/// `None` if `file` is not a whole index of this layer.
fn read(file: File, diff_id: &DiffId) -> io::Result<Option<Vec<Entry>>> {
    let length = file.metadata()?.len();
    let mut input = BufReader::with_capacity(128 << 10, file);
    let mut hasher = Hasher::new();
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| {
        line.clear();
        input.read_until(b'\n', line)
    };
    next(&mut line)?;
    hasher.update(&line);
    let header = serde_json::from_slice::<Header>(&line).ok();
    // A line has more than 16 bytes, so a damaged count reserves no more memory than a good one of that file.
    let plausible = |header: &Header| header.entries as u64 <= length / 16;
    let ours = |header: &Header| header.version == VERSION && header.diff_id == *diff_id;
    let Some(header) = header.filter(|header| ours(header) && plausible(header)) else { return Ok(None) };
    let mut entries = Vec::with_capacity(header.entries);
    for _ in 0..header.entries {
        next(&mut line)?;
        hasher.update(&line);
        let entry = serde_json::from_slice(&line).ok().and_then(|line| from_line(line, *diff_id));
        let Some(entry) = entry else { return Ok(None) };
        entries.push(entry);
    }
    next(&mut line)?;
    let whole = line == format!("{}\n", hasher.finish().hex()).as_bytes() && next(&mut line)? == 0;
    Ok(whole.then_some(entries))
}
