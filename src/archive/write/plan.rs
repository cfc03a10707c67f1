//! Where the tar stream is cut into chunks.
//!
//! The cuts follow from the entries alone, without reading a file, and nearly all of them from single entries: an
//! edit moves the cuts near it and leaves the others where they were. The chunks' identities are taken on the way, as the
//! headers are at hand.

use std::mem;
use std::ops::Range;

use super::error::EncodeError;
use super::header::{header, padding};
use super::identity::Identity;
use super::ustar::BLOCK;
use crate::digest::{Digest, Hasher};
use crate::entry::{Content, Entry, Kind, Origin};
use crate::format::Compression;

/// A chunk is not ended before it has this many bytes.
pub(super) const MIN: u64 = 1 << 20;
/// The length that chunks of small entries tend to, and the distance of the cuts inside a large file.
pub(super) const AIM: u64 = 2 << 20;
/// No chunk is longer, but for PAX headers and the end of the archive.
pub(super) const MAX: u64 = 4 << 20;
/// A file of more bytes is cut inside, at multiples of [`AIM`].
const LARGE: u64 = MAX - MIN;

/// The two zero blocks at the end of a tar stream.
pub(super) const END: u64 = 2 * BLOCK as u64;

/// A tar stream that is not written yet.
pub(super) struct Plan {
    /// For each entry where its content begins.
    pub(super) offsets: Vec<u64>,
    pub(super) chunks: Vec<Chunk>,
    /// Length of the stream.
    pub(super) size: u64,
}

/// One chunk of the stream, from `start` to `end`. The last one ends after the last entry and holds the end of the
/// archive too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) start: Position,
    pub(super) end: Position,
    /// Where it begins in the stream.
    pub(super) offset: u64,
    pub(super) len: u64,
    /// What decides its packed bytes.
    pub(super) identity: Digest,
}

/// A place in the stream: before the header of an entry (`content` is 0), or inside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) entry: usize,
    pub(super) content: u64,
}

/// Cuts the stream of `entries`, and checks that they can be written.
pub(super) fn plan(entries: &[Entry], compression: Compression) -> Result<Plan, EncodeError> {
    let mut cutter = Cutter::new(compression);
    let mut offsets = Vec::with_capacity(entries.len());
    let mut ends_chunk = false;
    for (index, entry) in entries.iter().enumerate() {
        check(entries, index)?;
        let header = header(entry)?;
        let size = content_size(entry);
        let record = header.len() as u64 + size + padding(size);
        let large = size > LARGE;

        let full = cutter.pending() >= MIN && (large || cutter.pending() + record > MAX);
        if ends_chunk || full {
            cutter.cut(Position { entry: index, content: 0 });
        }
        cutter.header(&header);
        offsets.push(cutter.offset);
        if let Kind::File { content } = &entry.kind {
            let mut from = 0;
            while large && size - from >= AIM + MIN {
                cutter.content(content, from..from + AIM);
                from += AIM;
                cutter.cut(Position { entry: index, content: from });
            }
            cutter.content(content, from..size);
            cutter.zeros(padding(size));
        }
        ends_chunk = large || cutter.pending() >= MIN && mark(&header, entry) % AIM < record;
    }
    cutter.zeros(END);
    cutter.cut(Position { entry: entries.len(), content: 0 });
    Ok(Plan { offsets, chunks: cutter.chunks, size: cutter.offset })
}

/// Length of an entry's content in the stream.
pub(super) fn content_size(entry: &Entry) -> u64 {
    match &entry.kind {
        Kind::File { content } => content.size,
        _ => 0,
    }
}

/// The chunks so far, and how far the stream is planned.
struct Cutter {
    compression: Compression,
    chunks: Vec<Chunk>,
    /// Where the next chunk begins.
    start: Position,
    start_offset: u64,
    /// Length of the stream planned so far.
    offset: u64,
    /// Of what came since the last cut.
    identity: Identity,
}

