//! Content digests of source files, taken so that a file which is written meanwhile is noticed.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;
use rustix::fs::OFlags;

use crate::digest::Hasher;
use crate::entry::{Content, DiskFile, Kind, Origin, Stamp};

use super::beneath::{self, Links};
use super::collect::{SourceFile, SourceKind};
use super::error::{SourceError, shown};
use super::workspace::Workspace;

/// How often a file is read before it counts as one that never rests.
const ATTEMPTS: u32 = 3;

/// Bytes read at once.
const BUFFER: usize = 128 << 10;

/// Longer than a tick of the kernel's clock, from which it takes the times of files: 10 ms at 100 Hz.
const TICK: Duration = Duration::from_millis(20);

impl Workspace {
    /// What each of `files` is in a layer, in their order, with the contents of regular files hashed in parallel.
    /// Memory does not grow with the size of the files.
    ///
    /// # Errors
    /// A file is gone, is no longer a file, cannot be read, or is written all the while. Of several errors, the one of
    /// the first file.
    pub fn hash_all(&self, files: &[SourceFile]) -> Result<Vec<Kind>, SourceError> {
        let kinds: Vec<Result<Kind, SourceError>> = files
            .par_iter()
            .map_init(Vec::new, |buffer, file| match &file.kind {
                SourceKind::File { .. } => Ok(Kind::File { content: self.hash(file, buffer, |_| {})? }),
                SourceKind::Directory => Ok(Kind::Directory),
                SourceKind::Symlink { target } => Ok(Kind::Symlink { target: target.clone() }),
            })
            .collect();
        kinds.into_iter().collect()
    }

    /// `meanwhile` is called after each read, for tests that write to the file.
    fn hash(&self, source: &SourceFile, buffer: &mut Vec<u8>, meanwhile: impl Fn(u32)) -> Result<Content, SourceError> {
        buffer.resize(BUFFER, 0);
        let path = source.on_disk();
        let fail = |source| SourceError::Io { path: shown(path), source };
        for attempt in 1..=ATTEMPTS {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
            let file = beneath::open(self.directory(), path, flags, Links::Inside)
                .map_err(|errno| SourceError::from_errno(path, errno))?;
            let mut file = File::from(file);
            if file.metadata().map_err(fail)?.is_dir() {
                return Err(SourceError::NotAFile { path: shown(path), kind: "directory" });
            }
            let before = settled(&file).map_err(fail)?;
            let mut hasher = Hasher::new();
            let mut size = 0;
            loop {
                let n = file.read(buffer).map_err(fail)?;
                if n == 0 {
                    break;
                }
                hasher.update(&buffer[..n]);
                size += n as u64;
                meanwhile(attempt);
            }
            if size == before.size && Stamp::of(&file.metadata().map_err(fail)?) == before {
                let disk = DiskFile { path: self.root().join(path), stamp: before };
                return Ok(Content { size, digest: hasher.finish(), origin: Origin::Disk(Arc::new(disk)) });
            }
        }
        Err(SourceError::Changed { path: shown(path), attempts: ATTEMPTS })
    }
}

/// The stamp of a file that was not written within the clock's last tick, after waiting for that tick to pass. A write
/// in the same tick as an earlier one leaves size and times as they were; git calls such a file "racily clean". The
/// clock decides only how long to wait.
fn settled(file: &File) -> io::Result<Stamp> {
    for _ in 0..ATTEMPTS {
        let stamp = Stamp::of(&file.metadata()?);
        #[allow(clippy::disallowed_methods, reason = "decides only how long to wait; no output sees it")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        if !(0..TICK.as_nanos() as i128).contains(&(now - stamp.ctime)) {
            return Ok(stamp);
        }
        thread::sleep(TICK);
    }
    Err(io::Error::other("it is being written all the while"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use crate::digest::Digest;
    use crate::path::WorkspacePath;

    use super::*;

    fn file(root: &Path, name: &str) -> (Workspace, SourceFile) {
        let workspace = Workspace::at(root).unwrap();
        let file = workspace.collect(&WorkspacePath::parse(name).unwrap()).unwrap().remove(0);
        (workspace, file)
    }

    #[test]
    fn contents_come_in_the_order_of_the_files() {
        let root = tempfile::tempdir().unwrap();
        for i in 0..100 {
            fs::write(root.path().join(format!("{i:03}")), format!("content {i}")).unwrap();
        }
        fs::create_dir(root.path().join("d")).unwrap();
        symlink("000", root.path().join("link")).unwrap();
        let big: Vec<u8> = (0..3 * BUFFER + 7).map(|i| i as u8).collect();
        fs::write(root.path().join("big"), &big).unwrap();
        let workspace = Workspace::at(root.path()).unwrap();
        let kinds = workspace.hash_all(&workspace.collect(&WorkspacePath::root()).unwrap()).unwrap();
        assert_eq!(kinds[0], Kind::Directory);
        for (i, kind) in kinds[1..101].iter().enumerate() {
            assert_eq!(*kind, Kind::File { content: Content::inline(format!("content {i}").into_bytes()) });
        }
        assert_eq!(kinds[101], Kind::File { content: Content::inline(big) });
        assert_eq!(kinds[102..], [Kind::Directory, Kind::Symlink { target: b"000"[..].into() }]);
    }

    #[test]
    fn a_file_that_is_written_while_it_is_read_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        fs::write(&path, "old").unwrap();
        let (workspace, source) = file(root.path(), "f");
        let once = |attempt| {
            if attempt == 1 {
                fs::write(&path, "new").unwrap();
            }
        };
        let content = workspace.hash(&source, &mut Vec::new(), once).unwrap();
        assert_eq!(content.digest, Digest::of(b"new"));
        assert_eq!(content.read_all(10).unwrap(), b"new");

        let always = |attempt: u32| fs::write(&path, attempt.to_string()).unwrap();
        let error = workspace.hash(&source, &mut Vec::new(), always).unwrap_err();
        assert!(matches!(&error, SourceError::Changed { path, attempts: 3 } if path == "f"), "{error}");
    }

    /// A write directly after the hash, of the same length and within one tick of the kernel's clock.
    #[test]
    fn what_was_hashed_is_never_read_as_something_else() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        for round in 0..20 {
            fs::write(&path, "old").unwrap();
            let (workspace, source) = file(root.path(), "f");
            let content = workspace.hash(&source, &mut Vec::new(), |_| {}).unwrap();
            fs::write(&path, "new").unwrap();
            let error = content.read_all(10).expect_err("bytes that were not hashed");
            assert!(error.to_string().contains("changed"), "{error}, round {round}");
        }
    }

    #[test]
    fn a_file_that_became_a_link_or_left_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        fs::write(&path, "").unwrap();
        let (workspace, source) = file(root.path(), "f");
        fs::remove_file(&path).unwrap();
        let files = [source];
        assert!(matches!(workspace.hash_all(&files), Err(SourceError::NotFound { .. })));
        symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(workspace.hash_all(&files), Err(SourceError::Loop { .. })));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(workspace.hash_all(&files), Err(SourceError::NotAFile { .. })));
    }
}
