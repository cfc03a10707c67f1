//! The workspace's root, and single files in it.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::diagnostic::SourceText;
use crate::path::WorkspacePath;

use super::beneath::{self, Links};
use super::error::{SourceError, shown};

/// The directory in which everything lies that a build may see. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    directory: Arc<OwnedFd>,
    name: PathBuf,
}

/// What a path names; a symbolic link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    File,
    Directory,
    Symlink,
    /// A device, FIFO or socket.
    Special,
}

impl Workspace {
    /// The settings file; the directory that has it is a workspace's root.
    pub const SETTINGS: &'static str = "ocify.toml";
    /// The spec file; a directory that has it is a package.
    pub const SPEC: &'static str = "BUILD.star";
    /// The most bytes of a spec file: 1 MiB.
    pub const SPEC_LIMIT: u64 = 1 << 20;

    /// The workspace that holds the directory `start`: the nearest directory upward with an `ocify.toml`; without one,
    /// the nearest with a `.git`; without that, `start` itself if it has a `BUILD.star`.
    ///
    /// # Errors
    /// None of these, or `start` cannot be read.
    pub fn find(start: &Path) -> Result<Self, SourceError> {
        let start = fs::canonicalize(start).map_err(|source| SourceError::Io { path: shown(start), source })?;
        match root_above(&start, |path| fs::symlink_metadata(path).is_ok()) {
            Some(root) => Workspace::at(root),
            None => Err(SourceError::NoWorkspace { start: shown(&start) }),
        }
    }

    /// The workspace whose root is `root`, whatever that directory holds.
    ///
    /// # Errors
    /// `root` is not a directory that can be opened.
    pub fn at(root: impl AsRef<Path>) -> Result<Self, SourceError> {
        let root = root.as_ref();
        let io = |source| SourceError::Io { path: shown(root), source };
        let root = fs::canonicalize(root).map_err(io)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&root, flags, Mode::empty()).map_err(|errno| io(errno.into()))?;
        Ok(Workspace { name: root.clone(), root, directory: Arc::new(directory) })
    }

    /// The same under another name: for one that lies at another place each time.
    #[must_use]
    pub fn known_as(self, name: PathBuf) -> Self {
        Workspace { name, ..self }
    }

    /// By what its last builds and the digests of its files are remembered: its root, unless it has a name.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Where the workspace is on this machine: for opening files and for messages, never for output.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The package in which relative labels stand when ocify runs in `directory`.
    ///
    /// # Errors
    /// `directory` does not lie in the workspace, or its path is one that no label can name.
    pub fn package_of(&self, directory: &Path) -> Result<WorkspacePath, SourceError> {
        let io = |source| SourceError::Io { path: shown(directory), source };
        let directory = fs::canonicalize(directory).map_err(io)?;
        let below = directory
            .strip_prefix(&self.root)
            .map_err(|_| SourceError::Elsewhere { path: shown(&directory), root: shown(&self.root) })?;
        named(below)
    }

    /// What `path` names; `None` if there is nothing.
    ///
    /// # Errors
    /// A directory on the way leads out of the workspace, is a loop of links, or cannot be searched.
    pub fn kind(&self, path: &WorkspacePath) -> Result<Option<PathKind>, SourceError> {
        let found = match self.open(path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(found) => found,
            Err(SourceError::NotFound { .. } | SourceError::NotADirectory { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let status = rustix::fs::fstat(found).map_err(|errno| error_at(path, errno))?;
        Ok(Some(PathKind::of(FileType::from_raw_mode(status.st_mode))))
    }

    /// Reads a spec file: UTF-8 text of at most [`Workspace::SPEC_LIMIT`] bytes. It may be a symbolic link that stays
    /// inside the workspace.
    ///
    /// # Errors
    /// The file is missing, not a file, too large, not UTF-8, or leads out of the workspace.
    pub fn read_spec(&self, path: &WorkspacePath) -> Result<Arc<SourceText>, SourceError> {
        let file = self.open_file(path)?;
        let mut bytes = Vec::new();
        file.take(Self::SPEC_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| SourceError::Io { path: shown(path.as_str().as_ref()), source })?;
        if bytes.len() as u64 > Self::SPEC_LIMIT {
            return Err(SourceError::TooLarge { path: path.to_string(), limit: Self::SPEC_LIMIT });
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
            SourceError::NotText { path: path.to_string(), line }
        })?;
        Ok(Arc::new(SourceText { name: path.to_string(), text }))
    }

    /// Opens a regular file for reading, such as an archive to extract. It may be a symbolic link that stays inside
    /// the workspace.
    ///
    /// # Errors
    /// As [`Workspace::read_spec`], without those about its content.
    pub fn open_file(&self, path: &WorkspacePath) -> Result<File, SourceError> {
        // Without NONBLOCK, opening a FIFO would wait for its writer.
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let status = rustix::fs::fstat(&file).map_err(|errno| error_at(path, errno))?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            kind => Err(SourceError::NotAFile { path: shown(path.as_str().as_ref()), kind: kind_name(kind) }),
        }
    }

    /// Where a file or directory is on this machine once every symbolic link is followed, such as an OCI layout.
    ///
    /// # Errors
    /// It is missing or leads out of the workspace.
    pub fn locate(&self, path: &WorkspacePath) -> Result<PathBuf, SourceError> {
        self.open(path, OFlags::PATH)?;
        let on_disk = path.on_disk(&self.root);
        fs::canonicalize(&on_disk).map_err(|source| SourceError::Io { path: path.to_string(), source })
    }

    pub(super) fn open(&self, path: &WorkspacePath, flags: OFlags) -> Result<OwnedFd, SourceError> {
        beneath::open(self.directory(), path.as_str().as_ref(), flags, Links::Inside)
            .map_err(|errno| error_at(path, errno))
    }

    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl PathKind {
    fn of(file_type: FileType) -> Self {
        match file_type {
            FileType::RegularFile => PathKind::File,
            FileType::Directory => PathKind::Directory,
            FileType::Symlink => PathKind::Symlink,
            _ => PathKind::Special,
        }
    }
}

/// The word for a kind of file in messages.
pub(super) fn kind_name(file_type: FileType) -> &'static str {
    match file_type {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "FIFO",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::Unknown => "file of unknown kind",
    }
}

