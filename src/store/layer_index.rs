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
//! version is removed and counts as a miss. So it is not flushed to the disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;
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
        let metadata = file.metadata().map_err(StoreError::read("inspect", &path))?;
        let entries = read(file, diff_id).map_err(StoreError::read("read", &path))?;
        if entries.is_none() {
            // If that fails, it is a miss again next time.
            let _ = fs::remove_file(&path);
        }
        Ok(entries.filter(|_| self.is_kept(&path, &metadata)))
    }

    /// True if the store has an index of the layer, by its name; whether it is good shows when it is read.
    pub fn has_layer_index(&self, diff_id: &DiffId) -> bool {
        self.layer_index_path(diff_id).is_file()
    }

    /// Stores the entries of a layer.
    ///
    /// # Errors
    /// A file's content is not [`Origin::Layer`] of this layer; the index cannot be written.
    pub fn put_layer_index(&self, diff_id: &DiffId, entries: &[Entry]) -> Result<(), StoreError> {
        let path = self.layer_index_path(diff_id);
        let out = Temporary::create(&self.path(layout::INGEST))?;
        let mut lines = Lines { out, hasher: Hasher::new() };
        let mut header = Vec::new();
        push_line(&mut header, &Header { version: VERSION, diff_id: *diff_id, entries: entries.len() })
            .and_then(|()| lines.write(&header))
            .map_err(StoreError::write("write", &path))?;
        let text = |entries: &[Entry]| {
            let mut text = Vec::new();
            for entry in entries {
                push_line(&mut text, &to_line(entry, diff_id)?).map_err(StoreError::write("write", &path))?;
            }
            Ok::<_, StoreError>(text)
        };
        for many in entries.chunks(BATCH * 16) {
            // To ask other threads costs more than to write a few lines.
            let texts: Vec<_> = match many.len() <= BATCH {
                true => vec![text(many)],
                false => many.par_chunks(BATCH).map(text).collect(),
            };
            for text in texts {
                lines.write(&text?).map_err(StoreError::write("write", &path))?;
            }
        }
        let temporary = lines.finish().map_err(StoreError::write("write", &path))?;
        temporary.persist_unflushed(&path, 0o600)
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
}

/// Entries whose lines one thread writes before they go to the file.
const BATCH: usize = 1024;

fn push_line(text: &mut Vec<u8>, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *text, line)?;
    text.push(b'\n');
    Ok(())
}

impl<W: Write> Lines<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.hasher.update(text);
        self.out.write_all(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn new_store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        (directory, store)
    }

    fn entry(path: &[u8], kind: Kind) -> Entry {
        Entry { path: ImagePath::parse(path).unwrap(), metadata: Metadata::root_owned(0o4755, -1), kind }
    }

    fn file(diff_id: DiffId, offset: u64) -> Kind {
        let digest = Digest::of(b"content");
        Kind::File { content: Content { size: u64::MAX, digest, origin: Origin::Layer { diff_id, offset } } }
    }

    fn one_of_each(diff_id: DiffId) -> Vec<Entry> {
        let mut every = vec![
            entry(b"", Kind::Directory),
            entry(b"block", Kind::BlockDevice { major: 8, minor: 1 }),
            entry(b"char", Kind::CharDevice { major: u32::MAX, minor: 0 }),
            entry(b"fifo", Kind::Fifo),
            entry(b"file\n\xff\\", file(diff_id, 1 << 40)),
            entry(b"hard", Kind::HardLink { target: ImagePath::parse(b"file\n\xff\\").unwrap() }),
            entry(b"soft", Kind::Symlink { target: Arc::from(*b"../\xc3\xa9/\xff\n\"") }),
        ];
        every[3].metadata.xattrs.insert("security.capability".into(), vec![0, 255]);
        every
    }

    #[test]
    fn every_kind_of_entry_comes_back_with_its_offset() {
        let (_directory, store) = new_store();
        let diff_id = DiffId(Digest::of(b"layer"));
        let entries = one_of_each(diff_id);
        assert_eq!(store.layer_index(&diff_id).unwrap(), None);
        store.put_layer_index(&diff_id, &entries).unwrap();
        let read = store.layer_index(&diff_id).unwrap().unwrap();
        assert_eq!(read, entries);
        let Kind::File { content } = &read[4].kind else { panic!("not a file") };
        assert!(matches!(content.origin, Origin::Layer { diff_id: d, offset } if d == diff_id && offset == 1 << 40));

        store.put_layer_index(&diff_id, &[]).unwrap();
        assert_eq!(store.layer_index(&diff_id).unwrap(), Some(Vec::new()));
    }

    #[test]
    fn a_content_of_elsewhere_is_refused_and_nothing_is_left() {
        let (_directory, store) = new_store();
        let diff_id = DiffId(Digest::of(b"layer"));
        let other = file(DiffId(Digest::of(b"other")), 0);
        for kind in [other, Kind::File { content: Content::inline(*b"text") }] {
            let error = store.put_layer_index(&diff_id, &[entry(b"a", kind)]).unwrap_err();
            assert!(matches!(error, StoreError::NotInLayer { .. }), "{error}");
        }
        assert_eq!(store.layer_index(&diff_id).unwrap(), None);
        assert_eq!(fs::read_dir(store.path(layout::INGEST)).unwrap().count(), 0);
    }

    #[test]
    fn an_altered_index_is_a_miss_and_is_removed() {
        let (_directory, store) = new_store();
        let diff_id = DiffId(Digest::of(b"layer"));
        store.put_layer_index(&diff_id, &one_of_each(diff_id)).unwrap();
        let path = store.layer_index_path(&diff_id);
        let good = fs::read(&path).unwrap();
        let assert_miss = |bytes: &[u8], what: String| {
            fs::write(&path, bytes).unwrap();
            assert_eq!(store.layer_index(&diff_id).unwrap(), None, "{what}");
            assert!(!path.exists(), "{what}");
        };
        for end in 0..good.len() {
            assert_miss(&good[..end], format!("cut at {end}"));
        }
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1 << (at % 8);
            assert_miss(&flipped, format!("flipped at {at}"));
        }
        assert_miss(&[&good[..], b"\n"].concat(), "longer".into());
        assert_miss(&vec![0; good.len()], "zeros".into());
        let huge = br#"{"version":1,"diff_id":"DIFF","entries":18446744073709551615}"#;
        let huge = String::from_utf8_lossy(huge).replace("DIFF", &diff_id.to_string());
        assert_miss(huge.as_bytes(), "a huge count".into());

        let other = DiffId(Digest::of(b"other"));
        fs::write(store.layer_index_path(&other), &good).unwrap();
        assert_eq!(store.layer_index(&other).unwrap(), None, "under another layer's name");
    }
}
