//! Bytecode of Python with a time in it.
//!
//! Python holds such a file for valid if the time and size in its header are those of its source. A source that a command
//! makes has the clock's time while it runs and the epoch afterwards, so the bytecode is another in each run and valid in
//! none. To write the epoch into the header would be worse: all sources have that time, and one that is replaced in a layer
//! above by one of the same size would be run as the old one was. Bytecode with the source's hash (PEP 552), which
//! py_compile and pip write as `SOURCE_DATE_EPOCH` is set, is always right and is kept. Without a source, nobody looks at the
//! time, and it is that of the epoch at the latest.

use std::collections::BTreeSet;
use std::io;

use crate::entry::{Content, Kind};
use crate::path::ImagePath;
use crate::tree::Tree;

use super::{Images, ScrubError};

/// Larger bytecode is left as it is.
const LARGEST: u64 = 64 << 20;

/// Where bytecode lies.
const CACHE: &[u8] = b"__pycache__";

/// The bytecode among `changed` that is never valid, and directories made for it in which nothing else is.
pub(super) fn stale(changed: &[ImagePath], images: &Images) -> Result<BTreeSet<ImagePath>, ScrubError> {
    let mut stale = BTreeSet::new();
    for path in changed {
        if is_stale(path, images).map_err(|source| ScrubError::Read { path: path.clone(), source })? {
            stale.insert(path.clone());
        }
    }
    let caches: BTreeSet<ImagePath> = stale.iter().filter_map(ImagePath::parent).collect();
    for cache in caches {
        let is_new = cache.file_name() == Some(CACHE) && images.below.get(&cache).is_none();
        if is_new && images.above.children(&cache).all(|child| stale.contains(child)) {
            stale.insert(cache);
        }
    }
    Ok(stale)
}

/// Bytecode that is a module by itself, with a time that is not after the epoch; `None` if nothing is to be changed.
pub(super) fn alone(path: &ImagePath, images: &Images) -> io::Result<Option<Vec<u8>>> {
    let Some((content, source, stamp)) = stamped(path, images)? else { return Ok(None) };
    let is_alone = file(images.above, &source).is_none() && !is_cached(path);
    let epoch = u32::try_from(images.epoch).unwrap_or(u32::MAX);
    if !is_alone || stamp.time <= epoch || content.size > LARGEST {
        return Ok(None);
    }
    let mut bytes = content.read_all(LARGEST)?;
    bytes[stamp.at..stamp.at + 4].copy_from_slice(&epoch.to_le_bytes());
    Ok(Some(bytes))
}

fn is_stale(path: &ImagePath, images: &Images) -> io::Result<bool> {
    let Some((_, source, Stamp { time, size, .. })) = stamped(path, images)? else { return Ok(false) };
    Ok(match file(images.above, &source) {
        Some((mtime, content)) => mtime >= images.epoch || (time, size) != (mtime as u32, content.size as u32),
        None => is_cached(path),
    })
}

/// Bytecode that changed and has a time, with the place of its source.
fn stamped<'a>(path: &ImagePath, images: &Images<'a>) -> io::Result<Option<(&'a Content, ImagePath, Stamp)>> {
    let Some(Kind::File { content }) = images.above.get(path).map(|node| &node.kind) else { return Ok(None) };
    let Some(source) = source(path) else { return Ok(None) };
    if images.below.get(path).is_some_and(|old| matches!(&old.kind, Kind::File { content: old } if old == content)) {
        return Ok(None);
    }
    Ok(stamp(content)?.map(|stamp| (content, source, stamp)))
}

/// Without its source, bytecode in a cache is nothing; elsewhere it is a module by itself.
fn is_cached(path: &ImagePath) -> bool {
    path.parent().is_some_and(|directory| directory.file_name() == Some(CACHE))
}

/// Where the source of bytecode is: `d/__pycache__/m.cpython-311.opt-1.pyc` and `d/m.pyc` are those of `d/m.py`.
fn source(path: &ImagePath) -> Option<ImagePath> {
    let name = path.file_name()?;
    let stem = name.strip_suffix(b".pyc").or(name.strip_suffix(b".pyo"))?;
    let directory = path.parent()?;
    let (directory, module) = match directory.file_name() {
        Some(CACHE) => (directory.parent()?, stem.split(|&b| b == b'.').next()?),
        _ => (directory, stem),
    };
    directory.child(&[module, b".py"].concat()).ok()
}

/// Time and size of the source, and where in the header the time is.
struct Stamp {
    time: u32,
    size: u32,
    at: usize,
}

/// What the header says of the source. The word behind the magic number is 1 or 3 if that is its hash; in the versions of
/// Python before there were hashes it is the time itself.
fn stamp(content: &Content) -> io::Result<Option<Stamp>> {
    let mut header = [0; 16];
    if content.size < header.len() as u64 {
        return Ok(None);
    }
    content.read_exact_at(0, &mut header)?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let is_bytecode = header[2..4] == *b"\r\n";
    let at = if word(4) == 0 { 8 } else { 4 };
    let has_time = is_bytecode && !matches!(word(4), 1 | 3);
    Ok(has_time.then(|| Stamp { time: word(at), size: word(at + 4), at }))
}

fn file<'a>(tree: &'a Tree, path: &ImagePath) -> Option<(i64, &'a Content)> {
    let node = tree.get(path)?;
    match &node.kind {
        Kind::File { content } => Some((node.metadata.mtime, content)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_lies_in_a_cache_or_beside_its_source() {
        let of = |text: &str| source(&ImagePath::parse(text).unwrap()).map(|path| path.to_string());
        assert_eq!(of("d/__pycache__/m.cpython-311.opt-1.pyc").as_deref(), Some("/d/m.py"));
        assert_eq!(of("d/m.pyc").as_deref(), Some("/d/m.py"));
        assert_eq!(of("__pycache__/m.pypy39.pyc").as_deref(), Some("/m.py"));
        assert_eq!(of("d/m.py"), None);
    }
}
