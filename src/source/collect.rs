//! What lies at a source path: a file, a link, or a directory with all that is in it.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::entry::Stamp;
use crate::path::{ImagePath, WorkspacePath};

use super::error::{SourceError, shown};
use super::walk::{Directory, Visit, walk};
use super::workspace::{Workspace, kind_name};

/// One file of the workspace as a layer may take it up. Of its metadata only the owner's executable bit is kept: mode,
/// owner and times differ between checkouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to the workspace's root. Bytes, as a directory may hold names that are not UTF-8.
    pub path: ImagePath,
    pub kind: SourceKind,
    /// The stamp of a regular file when it was collected.
    pub(super) seen: Option<Stamp>,
}

impl SourceFile {
    /// The size of a regular file when it was collected, in bytes; 0 for all else.
    pub fn size(&self) -> u64 {
        self.seen.as_ref().map_or(0, |stamp| stamp.size)
    }
}

/// What a source file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    File {
        /// Its owner may execute it.
        executable: bool,
    },
    Directory,
    Symlink {
        /// The link's text, byte for byte; it may lead anywhere.
        target: Arc<[u8]>,
    },
}

/// What becomes of a name below the place that is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is wanted, and of a directory what is in it is asked about.
    Take,
    /// The directory is not wanted, but something in it may be.
    Enter,
    /// Nothing of it is wanted.
    Leave,
}

impl Workspace {
    /// The file or link at `path`, or the directory with all that is in it, sub-packages and hidden files included,
    /// `.git` left out; sorted bytewise. Symbolic links are kept as links, also at `path` itself; only the directories
    /// above it may be links, which must stay inside the workspace.
    ///
    /// # Errors
    /// `path` is missing or leads out of the workspace; a socket, FIFO or device is met; a directory cannot be read.
    pub fn collect(&self, path: &WorkspacePath) -> Result<Vec<SourceFile>, SourceError> {
        self.collect_chosen(path, &|_, _| Choice::Take)
    }

