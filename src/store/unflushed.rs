//! Large blobs that have their name while the kernel still writes their bytes to the disk.
//!
//! To wait for the disk takes longer than to make a layer. What waiting is for, that no blob of wrong bytes is used after
//! a power failure, a list gives as well. `unflushed/BOOT`, BOOT being the kernel's boot ID, names blobs:
//!
//! ```text
//!
//! 1f6c...                     SHA-256 of a blob
//!
//! 88d4...
//! ```
//!
//! - A blob is on the list, and the list on the disk, before the blob has its name ([`announce`]).
//! - A list of another boot tells that the machine went down since: whoever opens the store next hashes what the list
//!   names, moves away what is damaged, and removes the list ([`settle`]). So a damaged blob is a miss.
//! - The list of this boot is emptied once all that it names is on the disk, which the kernel sees to in half a minute.
//!
//! An entry begins with a line end of its own, so that one which was cut off by a full disk does not spoil the next.
//!
//! A writer holds `locks/unflushed.lock` shared from the entry to the rename, and lists are emptied and removed under the
//! exclusive lock: then a blob that is on the list and has no name is one that nobody is about to give it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rayon::prelude::*;

use crate::digest::Digest;

use super::blob::BlobReader;
use super::lock::Lock;
use super::temporary::sync_parent;
use super::{Store, StoreError, layout, quarantine};

/// From this size in bytes on, an entry in the list costs less than to wait for the blob. Measured on a virtual disk of
/// 87 MB/s: an entry 0.3 ms, a file of 64 KiB 0.8 ms, of 256 KiB 0.9 ms, of 1 MiB 3 ms.
pub(super) const LARGE: u64 = 256 << 10;

/// By then the kernel has begun to write what waits, after 30 seconds unless it is told otherwise, and is done with it.
const SETTLED: Duration = Duration::from_secs(60);

/// A list of more bytes, some 1,000 blobs, is emptied without waiting for [`SETTLED`], so that it stays short where builds
/// never pause.
const LONG: u64 = 1_000 * 66;

/// What a process knows of its store's lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    boot: OnceLock<Option<String>>,
    /// This process has put the list's name on the disk.
    named: AtomicBool,
}

/// A blob that is on the list and may be renamed now; its writer drops this afterwards.
#[must_use]
pub(super) struct Announced {
    _lock: Lock,
}

/// Puts a blob on this boot's list, and the list on the disk; `None` where the kernel does not tell its boot ID.
pub(super) fn announce(store: &Store, digest: &Digest) -> Result<Option<Announced>, StoreError> {
    let Some(boot) = boot(store) else { return Ok(None) };
    let path = store.path(layout::UNFLUSHED).join(boot);
    let lock = Lock::acquire_shared(&store.path(layout::UNFLUSHED_LOCK))?;
    let open = |create| OpenOptions::new().append(true).create(create).mode(0o600).open(&path);
    let (list, is_new) = match open(false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => (open(true), true),
        list => (list, false),
    };
    let written = list.and_then(|mut list| {
        list.write_all(format!("\n{}\n", digest.hex()).as_bytes())?;
        list.sync_data()
    });
    written.map_err(StoreError::write("write", &path))?;
    // The list may be another process's, which has not come to this yet.
    if is_new || !store.lists.named.load(Ordering::Acquire) {
        sync_parent(&path)?;
        store.lists.named.store(true, Ordering::Release);
    }
    Ok(Some(Announced { _lock: lock }))
}

