//! Content digests of source files, taken so that a file which is written meanwhile is noticed.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rayon::prelude::*;
use rustix::fs::OFlags;

use crate::digest::{Digest, Hasher};
use crate::entry::{Content, DiskFile, Kind, Origin, Stamp};

use super::beneath::{self, Links};
use super::clock::{WAIT, is_coarse};
use super::collect::{SourceFile, SourceKind};
use super::error::{SourceError, shown};
use super::stat_cache::StatCache;
use super::workspace::Workspace;

/// How often a file is read before it counts as one that never rests.
const ATTEMPTS: u32 = 3;

/// Bytes read at once.
const BUFFER: usize = 128 << 10;

/// Bytes of young files that are held in memory together; beyond that, files wait until they are no longer young.
const MOST_HELD: usize = 8 << 20;

impl Workspace {
    /// What each of `files` is in a layer, in their order. The contents of regular files are hashed in parallel, but for
    /// those that `digests` knows, which are not even opened. Memory does not grow with the size of the files.
    ///
    /// # Errors
    /// A file is gone, is no longer a file, cannot be read, or is written all the while. Of several errors, the one of
    /// the first file.
    pub fn hash_all(&self, files: &[SourceFile], digests: &StatCache) -> Result<Vec<Kind>, SourceError> {
        let bulk = Bulk { workspace: self, digests, begun: Instant::now(), held: AtomicUsize::new(0) };
        let kind = |buffer: &mut Vec<u8>, file: &SourceFile| match &file.kind {
            SourceKind::File { .. } => {
                let known = bulk.known(file).map_or_else(|| bulk.hash(file, buffer, |_| {}), Ok);
                Ok(Kind::File { content: known? })
            }
            SourceKind::Directory => Ok(Kind::Directory),
            SourceKind::Symlink { target } => Ok(Kind::Symlink { target: target.clone() }),
        };
        if let [one] = files {
            // To ask other threads costs more than to look up a file that is known.
            return kind(&mut Vec::new(), one).map(|kind| vec![kind]);
        }
        let kinds: Vec<Result<Kind, SourceError>> = files.par_iter().map_init(Vec::new, kind).collect();
        kinds.into_iter().collect()
    }
}

/// Files that are hashed together.
struct Bulk<'a> {
    workspace: &'a Workspace,
    digests: &'a StatCache,
    /// No file was looked at later than this when it was collected.
    begun: Instant,
    /// Bytes of the contents that are held in memory.
    held: AtomicUsize,
}

