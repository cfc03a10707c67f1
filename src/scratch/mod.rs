//! Files and directories that this process removes when it ends, and processes that it ends, also when a person ends it.
//!
//! What is dropped is removed by its owner. A signal drops nothing, so everything temporary is listed here as long as it
//! has its temporary name, and [`remove_all`] removes what is on the list.

mod group;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{Mode, OFlags, chmod, open};

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
            Err(error)
                if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) && path.exists() => {}
            Ok(()) => return,
            Err(_) => break,
        }
    }
    if let (Some(helper), true) = (HELPER.get(), path.exists()) {
        helper(path);
    }
}

/// Says who removes directories that hold what this process's user may not remove.
pub fn helped_by(helper: fn(&Path)) {
    // Whoever came first said the same.
    let _ = HELPER.set(helper);
}

/// Removes what is in a directory.
fn flatten(top: &Path) -> io::Result<()> {
    open_to_owner(top)?;
    let mut moved = 0_u64;
    loop {
        let mut is_empty = true;
        for entry in fs::read_dir(top)? {
            let entry = entry?;
            is_empty = false;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            let directory = entry.path();
            open_to_owner(&directory)?;
            for below in fs::read_dir(&directory)? {
                let below = below?;
                if below.file_type()?.is_dir() {
                    // A directory that gets another parent must be writable itself.
                    open_to_owner(&below.path())?;
                    moved += 1;
                    fs::rename(below.path(), top.join(format!(".moved-{}-{moved}", std::process::id())))?;
                } else {
                    fs::remove_file(below.path())?;
                }
            }
            fs::remove_dir(&directory)?;
        }
        if is_empty {
            return Ok(());
        }
    }
}

fn open_to_owner(directory: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(directory, flags, Mode::empty())?;
    Ok(chmod(format!("/proc/self/fd/{}", directory.as_raw_fd()), Mode::RWXU)?)
}

fn list() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
}
