//! The store's directories and version file: recognising and creating them.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::oci::canonical_json;

use super::StoreError;
use super::lock::Lock;
use super::reference::IndexFile;
use super::temporary::{Temporary, sync_directory, sync_parent};

/// The `imageLayoutVersion` of image-spec 1.1.
pub(super) const VERSION: &str = "1.0.0";

pub(super) const LAYOUT_FILE: &str = "oci-layout";
pub(super) const INDEX_FILE: &str = "index.json";
pub(super) const BLOBS: &str = "blobs/sha256";
pub(super) const LAYERS: &str = "layers";
pub(super) const ACTIONS: &str = "actions";
pub(super) const CHUNKS: &str = "chunks";
pub(super) const INGEST: &str = "ingest";
pub(super) const LOCKS: &str = "locks";
pub(super) const INDEX_LOCK: &str = "locks/index.lock";
pub(super) const QUARANTINE: &str = "quarantine";
pub(super) const ROOTS: &str = "roots";
pub(super) const SOURCES: &str = "sources";
pub(super) const CACHES: &str = "caches";
pub(super) const STAT: &str = "stat";
pub(super) const QUARANTINE_LOCK: &str = "locks/quarantine.lock";
pub(super) const PRUNE_LOCK: &str = "locks/prune.lock";
pub(super) const UNFLUSHED: &str = "unflushed";
pub(super) const UNFLUSHED_LOCK: &str = "locks/unflushed.lock";

/// In the order of their creation. `locks` is first: it tells an unfinished store from somebody else's directory.
const DIRECTORIES: [&str; 13] =
    [LOCKS, INGEST, "blobs", BLOBS, LAYERS, ACTIONS, QUARANTINE, STAT, UNFLUSHED, CHUNKS, SOURCES, ROOTS, CACHES];

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

/// Makes sure that there is a complete store at `root`.
pub(super) fn prepare(root: &Path) -> Result<(), StoreError> {
    let finished = check_version(root)?;
    check_ownership(root, finished)?;
    if finished && is_complete(root) {
        return Ok(());
    }
    match create(root) {
        // What is missing are places to write to, and nothing can be written; what is there can be read.
        Err(StoreError::ReadOnly { .. }) if finished => Ok(()),
        result => result,
    }
}

/// False when there is no version file; an error when it is of another version.
fn check_version(root: &Path) -> Result<bool, StoreError> {
    let path = root.join(LAYOUT_FILE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        bytes => bytes.map_err(StoreError::read("read", &path))?,
    };
    let layout: LayoutFile =
        serde_json::from_slice(&bytes).map_err(|source| StoreError::DamagedLayout { path, source })?;
    if layout.image_layout_version != VERSION {
        return Err(StoreError::Version { root: root.to_owned(), version: layout.image_layout_version });
    }
    Ok(true)
}

/// An error unless `root` is missing, empty, or a store that is finished or being created. An image layout of another
/// tool is not one: its index would be rewritten.
fn check_ownership(root: &Path, finished: bool) -> Result<(), StoreError> {
    let names = names(root)?;
    let ours =
        |name: &String| DIRECTORIES.contains(&name.as_str()) || [LAYOUT_FILE, INDEX_FILE].contains(&name.as_str());
    // Looked for after the names were read: `locks` is created first, so whoever sees another name of ours finds it.
    let begun = || root.join(LOCKS).is_dir();
    if names.is_empty() || (begun() && (finished || names.iter().all(ours))) {
        return Ok(());
    }
    Err(StoreError::NotAStore { root: root.to_owned() })
}

