//! Listing directories, many at a time.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;

use super::beneath::{self, Links};
use super::error::SourceError;

/// A directory with the names that it holds.
pub(super) struct Directory<'a> {
    /// Relative to where the walk began; empty there.
    pub path: &'a Path,
    pub descriptor: BorrowedFd<'a>,
    /// Sorted bytewise; without `.git`, `.` and `..`.
    pub items: Vec<Item>,
}

/// A name in a directory.
pub(super) struct Item {
    pub name: OsString,
    pub file_type: FileType,
}

/// What a visitor makes of a directory.
pub(super) struct Visit<T> {
    pub found: Vec<T>,
    /// Names of sub-directories to visit.
    pub enter: Vec<OsString>,
}

impl Directory<'_> {
    /// True if the directory holds something of that name that is not a directory.
    pub fn has_file(&self, name: &str) -> bool {
        let at = self.items.binary_search_by(|item| item.name.as_bytes().cmp(name.as_bytes()));
        at.is_ok_and(|at| self.items[at].file_type != FileType::Directory)
    }

    /// The names of the sub-directories; a symbolic link to one is not among them.
    pub fn subdirectories(&self) -> impl Iterator<Item = &OsStr> {
        self.items.iter().filter(|item| item.file_type == FileType::Directory).map(|item| item.name.as_os_str())
    }
}

impl<T> Visit<T> {
    /// Nothing found, nothing to enter.
    pub fn nothing() -> Self {
        Visit { found: Vec::new(), enter: Vec::new() }
    }
}

/// Visits `top` and the directories that the visitor asks for, one level after the other and each level in parallel.
/// The order of what was found, and which of several errors is returned, do not depend on threads or on the disk.
/// `shown` is the path of `top` for messages.
pub(super) fn walk<T: Send>(
    top: &OwnedFd,
    shown: &Path,
    visit: impl Fn(&Directory<'_>) -> Result<Visit<T>, SourceError> + Sync,
) -> Result<Vec<T>, SourceError> {
    let step = |path: &PathBuf| {
        let fail = |errno| SourceError::from_errno(&shown.join(path), errno);
        // Opened from the top each time: one descriptor a thread, however deep the tree is.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let descriptor = beneath::open(top.as_fd(), path, flags, Links::Never).map_err(fail)?;
        let mut stream = Dir::new(descriptor).map_err(fail)?;
        let items = list(&mut stream).map_err(fail)?;
        visit(&Directory { path, descriptor: stream.fd().map_err(fail)?, items })
    };
    let mut found = Vec::new();
    let mut level = vec![PathBuf::new()];
    while !level.is_empty() {
        // A level of one is not worth the way to another thread; most globs see no other.
        let visits: Vec<_> = match level.as_slice() {
            [only] => vec![step(only)],
            many => many.par_iter().map(step).collect(),
        };
        let mut next = Vec::new();
        for (path, visit) in level.iter().zip(visits) {
            let visit = visit?;
            found.extend(visit.found);
            next.extend(visit.enter.iter().map(|name| path.join(name)));
        }
        level = next;
    }
    Ok(found)
}

fn list(stream: &mut Dir) -> Result<Vec<Item>, Errno> {
    let mut items = Vec::new();
    while let Some(entry) = stream.read() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b".." | b".git") {
            continue;
        }
        let mut file_type = entry.file_type();
        if file_type == FileType::Unknown {
            let status = rustix::fs::statat(stream.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
            file_type = FileType::from_raw_mode(status.st_mode);
        }
        items.push(Item { name: OsStr::from_bytes(name.to_bytes()).to_owned(), file_type });
    }
    items.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    Ok(items)
}