/// A path that was met on disk, as a value that a spec can write.
pub(super) fn named(path: &Path) -> Result<WorkspacePath, SourceError> {
    let fail = |reason| SourceError::Name { path: shown(path), reason };
    let text = path.to_str().ok_or_else(|| fail("is not UTF-8"))?;
    WorkspacePath::parse(text).map_err(|_| fail("has a backslash or a control character"))
}

fn error_at(path: &WorkspacePath, errno: Errno) -> SourceError {
    SourceError::from_errno(path.as_str().as_ref(), errno)
}

fn root_above(start: &Path, exists: impl Fn(&Path) -> bool) -> Option<&Path> {
    let nearest = |name: &str| start.ancestors().find(|directory| exists(&directory.join(name)));
    let own = || exists(&start.join(Workspace::SPEC)).then_some(start);
    nearest(Workspace::SETTINGS).or_else(|| nearest(".git")).or_else(own)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(text: &str) -> WorkspacePath {
        WorkspacePath::parse(text).unwrap()
    }

    #[test]
    fn the_nearest_settings_file_makes_the_root() {
        let mut files: Vec<&str> = Vec::new();
        let mut found = |file| {
            files.push(file);
            root_above(Path::new("/a/b/c"), |path| files.iter().any(|file| path == Path::new(file))).map(Path::to_owned)
        };
        assert_eq!(found("/a/BUILD.star"), None);
        assert_eq!(found("/a/b/c/BUILD.star"), Some("/a/b/c".into()));
        assert_eq!(found("/a/.git"), Some("/a".into()));
        assert_eq!(found("/ocify.toml"), Some("/".into()));
        assert_eq!(found("/a/b/ocify.toml"), Some("/a/b".into()));
    }

    #[test]
    fn a_workspace_is_found_from_a_directory_in_it() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("a")).unwrap();
        fs::write(top.path().join("ocify.toml"), "").unwrap();
        let workspace = Workspace::find(&top.path().join("a")).unwrap();
        assert_eq!(workspace.root(), fs::canonicalize(top.path()).unwrap());
    }

    #[test]
    fn no_workspace_is_an_error_that_tells_how_to_make_one() {
        let error = Workspace::find(Path::new("/proc")).unwrap_err();
        assert!(matches!(error, SourceError::NoWorkspace { .. }), "{error}");
        assert!(error.help().unwrap().contains("ocify.toml"));
    }

    #[test]
    fn a_working_directory_is_a_package_path() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("w");
        fs::create_dir_all(root.join("a/b")).unwrap();
        symlink(root.join("a"), top.path().join("link")).unwrap();
        let workspace = Workspace::at(&root).unwrap();
        assert_eq!(workspace.package_of(&root).unwrap(), WorkspacePath::root());
        assert_eq!(workspace.package_of(&top.path().join("link/b")).unwrap(), path("a/b"));
        assert!(matches!(workspace.package_of(top.path()), Err(SourceError::Elsewhere { .. })));
    }

    #[test]
    fn spec_files_are_small_utf8_files_inside() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("w");
        fs::create_dir_all(root.join("d")).unwrap();
        fs::write(top.path().join("secret"), "secret").unwrap();
        fs::write(root.join("d/ok"), "x = 1\n").unwrap();
        fs::write(root.join("full"), vec![b'#'; Workspace::SPEC_LIMIT as usize]).unwrap();
        fs::write(root.join("large"), vec![b'#'; Workspace::SPEC_LIMIT as usize + 1]).unwrap();
        fs::write(root.join("latin1"), b"a = 1\nb = '\xe9'\n").unwrap();
        symlink("d/ok", root.join("link")).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("/dev/zero", root.join("endless")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let workspace = Workspace::at(&root).unwrap();
        let read = |text: &str| workspace.read_spec(&path(text));

        let link = read("link").unwrap();
        assert_eq!((link.name.as_str(), link.text.as_str()), ("link", "x = 1\n"));
        assert_eq!(read("full").unwrap().text.len(), 1 << 20);
        assert!(matches!(read("large"), Err(SourceError::TooLarge { .. })));
        assert!(matches!(read("latin1"), Err(SourceError::NotText { line: 2, .. })));
        assert!(matches!(read("gone"), Err(SourceError::NotFound { .. })));
        assert!(matches!(read("loop"), Err(SourceError::Loop { .. })));
        assert!(matches!(read("fifo"), Err(SourceError::NotAFile { kind: "FIFO", .. })));
        assert!(matches!(read("d"), Err(SourceError::NotAFile { kind: "directory", .. })));
        for outside in ["out", "endless"] {
            let error = read(outside).unwrap_err();
            assert!(matches!(error, SourceError::Outside { .. }), "{outside}: {error}");
        }
    }

    #[test]
    fn kinds_do_not_follow_links() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        fs::write(root.path().join("d/f"), "").unwrap();
        symlink("/", root.path().join("out")).unwrap();
        let workspace = Workspace::at(root.path()).unwrap();
        let kind = |text: &str| workspace.kind(&path(text));
        assert_eq!(kind("").unwrap(), Some(PathKind::Directory));
        assert_eq!(kind("d/f").unwrap(), Some(PathKind::File));
        assert_eq!(kind("out").unwrap(), Some(PathKind::Symlink));
        assert_eq!(kind("d/gone").unwrap(), None);
        assert_eq!(kind("d/f/below").unwrap(), None);
        assert!(matches!(kind("out/etc"), Err(SourceError::Outside { .. })));
        assert!(matches!(workspace.locate(&path("out")), Err(SourceError::Outside { .. })));
        assert_eq!(workspace.locate(&path("d/f")).unwrap(), workspace.root().join("d/f"));
    }
}