/// Verifies what the lists of other boots name, and empties this boot's list if that costs no waiting. A store that
/// cannot be written is left as it is: what is read from it is verified in any case.
///
/// # Errors
/// A list or a blob on it cannot be read; a damaged blob cannot be moved away.
pub(super) fn settle(store: &Store) -> Result<(), StoreError> {
    let directory = store.path(layout::UNFLUSHED);
    let lists = match fs::read_dir(&directory) {
        // Both are a store that is read-only for this user; the first one was made by an older ocify.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(());
        }
        lists => lists.map_err(StoreError::read("list", &directory))?,
    };
    for list in lists {
        let list = list.map_err(StoreError::read("list", &directory))?;
        if boot(store).is_some_and(|boot| list.file_name() == *boot) {
            // What fails stays on the list.
            let _ = flush(store, &list.path());
            continue;
        }
        match verify(store, &list.path()) {
            Ok(()) | Err(StoreError::ReadOnly { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The kernel's boot ID, which is another one each time that the machine starts.
pub(super) fn boot(store: &Store) -> Option<&str> {
    let read = || {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let id = text.trim_end();
        let is_uuid = id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        is_uuid.then(|| id.to_owned())
    };
    store.lists.boot.get_or_init(read).as_deref()
}

/// Hashes the blobs on a list of another boot, and removes the list. Whoever comes second waits, as none of them is to be
/// used before.
fn verify(store: &Store, list: &Path) -> Result<(), StoreError> {
    let _lock = Lock::acquire(&store.path(layout::UNFLUSHED_LOCK))?;
    let Some(digests) = read(list)? else { return Ok(()) };
    digests.par_iter().try_for_each(|digest| verify_blob(store, digest))?;
    fs::remove_file(list).map_err(StoreError::write("remove", list))
}

fn verify_blob(store: &Store, digest: &Digest) -> Result<(), StoreError> {
    let path = store.blob_path(digest);
    let read = store.open_blob(digest).and_then(|blob| blob.map_or(Ok(()), BlobReader::finish));
    match read {
        // Where the other boot is that of a machine which lives and shares the store, the blob may not be on the disk.
        Ok(()) => flush_blob(store, digest),
        Err(StoreError::DamagedBlob { moved: Some(_), .. }) => Ok(()),
        Err(StoreError::Io { source, .. }) if source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
            give_up(store, digest, &path)
        }
        Err(error) => Err(error),
    }
}

/// Empties this boot's list, if it is time for it and nobody is writing.
fn flush(store: &Store, list: &Path) -> Result<(), StoreError> {
    let metadata = fs::metadata(list).map_err(StoreError::read("inspect", list))?;
    // The last entry is the youngest. A clock that was set back only makes this wait for the disk, or come later.
    let settled = metadata.modified().is_ok_and(|entered| entered.elapsed().map_or(true, |elapsed| elapsed >= SETTLED));
    if metadata.len() == 0 || !(settled || metadata.len() > LONG) {
        return Ok(());
    }
    let Some(_lock) = Lock::try_acquire(&store.path(layout::UNFLUSHED_LOCK))? else { return Ok(()) };
    for digest in read(list)?.unwrap_or_default() {
        flush_blob(store, &digest)?;
    }
    // Emptied rather than removed or replaced, so that its name stays on the disk.
    let emptied = OpenOptions::new().write(true).open(list).and_then(|list| list.set_len(0));
    emptied.map_err(StoreError::write("empty", list))
}

/// Waits until a blob is on the disk. One that the kernel could not write is moved away: its bytes may be lost.
fn flush_blob(store: &Store, digest: &Digest) -> Result<(), StoreError> {
    let path = store.blob_path(digest);
    let blob = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        blob => blob.map_err(StoreError::read("open", &path))?,
    };
    blob.sync_all().or_else(|_| give_up(store, digest, &path))
}

fn give_up(store: &Store, digest: &Digest, path: &Path) -> Result<(), StoreError> {
    let bad = fs::symlink_metadata(path).map_err(StoreError::read("inspect", path))?;
    quarantine::move_away(store, digest, &bad).map(drop)
}

/// The blobs on a list, without what is not whole; `None` if there is no list any more.
fn read(list: &Path) -> Result<Option<Vec<Digest>>, StoreError> {
    let bytes = match fs::read(list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(StoreError::read("read", list))?,
    };
    let lines = bytes.split(|&byte| byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
    Ok(Some(lines.filter_map(|line| Digest::from_hex(line).ok()).collect()))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const OTHER_BOOT: &str = "01234567-89ab-cdef-0123-456789abcdef";

    fn new_store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        (directory, store)
    }

    fn large(byte: u8) -> Vec<u8> {
        vec![byte; LARGE as usize]
    }

    fn own_list(store: &Store) -> std::path::PathBuf {
        store.path(layout::UNFLUSHED).join(boot(store).expect("Linux tells its boot ID"))
    }

    fn damage(store: &Store, digest: &Digest, bytes: &[u8]) {
        let path = store.blob_path(digest);
        fs::remove_file(&path).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Makes the list of this boot look like one of an earlier boot.
    fn reboot(store: &Store) -> Store {
        fs::rename(own_list(store), store.path(layout::UNFLUSHED).join(OTHER_BOOT)).unwrap();
        Store::open(store.root()).unwrap()
    }

    fn set_age(list: &Path, age: Duration) {
        #[allow(clippy::disallowed_methods, reason = "the age of a list is no output")]
        let then = SystemTime::now() - age;
        OpenOptions::new().write(true).open(list).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn large_blobs_are_on_the_list_and_small_ones_are_not() {
        let (_directory, store) = new_store();
        store.put_blob(b"small").unwrap();
        store.put_blob(&large(0)[1..]).unwrap();
        assert!(!own_list(&store).exists());
        let digests = [1, 2].map(|byte| store.put_blob(&large(byte)).unwrap());
        assert_eq!(read(&own_list(&store)).unwrap().unwrap(), digests);
        store.put_blob(&large(1)).unwrap();
        assert_eq!(read(&own_list(&store)).unwrap().unwrap(), digests, "what is there needs no entry");
    }

    #[test]
    fn after_a_power_failure_a_damaged_blob_is_a_miss() {
        let (_directory, store) = new_store();
        let [good, empty, zeros, cut, gone] = [1, 2, 3, 4, 5].map(|byte| store.put_blob(&large(byte)).unwrap());
        let small = store.put_blob(b"small").unwrap();
        damage(&store, &empty, b"");
        damage(&store, &zeros, &large(0));
        damage(&store, &cut, &large(4)[..LARGE as usize / 2]);
        damage(&store, &gone, b"");
        fs::remove_file(store.blob_path(&gone)).unwrap();

        let store = reboot(&store);
        assert_eq!(store.contains(&good), Some(LARGE));
        assert_eq!(store.contains(&small), Some(5));
        for bad in [empty, zeros, cut, gone] {
            assert_eq!(store.contains(&bad), None);
            assert_eq!(store.path(layout::QUARANTINE).join(bad.hex()).exists(), bad != gone);
        }
        assert_eq!(fs::read_dir(store.path(layout::UNFLUSHED)).unwrap().count(), 0);
        assert_eq!(store.put_blob(&large(3)).unwrap(), zeros);
        assert_eq!(store.read_blob(&zeros, LARGE).unwrap(), Some(large(3)));
    }

    #[test]
    fn an_entry_that_was_cut_off_does_not_spoil_the_next() {
        let (_directory, store) = new_store();
        store.put_blob(&large(1)).unwrap();
        OpenOptions::new().append(true).open(own_list(&store)).unwrap().write_all(b"\n0123").unwrap();
        let bad = store.put_blob(&large(2)).unwrap();
        damage(&store, &bad, &large(0));
        assert_eq!(reboot(&store).contains(&bad), None);
    }

    #[test]
    fn a_list_is_emptied_when_it_is_old_or_long_and_nobody_is_writing() {
        let (_directory, store) = new_store();
        let digest = store.put_blob(&large(1)).unwrap();
        let list = own_list(&store);
        let length_after_open = || {
            Store::open(store.root()).unwrap();
            fs::metadata(&list).unwrap().len()
        };
        assert_eq!(length_after_open(), 66, "young");
        set_age(&list, SETTLED);
        let announced = announce(&store, &Digest::of(b"about to be renamed")).unwrap().unwrap();
        set_age(&list, SETTLED);
        assert_eq!(length_after_open(), 132, "a blob on it has no name yet");
        drop(announced);
        assert_eq!(length_after_open(), 0);
        assert_eq!(store.contains(&digest), Some(LARGE));

        let entries: String = (0..=1_000u32).map(|n| format!("\n{}\n", Digest::of(&n.to_le_bytes()).hex())).collect();
        fs::write(&list, entries).unwrap();
        assert_eq!(length_after_open(), 0);
        store.put_blob(&large(2)).unwrap();
        assert_eq!(fs::metadata(&list).unwrap().len(), 66);
    }
}
