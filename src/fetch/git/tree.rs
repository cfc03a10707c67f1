//! The list of a commit's files, and of its directories.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read};

use crate::archive::read::Limits;
use crate::entry::{Entry, Kind as EntryKind, Metadata};
use crate::git::ObjectId;
use crate::path::ImagePath;

use super::error::GitError;
use super::objects::{self, Object};

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) kind: Kind,
    /// Of the content, or of the link's text.
    pub(super) id: ObjectId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Regular { executable: bool },
    Symlink,
}

/// The most submodules that an error names.
const NAMED: usize = 5;

/// Reads what `git ls-tree -r -z` writes: `MODE TYPE ID\tPATH\0` for each file.
pub(super) fn read(
    output: &mut dyn BufRead,
    commit: &ObjectId,
    limits: &Limits,
) -> Result<BTreeMap<ImagePath, File>, GitError> {
    let unusable = |reason: String| GitError::Unusable { commit: commit.clone(), reason };
    let (mut files, mut submodules, mut total) = (BTreeMap::new(), Vec::new(), 0);
    let mut record = Vec::new();
    loop {
        record.clear();
        let mut rest = (&mut *output).take(limits.metadata - total);
        rest.read_until(0, &mut record).map_err(|source| GitError::Output { source })?;
        total += record.len() as u64;
        if record.is_empty() && total < limits.metadata {
            break;
        }
        if record.pop() != Some(0) || files.len() as u64 >= limits.entries {
            return Err(unusable(format!(
                "it has more than {} files, or names of more than {} bytes",
                limits.entries, limits.metadata
            )));
        }
        let Some((mode, id, path)) = parts(&record) else {
            return Err(unusable(format!("git lists `{}`, which is not understood", record.escape_ascii())));
        };
        let path = ImagePath::parse(path).map_err(|error| unusable(error.to_string()))?;
        let kind = match mode {
            0o160000 => {
                submodules.push(path);
                continue;
            }
            0o120000 => Kind::Symlink,
            // As git itself checks it out: of all bits, the owner's for execution counts.
            mode if mode & 0o170000 == 0o100000 => Kind::Regular { executable: mode & 0o100 != 0 },
            mode => return Err(unusable(format!("`{path}` has the mode {mode:o}, which no file has"))),
        };
        if path.is_root() || path.components().count() > limits.depth {
            return Err(unusable(format!("`{path}` is not the name of a file, or is too deep")));
        }
        if files.insert(path.clone(), File { kind, id }).is_some() {
            return Err(unusable(format!("it has `{path}` twice")));
        }
    }
    if !submodules.is_empty() {
        let names: Vec<String> = submodules.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
        let more = if submodules.len() > NAMED { ", ..." } else { "" };
        return Err(GitError::Submodules { commit: commit.clone(), paths: format!("{}{more}", names.join(", ")) });
    }
    match files.keys().find(|path| path.ancestors().any(|above| files.contains_key(&above))) {
        Some(path) => Err(unusable(format!("`{path}` lies below a file"))),
        None => Ok(files),
    }
}

/// The objects of directories out of what `git ls-tree -r -d -z` writes, in the form that [`read`] knows.
pub(super) fn directories(
    output: &mut dyn BufRead,
    commit: &ObjectId,
    limits: &Limits,
) -> Result<BTreeSet<ObjectId>, GitError> {
    let (mut ids, mut record) = (BTreeSet::new(), Vec::new());
    let mut output = output.take(limits.metadata);
    loop {
        record.clear();
        output.read_until(0, &mut record).map_err(|source| GitError::Output { source })?;
        match (record.pop(), parts(&record)) {
            (None, _) => return Ok(ids),
            (Some(0), Some((0o040000, id, _))) => drop(ids.insert(id)),
            _ => {
                let reason = format!("git lists `{}`, which is not understood", record.escape_ascii());
                return Err(GitError::Unusable { commit: commit.clone(), reason });
            }
        }
    }
}