impl Bulk<'_> {
    /// The content of a file that is as it was when it was hashed once.
    fn known(&self, source: &SourceFile) -> Option<Content> {
        let stamp = source.seen?;
        Some(self.content(source, stamp, self.digests.get(&stamp)?))
    }

    /// `meanwhile` is called after each read, for tests that write to the file.
    fn hash(&self, source: &SourceFile, buffer: &mut Vec<u8>, meanwhile: impl Fn(u32)) -> Result<Content, SourceError> {
        buffer.resize(BUFFER, 0);
        let path = source.on_disk();
        let fail = |source| SourceError::Io { path: shown(path), source };
        for attempt in 1..=ATTEMPTS {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
            let file = beneath::open(self.workspace.directory(), path, flags, Links::Inside)
                .map_err(|errno| SourceError::from_errno(path, errno))?;
            let mut file = File::from(file);
            let metadata = file.metadata().map_err(fail)?;
            if metadata.is_dir() {
                return Err(SourceError::NotAFile { path: shown(path), kind: "directory" });
            }
            let found = Stamp::of(&metadata);
            if source.seen != Some(found)
                && let Some(digest) = self.digests.get(&found)
            {
                return Ok(self.content(source, found, digest));
            }
            if self.is_young(&found)
                && let Some(content) = self.held(&mut file, &found, || meanwhile(attempt)).map_err(fail)?
            {
                return Ok(content);
            }
            let Settled { stamp: before, for_good } = self.settle(&file, source, found).map_err(fail)?;
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
                let digest = hasher.finish();
                if for_good {
                    self.digests.put(&before, &digest);
                }
                return Ok(self.content(source, before, digest));
            }
        }
        Err(SourceError::Changed { path: shown(path), attempts: ATTEMPTS })
    }

    /// True if the file was written within the last tick of its clock, as far as that is known: how far the clock of a server
    /// is ahead is not, and its files are not to be read in each build.
    fn is_young(&self, stamp: &Stamp) -> bool {
        let clock = self.digests.clock();
        clock.made(stamp) && !clock.has_passed(stamp)
    }

    /// The bytes of a small file that is young: somebody has just saved it, and to wait for the clock would take longer than
    /// the rest of the build. No stamp will tell whether it is written again, so its bytes are kept, which then are what is
    /// archived, and its digest is not remembered. They are read twice: where both times give the same, they are what the
    /// file was at some moment in between, also if somebody wrote to it. `None` if it is not small, or did not stay the same.
    fn held(&self, file: &mut File, stamp: &Stamp, meanwhile: impl Fn()) -> io::Result<Option<Content>> {
        let Some(size) = usize::try_from(stamp.size).ok().filter(|size| *size <= BUFFER) else { return Ok(None) };
        if self.held.fetch_add(size, Ordering::Relaxed) + size > MOST_HELD {
            return Ok(None);
        }
        let mut read = || {
            let mut bytes = Vec::with_capacity(size + 1);
            file.rewind()?;
            file.take(size as u64 + 1).read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(bytes)
        };
        let first = read()?;
        meanwhile();
        let same = first.len() == size && read()? == first && Stamp::of(&file.metadata()?) == *stamp;
        file.rewind()?;
        Ok(same.then(|| Content::inline(first)))
    }

    /// Waits until each later write to the file would change its stamp: until the clock that made the stamp has moved
    /// on. Files wait together, as the time runs from when they were looked at first.
    fn settle(&self, file: &File, source: &SourceFile, found: Stamp) -> io::Result<Settled> {
        let clock = self.digests.clock();
        if clock.made(&found) && clock.has_passed(&found) {
            return Ok(Settled { stamp: found, for_good: true });
        }
        let mut since = if source.seen == Some(found) { self.begun } else { Instant::now() };
        let mut stamp = found;
        for _ in 0..ATTEMPTS {
            thread::sleep(WAIT.saturating_sub(since.elapsed()));
            let again = Stamp::of(&file.metadata()?);
            if again == stamp {
                let told_apart = clock.made(&stamp) || !is_coarse(&stamp);
                return Ok(Settled { stamp, for_good: told_apart && self.digests.has_passed(&stamp) });
            }
            (stamp, since) = (again, Instant::now());
        }
        Err(io::Error::other("it is being written all the while"))
    }

    fn content(&self, source: &SourceFile, stamp: Stamp, digest: Digest) -> Content {
        let disk = DiskFile::new(self.workspace.root().join(source.on_disk()), stamp);
        Content { size: stamp.size, digest, origin: Origin::Disk(Arc::new(disk)) }
    }
}

/// The stamp of a file that may be hashed.
struct Settled {
    stamp: Stamp,
    /// It tells a later write for good, not only while this build runs.
    for_good: bool,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use tempfile::TempDir;

    use crate::path::WorkspacePath;
    use crate::store::Store;

    use super::*;

    /// A workspace, and a store beside it.
    struct Fixture {
        workspace: Workspace,
        digests: StatCache,
        _store: TempDir,
    }

    /// More than is held in memory: a young file of that size is waited for.
    fn large(text: &str) -> Vec<u8> {
        text.bytes().cycle().take(BUFFER + text.len()).collect()
    }

    impl Fixture {
        fn new(root: &Path) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let workspace = Workspace::at(root).unwrap();
            let digests = StatCache::open(&Store::open(directory.path().join("store")).unwrap(), &workspace);
            Fixture { workspace, digests, _store: directory }
        }

        fn file(&self, name: &str) -> SourceFile {
            self.workspace.collect(&WorkspacePath::parse(name).unwrap()).unwrap().remove(0)
        }

        fn hash_all(&self, files: &[SourceFile]) -> Result<Vec<Kind>, SourceError> {
            self.workspace.hash_all(files, &self.digests)
        }

        fn hash(&self, source: &SourceFile, meanwhile: impl Fn(u32)) -> Result<Content, SourceError> {
            let (workspace, digests, begun) = (&self.workspace, &self.digests, Instant::now());
            let bulk = Bulk { workspace, digests, begun, held: AtomicUsize::new(0) };
            bulk.hash(source, &mut Vec::new(), meanwhile)
        }
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
        let fixture = Fixture::new(root.path());
        let kinds = fixture.hash_all(&fixture.workspace.collect(&WorkspacePath::root()).unwrap()).unwrap();
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
        let fixture = Fixture::new(root.path());
        let source = fixture.file("f");
        let once = |attempt| {
            if attempt == 1 {
                fs::write(&path, "new").unwrap();
            }
        };
        let content = fixture.hash(&source, once).unwrap();
        assert_eq!(content.digest, Digest::of(b"new"));
        assert_eq!(content.read_all(10).unwrap(), b"new");