impl Cutter {
    fn new(compression: Compression) -> Self {
        let start = Position { entry: 0, content: 0 };
        let identity = Identity::new(compression);
        Cutter { compression, chunks: Vec::new(), start, start_offset: 0, offset: 0, identity }
    }

    /// Bytes since the last cut.
    fn pending(&self) -> u64 {
        self.offset - self.start_offset
    }

    fn header(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        self.identity.header(bytes);
    }

    fn content(&mut self, content: &Content, range: Range<u64>) {
        self.offset += range.end - range.start;
        self.identity.content(content, range);
    }

    fn zeros(&mut self, len: u64) {
        self.offset += len;
        self.identity.zeros(len);
    }

    fn cut(&mut self, at: Position) {
        let identity = mem::replace(&mut self.identity, Identity::new(self.compression)).finish();
        let (offset, len) = (self.start_offset, self.pending());
        self.chunks.push(Chunk { start: self.start, end: at, offset, len, identity });
        self.start = at;
        self.start_offset = self.offset;
    }
}

/// A number that depends on this entry only: the first 8 bytes, big-endian, of the SHA-256 of its header and, for a
/// file, its content's digest.
fn mark(header: &[u8], entry: &Entry) -> u64 {
    let mut hasher = Hasher::new();
    hasher.update(header);
    if let Kind::File { content } = &entry.kind {
        hasher.update(content.digest.as_bytes());
    }
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finish().as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// What [`super::encode`] demands of entry `index` among the entries.
fn check(entries: &[Entry], index: usize) -> Result<(), EncodeError> {
    let entry = &entries[index];
    let path = || entry.path.clone();
    if let Some(previous) = index.checked_sub(1).map(|before| &entries[before].path)
        && *previous >= entry.path
    {
        return Err(match *previous == entry.path {
            true => EncodeError::Duplicate { path: path() },
            false => EncodeError::Order { path: path(), previous: previous.clone() },
        });
    }
    match &entry.kind {
        Kind::HardLink { target } => {
            let found = match entries[..index].binary_search_by(|earlier| earlier.path.cmp(target)) {
                Err(_) => "not among the entries before it",
                Ok(at) => match entries[at].kind {
                    Kind::Directory => "a directory",
                    Kind::HardLink { .. } => "a hard link itself",
                    _ => return Ok(()),
                },
            };
            Err(EncodeError::HardLink { path: path(), target: target.clone(), found })
        }
        Kind::File { content } => {
            let actual = match &content.origin {
                Origin::Inline(bytes) => bytes.len() as u64,
                Origin::Disk(disk) => disk.stamp.size,
                Origin::Region { .. } | Origin::Layer { .. } | Origin::Unknown => content.size,
            };
            if actual != content.size {
                return Err(EncodeError::Length { path: path(), size: content.size });
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::entry::Metadata;
    use crate::path::ImagePath;

    /// A file whose content exists only as a digest, as nothing reads it for a plan.
    fn file(path: String, size: u64, seed: u64) -> Entry {
        let content = Content { size, digest: Digest::of(&seed.to_be_bytes()), origin: Origin::Unknown };
        Entry {
            path: ImagePath::parse(path).unwrap(),
            metadata: Metadata::root_owned(0o644, 0),
            kind: Kind::File { content },
        }
    }

    /// 3,000 files of up to 40,000 bytes, and one of 20 MiB in the middle.
    fn files() -> Vec<Entry> {
        let size = |index: u64| if index == 1500 { 20 << 20 } else { index * 7919 % 40_000 };
        (0..3000).map(|index| file(format!("f{index:04}"), size(index), index)).collect()
    }

    fn identities(entries: &[Entry]) -> BTreeSet<Digest> {
        plan(entries, Compression::Gzip).unwrap().chunks.iter().map(|chunk| chunk.identity).collect()
    }

    /// Stores know chunks by their identities, so these change as little as the bytes do.
    #[test]
    fn identities_stay_as_they_are() {
        let chunks = plan(&files(), Compression::Gzip).unwrap().chunks;
        let all: Vec<u8> = chunks.iter().flat_map(|chunk| *chunk.identity.as_bytes()).collect();
        let expected = "76347ee11560aadc973d3937cba9a545ae757e7c2d2cc7d982d1f755ec795a93";
        assert_eq!(Digest::of(&all).hex(), expected);
        let gzip = identities(&files());
        let zstd = plan(&files(), Compression::Zstd).unwrap().chunks;
        assert!(zstd.iter().all(|chunk| !gzip.contains(&chunk.identity)));
    }

    #[test]
    fn chunks_cover_the_stream_and_keep_their_limits() {
        let entries = files();
        let Plan { offsets, chunks, size } = plan(&entries, Compression::Gzip).unwrap();
        let mut offset = 0;
        let mut start = Position { entry: 0, content: 0 };
        for (index, chunk) in chunks.iter().enumerate() {
            assert_eq!((chunk.offset, chunk.start), (offset, start));
            (offset, start) = (offset + chunk.len, chunk.end);
            assert!(chunk.len <= MAX && (chunk.len >= MIN || index + 1 == chunks.len()), "{chunk:?}");
        }
        assert_eq!((offset, start), (size, Position { entry: 3000, content: 0 }));
        assert_eq!(offsets[0], 512);
        let inside: Vec<u64> = chunks.iter().filter(|c| c.end.content > 0).map(|c| c.end.content).collect();
        assert_eq!(inside, (1..10).map(|n| n * AIM).collect::<Vec<_>>());
    }

    #[test]
    fn an_edit_leaves_nearly_all_chunks_as_they_were() {
        let before = identities(&files());
        assert!(before.len() > 25, "{}", before.len());
        for index in [0, 700, 1499, 1501, 2999] {
            let mut changed = files();
            changed[index] = file(format!("f{index:04}"), 12_345, 99_999);
            let mut inserted = files();
            inserted.insert(index + 1, file(format!("f{index:04}-new"), 30_000, 99_999));
            let mut removed = files();
            removed.remove(index);
            for (what, after) in [("changed", changed), ("inserted", inserted), ("removed", removed)] {
                let moved = identities(&after).difference(&before).count();
                assert!((1..=3).contains(&moved), "{what} at {index}: {moved} chunks of {} are new", before.len());
            }
        }
    }

    #[test]
    fn a_change_inside_a_large_file_stays_inside_it() {
        let before = identities(&files());
        let mut entries = files();
        entries[1500] = file("f1500".into(), 20 << 20, 99_999);
        assert_eq!(identities(&entries).difference(&before).count(), 10);
    }

    #[test]
    fn entries_that_are_not_canonical_are_refused() {
        let file = |path: &str| file(path.into(), 0, 0);
        let link = |path: &str, target: &str| Entry {
            kind: Kind::HardLink { target: ImagePath::parse(target).unwrap() },
            ..file(path)
        };
        let error = |entries: &[Entry]| plan(entries, Compression::Gzip).err().unwrap().to_string();
        assert!(error(&[file("b"), file("a")]).starts_with("`/a` comes after `/b`"));
        assert!(error(&[file("a"), file("a")]).starts_with("`/a` is there twice"));
        assert!(error(&[link("a", "b"), file("b")]).contains("`/b`, which is not among the entries before it"));
        assert!(error(&[link("a", "a")]).contains("not among the entries before it"));
        assert!(error(&[file("a"), link("b", "a"), link("c", "b")]).contains("a hard link itself"));
        let directory = Entry { kind: Kind::Directory, ..file("a") };
        assert!(error(&[directory, link("b", "a")]).contains("a directory"));
        let mut short = file("a");
        short.kind = Kind::File { content: Content { size: 4, ..Content::inline(*b"abc") } };
        assert!(error(&[short]).contains("`/a` is not 4 bytes long"));
    }
}
