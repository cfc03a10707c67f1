//! Files and directories that this process removes when it ends, and processes that it ends, also when a person ends it.
//!
//! What is dropped is removed by its owner. A signal drops nothing, so everything temporary is listed here as long as it
//! has its temporary name, and [`remove_all`] removes what is on the list.

mod group;

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{AtFlags, CWD, Dir, DirEntry, FileType, Mode, OFlags, chmod, openat, renameat, statat, unlinkat};
use rustix::path::Arg;

pub use group::Group;

static LISTED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// See [`helped_by`].
static HELPER: OnceLock<fn(&Path)> = OnceLock::new();

/// A path on the list, until it is dropped. To remove what is there remains its owner's task.
#[derive(Debug)]
#[must_use]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes something temporary and lists it. Nothing can come in between.
    ///
    /// # Errors
    /// Those of `make`; then nothing is listed.
    pub fn listed<T, E>(make: impl FnOnce() -> Result<T, E>, path: impl FnOnce(&T) -> &Path) -> Result<(T, Self), E> {
        let mut listed = list();
        let made = make()?;
        let path = path(&made).to_owned();
        listed.insert(path.clone());
        Ok((made, Scratch { path }))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        list().remove(&self.path);
    }
}

/// Ends every process that is listed, and removes everything that is listed, files first, as directories may be large.
/// Whoever makes something temporary from now
/// on waits for the end of the process.
pub fn remove_all() {
    group::end_all();
    let listed = list();
    let (directories, files): (Vec<&PathBuf>, Vec<&PathBuf>) = listed.iter().partition(|path| path.is_dir());
    // What cannot be removed is left as after a power failure, and swept as then.
    files.into_iter().for_each(|path| drop(fs::remove_file(path)));
    directories.into_iter().for_each(|path| remove_directory(path));
    std::mem::forget(listed);
}

/// Removes a directory with all that is in it, as far as this process, or whoever helps it, may. Others may still be writing into it, until the
/// directories that they write to are gone.
///
/// What is in it may have been made to hurt: closed to its owner, or deeper than any path or stack is long. So each
/// directory is opened to its owner and what is in it moved up, until there is one level only. No link is followed.
pub fn remove_directory(path: &Path) {
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        match flatten(path).and_then(|()| fs::remove_dir(path)) {
            Err(error) if is_of_others(error.kind()) && path.exists() => {}
            Ok(()) => return,
            Err(_) => break,
        }
    }
    if let (Some(helper), true) = (HELPER.get(), path.exists()) {
        helper(path);
    }
}

/// True for errors that come up if another one changes what is removed.
fn is_of_others(kind: ErrorKind) -> bool {
    use ErrorKind::{DirectoryNotEmpty, IsADirectory, NotADirectory, NotFound};
    matches!(kind, DirectoryNotEmpty | NotFound | NotADirectory | IsADirectory)
}

/// Says who removes directories that hold what this process's user may not remove.
pub fn helped_by(helper: fn(&Path)) {
    // Whoever came first said the same.
    let _ = HELPER.set(helper);
}

/// Removes what is in a directory. Everything is named in a directory that is open: whoever still writes may put a link in
/// the place of any name between two calls.
fn flatten(top: &Path) -> io::Result<()> {
    let top = open_to_owner(CWD, top)?;
    let mut moved = 0_u64;
    loop {
        let mut is_empty = true;
        for entry in entries(&top)? {
            let (name, is_directory) = entry?;
            is_empty = false;
            if !is_directory {
                unlinkat(&top, &name, AtFlags::empty())?;
                continue;
            }
            let directory = open_to_owner(&top, &name)?;
            for entry in entries(&directory)? {
                let (below, is_directory) = entry?;
                if is_directory {
                    // A directory that gets another parent must be writable itself.
                    open_to_owner(&directory, &below)?;
                    moved += 1;
                    renameat(&directory, &below, &top, format!(".moved-{}-{moved}", std::process::id()))?;
                } else {
                    unlinkat(&directory, &below, AtFlags::empty())?;
                }
            }
            unlinkat(&top, &name, AtFlags::REMOVEDIR)?;
        }
        if is_empty {
            return Ok(());
        }
    }
}

/// The names in a directory, and which of them are directories.
fn entries(directory: &OwnedFd) -> io::Result<impl Iterator<Item = io::Result<(CString, bool)>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let entries = Dir::new(openat(directory, c".", flags, Mode::empty())?)?;
    let entries = entries.filter(|entry| {
        let name = entry.as_ref().map(DirEntry::file_name);
        !name.is_ok_and(|name| matches!(name.to_bytes(), b"." | b".."))
    });
    Ok(entries.map(move |entry| {
        let entry = entry?;
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        Ok((entry.file_name().to_owned(), kind.is_dir()))
    }))
}

/// Opens a directory that is no link, and lets its owner do everything in it.
fn open_to_owner(parent: impl AsFd, name: impl Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(parent, name, flags, Mode::empty())?;
    chmod(format!("/proc/self/fd/{}", directory.as_raw_fd()), Mode::RWXU)?;
    Ok(directory)
}

fn list() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use rustix::fs::{RenameFlags, renameat_with};

    use super::*;

    #[test]
    fn what_was_made_to_hurt_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir(&top).unwrap();
        fs::write(place.path().join("outside"), "").unwrap();
        std::os::unix::fs::symlink(place.path(), top.join("link")).unwrap();
        let mut here = rustix::fs::open(&top, OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            here = rustix::fs::openat(&here, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        fs::create_dir(top.join("closed")).unwrap();
        fs::write(top.join("closed/file"), "").unwrap();
        fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        remove_directory(&top);
        assert!(!top.exists() && place.path().join("outside").exists());
    }

    #[test]
    fn a_link_that_comes_while_it_is_removed_leads_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let (top, outside) = (place.path().join("top"), place.path().join("outside"));
        fs::create_dir_all(outside.join("directory")).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        let (d, link) = (top.join("d"), top.join("link"));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            // As a step does that still runs when a person ends the build.
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, &d, CWD, &link, RenameFlags::EXCHANGE);
                }
            });
            for _ in 0..1500 {
                let _ = fs::create_dir_all(&d);
                let _ = std::os::unix::fs::symlink(&outside, &link);
                remove_directory(&top);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(outside.join("file").exists() && outside.join("directory").exists());
        remove_directory(&top);
        assert!(!top.exists());
    }
}
