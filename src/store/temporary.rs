//! A file in `ingest/` on its way to its final name.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::scratch::Scratch;

use super::lock::lock_file;
use super::{StoreError, workplace};

/// A buffered file that is removed when dropped, unless it was given its final name. It is locked while it is open,
/// which tells [`sweep`] that its writer lives.
#[derive(Debug)]
pub(super) struct Temporary {
    file: BufWriter<NamedTempFile>,
    _scratch: Scratch,
}

impl Temporary {
    pub(super) fn create(ingest: &Path) -> Result<Temporary, StoreError> {
        let (file, scratch) = locked_file(ingest, ".tmp")?;
        Ok(Temporary { file: BufWriter::with_capacity(128 << 10, file), _scratch: scratch })
    }

    /// Hands what is buffered to the kernel and returns the file's length.
    pub(super) fn flush(&mut self) -> io::Result<u64> {
        self.file.flush()?;
        Ok(self.file.get_ref().as_file().metadata()?.len())
    }

    /// Puts the file on the disk, sets its mode, renames it to `path`, in place of what is there, and puts the rename
    /// on the disk.
    pub(super) fn persist(self, path: &Path, mode: u32) -> Result<(), StoreError> {
        self.persist_bytes(path, mode)?;
        sync_parent(path)
    }

    /// As [`Temporary::persist`], but does not put the rename on the disk: after a crash of the machine the file is whole,
    /// or has not got its name.
    pub(super) fn persist_bytes(mut self, path: &Path, mode: u32) -> Result<(), StoreError> {
        self.publish(path, mode).map_err(StoreError::write("write", path))?;
        // The name in `ingest/` is gone: nothing to remove.
        self.file.get_mut().disable_cleanup(true);
        Ok(())
    }

    /// As [`Temporary::persist`], but puts nothing on the disk: after a crash of the machine the file may be anything.
    pub(super) fn persist_unflushed(mut self, path: &Path, mode: u32) -> Result<(), StoreError> {
        self.rename(path, mode).map_err(StoreError::write("write", path))?;
        self.file.get_mut().disable_cleanup(true);
        Ok(())
    }

    fn publish(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().as_file().sync_all()?;
        self.rename(path, mode)
    }

    fn rename(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        self.file.flush()?;
        let named = self.file.get_ref();
        named.as_file().set_permissions(Permissions::from_mode(mode))?;
        fs::rename(named.path(), path)
    }
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A new locked file in `directory`, whose name begins with `prefix`.
pub(super) fn locked_file(directory: &Path, prefix: &str) -> Result<(NamedTempFile, Scratch), StoreError> {
    loop {
        let make = || tempfile::Builder::new().prefix(prefix).tempfile_in(directory);
        let (file, scratch) = Scratch::listed(make, NamedTempFile::path)
            .map_err(StoreError::write("create a temporary file in", directory))?;
        lock_file(file.as_file()).map_err(StoreError::write("lock", file.path()))?;
        // Between these two steps a sweeper may have found the file unlocked and removed it.
        let metadata = file.as_file().metadata().map_err(StoreError::read("inspect", file.path()))?;
        if metadata.nlink() > 0 {
            return Ok((file, scratch));
        }
    }
}

/// Puts the names in the directory that holds `path` on the disk.
pub(super) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_directory(directory)
}

/// Puts the names in `directory` on the disk.
pub(super) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    let flushed = File::open(directory).and_then(|directory| directory.sync_all());
    flushed.map_err(StoreError::write("flush", directory))
}

/// Removes the temporaries whose writers are gone. What cannot be removed is left: it harms nobody but for its room.
pub(super) fn sweep(ingest: &Path) {
    let Ok(directory) = fs::read_dir(ingest) else { return };
    let (directories, files): (Vec<_>, Vec<_>) =
        directory.flatten().partition(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for entry in files {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = remove_if_stale(&entry.path());
        }
    }
    directories.iter().for_each(|entry| workplace::remove_if_stale(&entry.path()));
}

/// Removes a file of [`locked_file`] if its writer is gone.
pub(super) fn remove_if_stale(path: &Path) -> io::Result<()> {
    let writable = OpenOptions::new().read(true).write(true).open(path);
    // Writable first, as NFS grants an exclusive lock on nothing less; a writer that died just before its rename has
    // left a file of mode 0444.
    let file = writable.or_else(|_| File::open(path))?;
    if file.try_lock().is_ok() {
        // Removed under the lock: see `locked_file`.
        fs::remove_file(path)?;
    }
    Ok(())
}
