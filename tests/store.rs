//! The store as its users see it: many of them at once, killed at any moment, on disks that fail.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use ocify::digest::{DiffId, Digest};
use ocify::entry::{Content, Entry, Kind, Metadata, Origin};
use ocify::format::MediaTypes;
use ocify::oci::{Descriptor, MediaType, REF_NAME};
use ocify::path::ImagePath;
use ocify::store::{Store, StoreError};
use serde_json::{Value, json};
use tempfile::TempDir;

fn new_store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store")).unwrap();
    (directory, store)
}

fn descriptor(digest: Digest, size: u64) -> Descriptor {
    Descriptor::new(MediaType::Manifest(MediaTypes::Oci), digest, size)
}

/// Stores `bytes` and sets a reference to them.
fn publish(store: &Store, name: &str, bytes: &[u8]) -> Result<Digest, StoreError> {
    let digest = store.put_blob(bytes)?;
    store.set_references(&[(name.to_owned(), descriptor(digest, bytes.len() as u64))])?;
    Ok(digest)
}

fn blob_path(store: &Store, digest: &Digest) -> PathBuf {
    store.root().join("blobs/sha256").join(digest.hex())
}

/// Writes `bytes` over a file of any mode.
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn names(directory: PathBuf) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whatever happened to the store: no blob is partial, no reference dangles, nothing is left in `ingest/`.
fn assert_sound(store: &Store) {
    for name in names(store.root().join("blobs/sha256")) {
        let digest = Digest::from_hex(&name).unwrap();
        assert!(store.read_blob(&digest, u64::MAX).unwrap().is_some());
    }
    for (name, descriptor) in store.references().unwrap() {
        assert_eq!(store.contains(&descriptor.digest), Some(descriptor.size), "{name}");
    }
    assert_eq!(names(store.root().join("ingest")), [""; 0]);
    assert_eq!(names(store.root().join("quarantine")), [""; 0]);
}

#[test]
fn a_blob_and_a_reference_come_back() {
    let (_directory, store) = new_store();
    let digest = publish(&store, "web:1.4", b"content").unwrap();
    let again = Store::open(store.root()).unwrap();
    assert_eq!(again.read_blob(&digest, 7).unwrap().as_deref(), Some(&b"content"[..]));
    assert_eq!(again.references().unwrap(), BTreeMap::from([("web:1.4".to_owned(), descriptor(digest, 7))]));
    let layout: Value = serde_json::from_slice(&fs::read(store.root().join("oci-layout")).unwrap()).unwrap();
    assert_eq!(layout, json!({"imageLayoutVersion": "1.0.0"}));
    let index = String::from_utf8(fs::read(store.root().join("index.json")).unwrap()).unwrap();
    let expected = format!(
        r#"{{"manifests":[{{"annotations":{{"{REF_NAME}":"web:1.4"}},"digest":"{digest}","mediaType":"application/vnd.oci.image.manifest.v1+json","size":7}}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}}"#
    );
    assert_eq!(index, expected);
    assert_sound(&store);
}
