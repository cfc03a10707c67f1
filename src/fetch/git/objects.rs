//! Objects of the repository, out of `git cat-file --batch`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::digest::Hasher;
use crate::entry::{Content, Origin};
use crate::git::ObjectId;

use super::error::GitError;

/// An object: what it is, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

/// The most bytes of a commit or a tag.
const HEADER: u64 = 16 << 20;

impl Object {
    /// The objects that a commit or a tag names in the lines `KEY ID` of its header, in their order.
    pub(super) fn named(&self, key: &str) -> io::Result<Vec<ObjectId>> {
        let bytes = self.content.read_all(HEADER)?;
        let lines = bytes.split(|&b| b == b'\n').take_while(|line| !line.is_empty());
        let id = |line: &[u8]| {
            let line = std::str::from_utf8(line).ok()?;
            line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok()
        };
        Ok(lines.filter_map(id).collect())
    }
}

/// What to ask for: a line for each object.
pub(super) fn wanted(ids: &BTreeSet<ObjectId>) -> String {
    ids.iter().map(|id| format!("{id}\n")).collect()
}

/// Reads the answer, `ID KIND SIZE\n`, the bytes and `\n` for each object, and sets the bytes aside in `spool`, an empty file.
pub(super) fn read(
    output: &mut dyn BufRead,
    ids: &BTreeSet<ObjectId>,
    spool: fs::File,
    limit: u64,
) -> Result<BTreeMap<ObjectId, Object>, GitError> {
    let (spool, mut end) = (Arc::new(spool), 0);
    let mut objects = BTreeMap::new();
    for id in ids {
        let (kind, size) = announced(output, id)?;
        if size > limit - end {
            return Err(GitError::TooMuch { what: "the files of the commit are larger", limit });
        }
        let content = set_aside(output, size, &spool, end)?;
        end += size;
        let mut line_end = [0];
        output.read_exact(&mut line_end).map_err(|source| GitError::Output { source })?;
        objects.insert(id.clone(), Object { kind, content });
    }
    Ok(objects)
}

fn announced(output: &mut dyn BufRead, id: &ObjectId) -> Result<(Kind, u64), GitError> {
    const LONGEST: u64 = 200;
    let mut line = Vec::new();
    output.take(LONGEST).read_until(b'\n', &mut line).map_err(|source| GitError::Output { source })?;
    let line = String::from_utf8_lossy(&line);
    let parts = || {
        let (kind, size) = line.trim_end().strip_prefix(id.as_str())?.strip_prefix(' ')?.split_once(' ')?;
        let kind = match kind {
            "commit" => Kind::Commit,
            "tree" => Kind::Tree,
            "blob" => Kind::Blob,
            "tag" => Kind::Tag,
            _ => return None,
        };
        Some((kind, size.parse().ok()?))
    };
    parts().ok_or_else(|| {
        let said = format!("git says `{}` of the object {id}", line.trim_end().escape_debug());
        GitError::Output { source: io::Error::new(io::ErrorKind::InvalidData, said) }
    })
}

fn set_aside(output: &mut dyn BufRead, size: u64, spool: &Arc<fs::File>, offset: u64) -> Result<Content, GitError> {
    let (mut hasher, mut done) = (Hasher::new(), 0);
    while done < size {
        let bytes = match output.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes.map_err(|source| GitError::Output { source })?,
        };
        if bytes.is_empty() {
            return Err(GitError::Output { source: io::ErrorKind::UnexpectedEof.into() });
        }
        let n = bytes.len().min((size - done).try_into().unwrap_or(usize::MAX));
        hasher.update(&bytes[..n]);
        spool.write_all_at(&bytes[..n], offset + done).map_err(|source| GitError::Spool { source })?;
        output.consume(n);
        done += n as u64;
    }
    Ok(Content { size, digest: hasher.finish(), origin: Origin::Region { file: spool.clone(), offset } })
}
