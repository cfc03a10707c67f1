//! Files and directories that this process removes when it ends, and processes that it ends, also when a person ends it.
//!
//! What is dropped is removed by its owner. A signal drops nothing, so everything temporary is listed here as long as it
//! has its temporary name, and [`remove_all`] removes what is on the list.

mod group;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use group::Group;

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

/// Ends every process that is listed, and removes everything that is listed, files first, as directories may be large. Whoever makes something temporary from now
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

/// Other threads may still be writing into it, until the directories that they write to are gone.
fn remove_directory(path: &Path) {
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            _ => return,
        }
    }
}

fn list() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}
