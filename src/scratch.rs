//! Files and directories that this process removes when it ends, also when a person ends it.
//!
//! What is dropped is removed by its owner. A signal drops nothing, so everything temporary is listed here as long as it
//! has its temporary name, and [`remove_all`] removes what is on the list.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags, chmod, open};

static LISTED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

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

/// Removes everything that is listed, files first, as directories may be large. Whoever makes something temporary from now
/// on waits for the end of the process.
pub fn remove_all() {
    let listed = list();
    let (directories, files): (Vec<&PathBuf>, Vec<&PathBuf>) = listed.iter().partition(|path| path.is_dir());
    // What cannot be removed is left as after a power failure, and swept as then.
    files.into_iter().for_each(|path| drop(fs::remove_file(path)));
    directories.into_iter().for_each(|path| remove_directory(path));
    std::mem::forget(listed);
}

/// Removes a directory with all that is in it, as far as this process may. Others may still be writing into it, until the
/// directories that they write to are gone; and some may be closed to their owner.
pub fn remove_directory(path: &Path) {
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => unlock(path),
            _ => return,
        }
    }
}

/// Opens all directories at and below `path` to their owner. No link is followed: what is changed is what was opened.
fn unlock(path: &Path) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(directory) = open(&path, flags, Mode::empty()) else { continue };
        let _ = chmod(format!("/proc/self/fd/{}", directory.as_raw_fd()), Mode::RWXU);
        let entries = fs::read_dir(&path).into_iter().flatten().flatten();
        waiting.extend(entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|it| it.path()));
    }
}

fn list() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}