/// The names in `root`; none when it is missing.
fn names(root: &Path) -> Result<Vec<String>, StoreError> {
    let directory = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        directory => directory.map_err(StoreError::read("list", root))?,
    };
    let mut names = Vec::new();
    for entry in directory {
        let name = entry.map_err(StoreError::read("list", root))?.file_name().to_string_lossy().into_owned();
        // A volume that was made for the store has this one from mkfs.
        if name != "lost+found" {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_complete(root: &Path) -> bool {
    DIRECTORIES.iter().all(|name| root.join(name).is_dir()) && root.join(INDEX_FILE).is_file()
}

/// Creates what is missing. After a crash at any point, the next call goes on from there.
fn create(root: &Path) -> Result<(), StoreError> {
    create_directory(root, true)?;
    for name in DIRECTORIES {
        create_directory(&root.join(name), false)?;
    }
    sync_parent(root)?;
    sync_directory(&root.join("blobs"))?;
    let _lock = Lock::acquire(&root.join(INDEX_LOCK))?;
    create_file(root, INDEX_FILE, &canonical_json(&IndexFile::default()))?;
    let layout = LayoutFile { image_layout_version: VERSION.to_owned() };
    create_file(root, LAYOUT_FILE, &canonical_json(&layout))
}

/// Mode 0700, also for missing directories above the root, as the XDG base directory specification asks.
fn create_directory(path: &Path, recursive: bool) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).recursive(recursive).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result.map_err(StoreError::write("create the directory", path)),
    }
}

fn create_file(root: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let path = root.join(name);
    if path.is_file() {
        return Ok(());
    }
    let mut temporary = Temporary::create(&root.join(INGEST))?;
    temporary.write_all(bytes).map_err(StoreError::write("write", &path))?;
    temporary.persist(&path, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(directory: &Path) -> Vec<(String, Vec<u8>)> {
        let read = |name: String| (name.clone(), fs::read(directory.join(name)).unwrap_or_default());
        let mut names = names(directory).unwrap();
        names.sort();
        names.into_iter().map(read).collect()
    }

    #[test]
    fn what_is_not_a_store_is_refused_and_left_alone() {
        let layout = ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        let foreign: [&[(&str, &str)]; 3] = [
            &[("thesis.txt", "years of work")],
            &[layout, ("index.json", r#"{"schemaVersion":2,"manifests":[]}"#)],
            &[("index.json", "{}")],
        ];
        for files in foreign {
            let directory = tempfile::tempdir().unwrap();
            files.iter().for_each(|(name, text)| fs::write(directory.path().join(name), text).unwrap());
            let before = snapshot(directory.path());
            let error = prepare(directory.path()).unwrap_err();
            assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
            assert_eq!(snapshot(directory.path()), before);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(prepare(file.path()), Err(StoreError::Io { .. })));
    }

    #[test]
    fn another_version_is_refused_and_a_damaged_one_named() {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path()).unwrap();
        let layout = directory.path().join(LAYOUT_FILE);
        fs::write(&layout, r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
        let error = prepare(directory.path()).unwrap_err().to_string();
        assert!(error.contains("version `2.0.0`") && error.contains("`1.0.0`"), "{error}");
        fs::write(&layout, "").unwrap();
        let error = prepare(directory.path()).unwrap_err();
        assert!(matches!(&error, StoreError::DamagedLayout { path, .. } if *path == layout), "{error}");
    }

    #[test]
    fn creation_goes_on_wherever_it_was_cut_off() {
        for done in 0..=DIRECTORIES.len() {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir(directory.path().join("lost+found")).unwrap();
            DIRECTORIES[..done].iter().for_each(|name| fs::create_dir(directory.path().join(name)).unwrap());
            prepare(directory.path()).unwrap();
            assert!(is_complete(directory.path()) && check_version(directory.path()).unwrap(), "{done}");
        }
    }

    #[test]
    fn what_is_missing_of_a_store_is_created_again() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("a/b/store");
        prepare(&root).unwrap();
        fs::remove_dir(root.join(QUARANTINE)).unwrap();
        fs::remove_file(root.join(INDEX_FILE)).unwrap();
        fs::remove_file(root.join(LAYOUT_FILE)).unwrap();
        prepare(&root).unwrap();
        assert!(is_complete(&root) && check_version(&root).unwrap());
        use std::os::unix::fs::PermissionsExt;
        for name in DIRECTORIES.into_iter().chain([""]) {
            assert_eq!(fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o7777, 0o700, "{name}");
        }
    }
}
