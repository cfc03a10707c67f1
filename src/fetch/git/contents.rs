//! The contents of a commit's files, out of `git cat-file --batch`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::digest::Hasher;
use crate::entry::{Content, Entry, Kind as EntryKind, Metadata, Origin};
use crate::git::ObjectId;
use crate::path::ImagePath;

use super::error::GitError;
use super::tree::{File, Kind};

/// The objects to ask for, a line each, every one once.
pub(super) fn wanted(files: &BTreeMap<ImagePath, File>) -> String {
    ids(files).into_iter().map(|id| format!("{id}\n")).collect()
}

/// Reads the answer, `ID blob SIZE\n`, the bytes and `\n` for each object, and sets the bytes aside in `spool`, an empty file.
pub(super) fn read(
    output: &mut dyn BufRead,
    files: &BTreeMap<ImagePath, File>,
    spool: fs::File,
    limit: u64,
) -> Result<BTreeMap<ObjectId, Content>, GitError> {
    let (spool, mut end) = (Arc::new(spool), 0);
    let mut contents = BTreeMap::new();
    for id in ids(files) {
        let size = size_of(output, id)?;
        if size > limit - end {
            return Err(GitError::TooMuch { what: "the files of the commit are larger", limit });
        }
        let content = set_aside(output, size, &spool, end)?;
        end += size;
        let mut line_end = [0];
        output.read_exact(&mut line_end).map_err(|source| GitError::Output { source })?;
        contents.insert(id.clone(), content);
    }
    Ok(contents)
}

/// The files as entries. Times are the epoch and owners root: a commit's own time is no part of its files.
pub(super) fn entries(
    files: BTreeMap<ImagePath, File>,
    contents: &BTreeMap<ObjectId, Content>,
) -> Result<Vec<Entry>, GitError> {
    let entry = |(path, File { kind, id }): (ImagePath, File)| {
        let content = contents[&id].clone();
        let (mode, kind) = match kind {
            Kind::Regular { executable } => (if executable { 0o755 } else { 0o644 }, EntryKind::File { content }),
            Kind::Symlink => {
                let text = content.read_all(ImagePath::MAX_LEN as u64).map_err(|source| GitError::Output { source })?;
                (0o777, EntryKind::Symlink { target: text.into() })
            }
        };
        Ok(Entry { path, metadata: Metadata::root_owned(mode, 0), kind })
    };
    files.into_iter().map(entry).collect()
}

fn ids(files: &BTreeMap<ImagePath, File>) -> BTreeSet<&ObjectId> {
    files.values().map(|file| &file.id).collect()
}

fn size_of(output: &mut dyn BufRead, id: &ObjectId) -> Result<u64, GitError> {
    const LONGEST: u64 = 200;
    let mut line = Vec::new();
    output.take(LONGEST).read_until(b'\n', &mut line).map_err(|source| GitError::Output { source })?;
    let line = String::from_utf8_lossy(&line);
    let size = line.trim_end().strip_prefix(id.as_str()).and_then(|rest| rest.strip_prefix(" blob ")?.parse().ok());
    size.ok_or_else(|| {
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