    /// As [`Workspace::collect`], of what is below `path` only what `choose` takes, which is told whether it is a directory.
    /// The file or directory at `path` itself is among it.
    ///
    /// # Errors
    /// As [`Workspace::collect`]; what is not taken may be of any kind.
    pub fn collect_chosen(
        &self,
        path: &WorkspacePath,
        choose: &(dyn Fn(&[u8], bool) -> Choice + Sync),
    ) -> Result<Vec<SourceFile>, SourceError> {
        let on_disk = Path::new(path.as_str());
        let fail = |errno| SourceError::from_errno(on_disk, errno);
        let top = self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        let status = rustix::fs::fstat(&top).map_err(fail)?;
        let read_link = || rustix::fs::readlinkat(&top, "", Vec::new());
        let mut files = vec![source_file(on_disk, &status, read_link)?];
        if files[0].kind == SourceKind::Directory {
            files.extend(walk(&top, on_disk, |directory| visit(directory, on_disk, choose))?);
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

fn visit(
    directory: &Directory<'_>,
    top: &Path,
    choose: &(dyn Fn(&[u8], bool) -> Choice + Sync),
) -> Result<Visit<SourceFile>, SourceError> {
    // One name after the other takes the last place.
    let mut path = top.join(directory.path).join(".name");
    let mut visit = Visit::nothing();
    for item in &directory.items {
        path.set_file_name(&item.name);
        match choose(path.as_os_str().as_bytes(), item.file_type == FileType::Directory) {
            Choice::Take => {}
            Choice::Enter => {
                visit.enter.extend((item.file_type == FileType::Directory).then(|| item.name.clone()));
                continue;
            }
            Choice::Leave => continue,
        }
        let descriptor = directory.descriptor.as_fd();
        let status = rustix::fs::statat(descriptor, &item.name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| SourceError::from_errno(&path, errno))?;
        let read_link = || rustix::fs::readlinkat(descriptor, &item.name, Vec::new());
        let file = source_file(&path, &status, read_link)?;
        if file.kind == SourceKind::Directory {
            visit.enter.push(item.name.clone());
        }
        visit.found.push(file);
    }
    Ok(visit)
}

fn source_file(
    path: &Path,
    status: &Stat,
    read_link: impl Fn() -> Result<std::ffi::CString, Errno>,
) -> Result<SourceFile, SourceError> {
    let kind = match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => SourceKind::File { executable: status.st_mode & 0o100 != 0 },
        FileType::Directory => SourceKind::Directory,
        FileType::Symlink => {
            let target = read_link().map_err(|errno| SourceError::from_errno(path, errno))?;
            SourceKind::Symlink { target: target.into_bytes().into() }
        }
        special => return Err(SourceError::Special { path: shown(path), kind: kind_name(special) }),
    };
    let path = ImagePath::parse(path.as_os_str().as_bytes()).map_err(|_| SourceError::Name {
        path: shown(path),
        reason: "is longer than 4096 bytes with its directories",
    })?;
    let seen = matches!(kind, SourceKind::File { .. }).then(|| stamp(status));
    Ok(SourceFile { path, kind, seen })
}

/// As [`Stamp::of`].
fn stamp(status: &Stat) -> Stamp {
    let nanoseconds = |seconds: i128, nanos: i128| seconds * 1_000_000_000 + nanos;
    Stamp {
        device: status.st_dev,
        inode: status.st_ino,
        size: status.st_size as u64,
        mtime: nanoseconds(status.st_mtime.into(), status.st_mtime_nsec.into()),
        ctime: nanoseconds(status.st_ctime.into(), status.st_ctime_nsec.into()),
    }
}

impl SourceFile {
    /// A regular file that is named by a spec and was not looked at yet.
    pub fn named(path: ImagePath) -> Self {
        SourceFile { path, kind: SourceKind::File { executable: false }, seen: None }
    }

    /// The path as this machine's file system takes it.
    pub(super) fn on_disk(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.path.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn collect(root: &Path, path: &str) -> Result<Vec<(String, SourceKind)>, SourceError> {
        let files = Workspace::at(root).unwrap().collect(&WorkspacePath::parse(path).unwrap())?;
        Ok(files.into_iter().map(|file| (file.path.to_string(), file.kind)).collect())
    }

    #[test]
    fn both_ways_to_stat_give_the_same_stamp() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("f"), "content").unwrap();
        let files = Workspace::at(root.path()).unwrap().collect(&WorkspacePath::parse("f").unwrap()).unwrap();
        assert_eq!(files[0].seen, Some(Stamp::of(&fs::metadata(root.path().join("f")).unwrap())));
    }

    const PLAIN: SourceKind = SourceKind::File { executable: false };

    fn link(target: &str) -> SourceKind {
        SourceKind::Symlink { target: target.as_bytes().into() }
    }

    #[test]
    fn a_directory_comes_with_all_that_is_in_it() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("d/sub/empty")).unwrap();
        fs::create_dir_all(at("d/.git/objects")).unwrap();
        fs::write(at("d/sub/BUILD.star"), "").unwrap();
        fs::write(at("d/sub-file"), "").unwrap();
        fs::write(at("d/run"), "").unwrap();
        fs::set_permissions(at("d/run"), Permissions::from_mode(0o700)).unwrap();
        fs::write(at("d/others_run"), "").unwrap();
        fs::set_permissions(at("d/others_run"), Permissions::from_mode(0o677)).unwrap();
        fs::write(root.path().join(OsStr::from_bytes(b"d/\xff")), "").unwrap();
        symlink("../../outside", at("d/link")).unwrap();
        symlink("sub", at("d/to_directory")).unwrap();
        let expected = [
            ("/d", SourceKind::Directory),
            ("/d/link", link("../../outside")),
            ("/d/others_run", PLAIN),
            ("/d/run", SourceKind::File { executable: true }),
            ("/d/sub", SourceKind::Directory),
            ("/d/sub-file", PLAIN),
            ("/d/sub/BUILD.star", PLAIN),
            ("/d/sub/empty", SourceKind::Directory),
            ("/d/to_directory", link("sub")),
            ("/d/\\xff", PLAIN),
        ];
        assert_eq!(collect(root.path(), "d").unwrap(), expected.map(|(path, kind)| (path.to_owned(), kind)));
    }

    #[test]
    fn links_are_followed_above_a_source_but_not_at_it() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("f"), "").unwrap();
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        fs::write(root.path().join("d/f"), "").unwrap();
        symlink("d", root.path().join("inside")).unwrap();
        symlink(outside.path(), root.path().join("out")).unwrap();

        assert_eq!(collect(root.path(), "inside").unwrap(), [("/inside".to_owned(), link("d"))]);
        assert_eq!(collect(root.path(), "inside/f").unwrap(), [("/inside/f".to_owned(), PLAIN)]);
        assert!(matches!(collect(root.path(), "out").unwrap()[0].1, SourceKind::Symlink { .. }));
        let error = collect(root.path(), "out/f").unwrap_err();
        assert!(matches!(&error, SourceError::Outside { path } if path == "out/f"), "{error}");
    }

    #[test]
    fn what_no_layer_can_hold_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        let _listener = UnixListener::bind(root.path().join("d/socket")).unwrap();
        for path in ["d", "d/socket"] {
            let error = collect(root.path(), path).unwrap_err();
            assert_eq!(error.to_string(), "`d/socket` is a socket, which no layer can hold");
        }
        assert!(matches!(collect(root.path(), "gone").unwrap_err(), SourceError::NotFound { path } if path == "gone"));
    }
}