/// The files as entries. Times are the epoch and owners root: a commit's own time is no part of its files.
pub(super) fn entries(
    files: &BTreeMap<ImagePath, File>,
    objects: &BTreeMap<ObjectId, Object>,
    commit: &ObjectId,
) -> Result<Vec<Entry>, GitError> {
    let entry = |(path, File { kind, id }): (&ImagePath, &File)| {
        let Some(Object { kind: objects::Kind::Blob, content }) = objects.get(id) else {
            let reason = format!("what it lists as the file `{path}` is none");
            return Err(GitError::Unusable { commit: commit.clone(), reason });
        };
        let (mode, kind) = match kind {
            Kind::Regular { executable } => {
                (if *executable { 0o755 } else { 0o644 }, EntryKind::File { content: content.clone() })
            }
            Kind::Symlink => {
                let text = content.read_all(ImagePath::MAX_LEN as u64).map_err(|source| GitError::Output { source })?;
                (0o777, EntryKind::Symlink { target: text.into() })
            }
        };
        Ok(Entry { path: path.clone(), metadata: Metadata::root_owned(mode, 0), kind })
    };
    files.iter().map(entry).collect()
}

fn parts(record: &[u8]) -> Option<(u32, ObjectId, &[u8])> {
    let tab = record.iter().position(|&b| b == b'\t')?;
    let mut words = std::str::from_utf8(&record[..tab]).ok()?.split(' ');
    let (mode, _, id) = (words.next()?, words.next()?, words.next()?);
    Some((u32::from_str_radix(mode, 8).ok()?, id.parse().ok()?, &record[tab + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_list(list: &str) -> Result<BTreeMap<ImagePath, File>, GitError> {
        let id = "0123456789".repeat(4);
        let list = list.replace("ID", &id).replace('|', "\0");
        let limits = Limits { entries: 3, metadata: 1000, depth: 3, ..Limits::default() };
        read(&mut list.as_bytes(), &id.parse().unwrap(), &limits)
    }

    #[test]
    fn files_are_sorted_by_their_bytes_and_have_the_modes_that_git_gives_them() {
        let list = "100664 blob ID\ta/b|100755 blob ID\ta-b|120000 blob ID\tz\u{e9}\n|";
        let files = read_list(list).unwrap();
        let files: Vec<(String, Kind)> = files.iter().map(|(path, file)| (path.to_string(), file.kind)).collect();
        let (plain, executable) = (Kind::Regular { executable: false }, Kind::Regular { executable: true });
        assert_eq!(
            files,
            [("/a-b".into(), executable), ("/a/b".into(), plain), ("/z\u{e9}\\x0a".to_owned(), Kind::Symlink)]
        );
        assert!(read_list("").unwrap().is_empty());
    }

    #[test]
    fn what_no_tar_may_have_is_refused() {
        for (list, reason) in [
            ("100644 blob ID\t../x|", "`..` component"),
            ("100644 blob ID\ta/../../x|", "`..` component"),
            ("100644 blob ID\t|", "is not the name of a file"),
            ("100644 blob ID\ta/b/c/d|", "too deep"),
            ("100644 blob ID\ta|100644 blob ID\t./a|", "twice"),
            ("100644 blob ID\ta|100644 blob ID\ta/b|", "below a file"),
            ("120000 blob ID\ta|100644 blob ID\ta/b|", "below a file"),
            ("040000 tree ID\ta|", "the mode 40000"),
            ("160000 commit ID\tlib|160000 commit ID\tvendor/x|", "`/lib`, `/vendor/x`"),
            ("100644 blob ID\ta|100644 blob ID\tb|100644 blob ID\tc|100644 blob ID\td|", "more than 3 files"),
            ("100644 blob ID\ta", "more than 3 files"),
            ("100644 blob x\ta|", "not understood"),
            ("100644 blob ID a|", "not understood"),
        ] {
            let error = read_list(list).unwrap_err().to_string();
            assert!(error.contains(reason), "{list}: {error}");
        }
        let long = format!("100644 blob ID\t{}|", "x".repeat(2000));
        assert!(read_list(&long).unwrap_err().to_string().contains("more than 1000 bytes"));
    }
}