        let always = |attempt: u32| fs::write(&path, attempt.to_string()).unwrap();
        let error = Fixture::new(root.path()).hash(&source, always).unwrap_err();
        assert!(matches!(&error, SourceError::Changed { path, attempts: 3 } if path == "f"), "{error}");
    }

    #[test]
    fn what_is_known_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        fs::write(&path, large("bytes")).unwrap();
        let fixture = Fixture::new(root.path());
        let hash = || fixture.hash_all(&[fixture.file("f"), SourceFile::named(fixture.file("f").path)]).unwrap();
        let digests = |kinds: Vec<Kind>| {
            kinds.into_iter().map(|kind| match kind {
                Kind::File { content } => content.digest,
                kind => panic!("{kind:?}"),
            })
        };
        assert!(digests(hash()).eq([Digest::of(&large("bytes")); 2]));
        let known = fixture.file("f").seen.unwrap();
        assert_eq!(fixture.digests.get(&known), Some(Digest::of(&large("bytes"))), "remembered after a tick");
        // A lie, to see that nobody looks.
        fixture.digests.put(&known, &Digest::of(b"lie"));
        assert!(digests(hash()).eq([Digest::of(b"lie"); 2]));
        fs::write(&path, "other").unwrap();
        assert!(digests(hash()).eq([Digest::of(b"other"); 2]));
    }

    #[test]
    fn what_was_written_meanwhile_is_remembered_as_it_became() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        fs::write(&path, large("old")).unwrap();
        let fixture = Fixture::new(root.path());
        let before = fixture.file("f");
        let always = |_| fs::write(&path, large("new")).unwrap();
        fixture.hash(&before, always).unwrap_err();
        assert_eq!(fixture.digests.get(&before.seen.unwrap()), None);
        assert_eq!(fixture.digests.get(&fixture.file("f").seen.unwrap()), None);
        fixture.hash(&before, |_| {}).unwrap();
        assert_eq!(fixture.digests.get(&before.seen.unwrap()), None);
        assert_eq!(fixture.digests.get(&fixture.file("f").seen.unwrap()), Some(Digest::of(&large("new"))));
    }

    #[test]
    fn a_small_file_that_is_young_is_held_and_not_remembered() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        let fixture = Fixture::new(root.path());
        // A machine that stands still for a tick between two lines finds a file that is no longer young.
        let held = |round: u32| {
            let text = format!("round {round}");
            fs::write(&path, &text).unwrap();
            let seen = fixture.file("f").seen.unwrap();
            let content = fixture.hash(&fixture.file("f"), |_| {}).unwrap();
            assert_eq!(content.digest, Digest::of(text.as_bytes()));
            fs::write(&path, "other 0").unwrap();
            let held = matches!(content.origin, Origin::Inline(_));
            if held {
                assert_eq!(content.read_all(10).unwrap(), text.as_bytes());
                assert_eq!(fixture.digests.get(&seen), None);
            }
            held
        };
        assert!((0..100).any(held));
    }

    /// A write directly after the hash, of the same length and within one tick of the kernel's clock.
    #[test]
    fn what_was_hashed_is_never_read_as_something_else() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        let fixture = Fixture::new(root.path());
        for round in 0..20 {
            fs::write(&path, large("old")).unwrap();
            let content = fixture.hash(&fixture.file("f"), |_| {}).unwrap();
            fs::write(&path, large("new")).unwrap();
            let error = content.read_all(1 << 20).expect_err("bytes that were not hashed");
            assert!(error.to_string().contains("changed"), "{error}, round {round}");
        }
    }

    #[test]
    fn a_file_that_became_a_link_or_left_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        fs::write(&path, "").unwrap();
        let fixture = Fixture::new(root.path());
        let files = [fixture.file("f")];
        fs::remove_file(&path).unwrap();
        assert!(matches!(fixture.hash_all(&files), Err(SourceError::NotFound { .. })));
        symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(fixture.hash_all(&files), Err(SourceError::Loop { .. })));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(fixture.hash_all(&files), Err(SourceError::NotAFile { .. })));
    }
}
