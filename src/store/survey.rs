//! What the file system says of a directory tree, in one digest.
//!
//! It covers name, inode, type, mode, owner, links, size, time of modification and time of change of everything in the tree. The
//! last of these is set by the kernel at every change of content or metadata, and nobody can set it back. So a tree of
//! which this digest is the same has not been changed, and no content has to be read to know that.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, open, openat, statat};
use rustix::io::Errno;

use crate::digest::{Digest, Hasher};

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A tree as it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Survey {
    pub digest: Digest,
    /// Bytes that it takes on the disk.
    pub size: u64,
}

/// Looks at the directory `top` and all that is below it, as far as this process may: of a directory that it cannot read
/// there is only itself in the survey.
///
/// # Errors
/// It cannot be looked at, or changes meanwhile.
pub(super) fn survey(top: &Path) -> io::Result<Survey> {
    let mut surveyor = Surveyor { hasher: Hasher::new(), size: 0 };
    let directory = open(top, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    surveyor.note(c".", &statat(&directory, c"", AtFlags::EMPTY_PATH)?);
    // Directories whose turn is still to come; each is opened by its name in one that is open, so no path is too long.
    let mut waiting = vec![(Rc::new(directory), CString::from(c"."))];
    while let Some((parent, name)) = waiting.pop() {
        let opened = openat(&*parent, &name, FLAGS, Mode::empty());
        drop(parent);
        let directory = match opened {
            Err(Errno::ACCESS) => {
                surveyor.hasher.update(b"closed");
                continue;
            }
            directory => directory?,
        };
        surveyor.enter(&Rc::new(directory), &mut waiting)?;
    }
    Ok(Survey { digest: surveyor.hasher.finish(), size: surveyor.size })
}

struct Surveyor {
    hasher: Hasher,
    size: u64,
}

impl Surveyor {
    fn enter(&mut self, directory: &Rc<OwnedFd>, waiting: &mut Vec<(Rc<OwnedFd>, CString)>) -> io::Result<()> {
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(&**directory)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort();
        self.hasher.update(&(names.len() as u64).to_le_bytes());
        for name in names {
            let stat = statat(&**directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            self.note(&name, &stat);
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                waiting.push((Rc::clone(directory), name));
            }
        }
        Ok(())
    }

    fn note(&mut self, name: &CStr, stat: &Stat) {
        self.hasher.update(name.to_bytes_with_nul());
        let seconds = [stat.st_mtime, stat.st_ctime].map(|seconds| seconds as u64);
        let rest = [
            stat.st_ino,
            u64::from(stat.st_mode),
            u64::from(stat.st_uid),
            u64::from(stat.st_gid),
            stat.st_size as u64,
            stat.st_mtime_nsec,
            stat.st_ctime_nsec,
        ];
        for number in seconds.into_iter().chain(rest) {
            self.hasher.update(&number.to_le_bytes());
        }
        // A file with several names takes its room once.
        let names = if FileType::from_raw_mode(stat.st_mode).is_dir() { 1 } else { stat.st_nlink.max(1) };
        #[allow(clippy::unnecessary_cast, reason = "a smaller number on other processors")]
        let names = names as u64;
        self.size += stat.st_blocks as u64 * 512 / names;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn every_change_shows_and_reading_does_not() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/f"), "text").unwrap();
        let mut last = survey(&top).unwrap();
        fs::read(top.join("a/b/f")).unwrap();
        assert_eq!(survey(&top).unwrap(), last);
        // The same size and time of modification, which is what somebody would set who wants to hide it.
        let keep_time = || {
            fs::write(top.join("a/b/f"), "TEXT").unwrap();
            File::open(top.join("a/b/f")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        let changes: [&dyn Fn(); 5] = [
            &keep_time,
            &keep_time,
            &|| fs::set_permissions(top.join("a/b"), Permissions::from_mode(0o700)).unwrap(),
            &|| fs::rename(top.join("a/b/f"), top.join("a/b/g")).unwrap(),
            &|| fs::remove_file(top.join("a/b/g")).unwrap(),
        ];
        for (at, change) in changes.iter().enumerate() {
            // The clock of a file system has ticks, and two changes may fall into one.
            let tick = File::create(place.path().join("tick")).unwrap();
            let now = || {
                tick.set_modified(SystemTime::UNIX_EPOCH).and_then(|()| rustix::fs::fstat(&tick).map_err(Into::into))
            };
            let begun = now().unwrap().st_ctime_nsec;
            while now().unwrap().st_ctime_nsec == begun {}
            change();
            let next = survey(&top).unwrap();
            assert_ne!(next.digest, last.digest, "change {at}");
            last = next;
        }
    }

    #[test]
    fn a_tree_deeper_than_a_path_is_long_is_seen_to_its_end() {
        let place = tempfile::tempdir().unwrap();
        let mut here = rustix::fs::open(place.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        let before = survey(place.path()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            here = openat(&here, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        let empty = survey(place.path()).unwrap();
        assert!(empty.size > before.size);
        openat(&here, "f", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
        assert_ne!(survey(place.path()).unwrap(), empty);
        crate::scratch::remove_directory(&place.keep());
    }
}
