//! Bytecode of Python with a time in it.
//!
//! Python holds such a file for valid if the time and size in its header are those of its source. A source that a command
//! makes has the clock's time while it runs and the epoch afterwards, so the bytecode is another in each run and valid in
//! none. To write the epoch into the header would be worse: all sources have that time, and one that is replaced in a layer
//! above by one of the same size would be run as the old one was. Bytecode with the source's hash (PEP 552), which
//! py_compile and pip write as `SOURCE_DATE_EPOCH` is set, is always right and is kept.

use std::collections::BTreeSet;
use std::io;

use crate::entry::{Content, Kind};
use crate::path::ImagePath;
use crate::tree::Tree;

use super::{Images, ScrubError};

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

fn is_stale(path: &ImagePath, images: &Images) -> io::Result<bool> {
    let Some(Kind::File { content }) = images.above.get(path).map(|node| &node.kind) else { return Ok(false) };
    let Some(source) = source(path) else { return Ok(false) };
    if images.below.get(path).is_some_and(|old| matches!(&old.kind, Kind::File { content: old } if old == content)) {
        return Ok(false);
    }
    let Some((time, size)) = stamp(content)? else { return Ok(false) };
    Ok(match file(images.above, &source) {
        Some((mtime, content)) => mtime >= images.epoch || (time, size) != (mtime as u32, content.size as u32),
        // Beside where a source would be, bytecode is a module by itself.
        None => path.parent().is_some_and(|directory| directory.file_name() == Some(CACHE)),
    })
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

/// Time and size of the source, if the header has them. The word behind the magic number is 1 or 3 if it has a hash; in the
/// versions of Python before that it is the time itself.
fn stamp(content: &Content) -> io::Result<Option<(u32, u32)>> {
    let mut header = [0; 16];
    if content.size < header.len() as u64 {
        return Ok(None);
    }
    content.read_exact_at(0, &mut header)?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let is_bytecode = header[2..4] == *b"\r\n";
    Ok((is_bytecode && !matches!(word(4), 1 | 3))
        .then(|| if word(4) == 0 { (word(8), word(12)) } else { (word(4), word(8)) }))
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
