//! The store as its users see it: many of them at once, killed at any moment, on disks that fail.

mod process;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ocify::digest::{DiffId, Digest};
use ocify::format::MediaTypes;
use ocify::oci::{Descriptor, MediaType, REF_NAME};
use ocify::store::{PruneOptions, Store, StoreError};
use serde_json::{Value, json};
use tempfile::TempDir;

use process::Process;

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
#[test]
fn small_reads_verify_and_a_reader_can_finish_early() {
    let (_directory, store) = new_store();
    let (long, empty) = (store.put_blob(&[7; 100_000]).unwrap(), store.put_blob(b"").unwrap());
    let mut reader = store.open_blob(&long).unwrap().unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 999];
    while let n @ 1.. = reader.read(&mut buffer).unwrap() {
        bytes.extend_from_slice(&buffer[..n]);
    }
    assert_eq!((reader.size(), bytes), (100_000, vec![7; 100_000]));

    let mut reader = store.open_blob(&long).unwrap().unwrap();
    reader.read_exact(&mut buffer).unwrap();
    reader.finish().unwrap();
    assert_eq!(store.read_blob(&empty, 0).unwrap(), Some(Vec::new()));
    assert!(matches!(store.read_blob(&long, 99_999), Err(StoreError::TooLarge { .. })));
    assert_eq!(store.read_blob(&Digest::of(b"absent"), 1).unwrap(), None);
}

#[test]
fn what_was_not_expected_is_not_stored() {
    let (_directory, store) = new_store();
    let expected = Digest::of(b"expected");
    let ingest = |bytes: &[u8]| {
        let mut ingest = store.ingest().unwrap();
        ingest.write_all(bytes).unwrap();
        ingest
    };
    let error = ingest(b"received").commit_expecting(&expected, None).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, StoreError::WrongDigest { .. }), "{message}");
    for digest in [expected, Digest::of(b"received")] {
        assert!(message.contains(&digest.to_string()), "{message}");
    }
    let error = ingest(b"expected").commit_expecting(&expected, Some(9)).unwrap_err();
    assert!(matches!(error, StoreError::WrongSize { expected: 9, found: 8, .. }), "{error}");
    drop(ingest(b"expected"));
    assert_eq!(names(store.root().join("blobs/sha256")), [""; 0]);
    assert_sound(&store);

    assert_eq!(ingest(b"expected").commit_expecting(&expected, Some(8)).unwrap(), 8);
    let mode = fs::metadata(blob_path(&store, &expected)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o444);
}

#[test]
fn a_spool_has_no_name() {
    let (_directory, store) = new_store();
    let mut spool = store.spool().unwrap();
    spool.write_all(b"x").unwrap();
    assert_eq!(names(store.root().join("ingest")), [""; 0]);
}

#[test]
fn a_damaged_blob_is_found_quarantined_and_stored_again() {
    let good = vec![b'a'; 300_000];
    let mut flipped = good.clone();
    flipped[299_999] ^= 1;
    let longer = [&good[..], b"a"].concat();
    for bad in [&flipped[..], &good[..299_999], &[], &longer] {
        let (_directory, store) = new_store();
        let digest = store.put_blob(&good).unwrap();
        overwrite(&blob_path(&store, &digest), bad);

        let mut read = Vec::new();
        let error = store.open_blob(&digest).unwrap().unwrap().read_to_end(&mut read).unwrap_err();
        assert!(read.len() < bad.len().max(1), "the last bytes must not be handed out");
        let error = error.downcast::<StoreError>().unwrap();
        let moved = store.root().join("quarantine").join(digest.hex());
        let StoreError::DamagedBlob { digest: named, found, moved: Some(path) } = &error else { panic!("{error}") };
        assert_eq!((named, found, path), (&digest, &Digest::of(bad), &moved));
        assert!(error.to_string().contains(&format!("moved to {}", moved.display())), "{error}");
        assert_eq!(fs::read(&moved).unwrap(), bad);

        assert_eq!(store.contains(&digest), None);
        assert!(store.open_blob(&digest).unwrap().is_none());
        store.put_blob(&good).unwrap();
        assert_eq!(store.read_blob(&digest, u64::MAX).unwrap(), Some(good.clone()));
    }
}

#[test]
fn a_late_reader_of_a_damaged_blob_leaves_its_good_successor_alone() {
    let (_directory, store) = new_store();
    let digest = store.put_blob(b"good").unwrap();
    overwrite(&blob_path(&store, &digest), b"evil");
    let mut late = store.open_blob(&digest).unwrap().unwrap();
    assert!(store.read_blob(&digest, 4).is_err());
    store.put_blob(b"good").unwrap();
    let mut bytes = Vec::new();
    assert!(late.read_to_end(&mut bytes).is_err());
    assert!(late.read_to_end(&mut bytes).is_err(), "also when asked again");
    assert_eq!(store.read_blob(&digest, 4).unwrap().as_deref(), Some(&b"good"[..]));
}

#[test]
fn a_blob_of_the_wrong_size_is_replaced_and_kept_for_inspection() {
    let (_directory, store) = new_store();
    let digest = store.put_blob(b"good").unwrap();
    overwrite(&blob_path(&store, &digest), b"go");
    store.put_blob(b"good").unwrap();
    assert_eq!(store.read_blob(&digest, 4).unwrap().as_deref(), Some(&b"good"[..]));
    assert_eq!(fs::read(store.root().join("quarantine").join(digest.hex())).unwrap(), b"go");
}

#[test]
fn of_a_descriptor_and_a_blob_the_wrong_one_is_blamed() {
    let (_directory, store) = new_store();
    let digest = store.put_blob(b"good").unwrap();
    assert_eq!(store.open_described(&descriptor(digest, 4)).unwrap().unwrap().size(), 4);
    let error = store.open_described(&descriptor(digest, 5)).unwrap_err();
    assert!(matches!(error, StoreError::OtherSize { expected: 5, found: 4, .. }), "{error}");
    assert_eq!(store.contains(&digest), Some(4));
    overwrite(&blob_path(&store, &digest), b"go");
    let error = store.open_described(&descriptor(digest, 4)).unwrap_err();
    assert!(matches!(error, StoreError::DamagedBlob { .. }), "{error}");
    assert_eq!(store.contains(&digest), None);
}

#[test]
fn threads_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("store");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let root = &root;
            scope.spawn(move || publish_many(&Store::open(root).unwrap(), writer));
        }
    });
    assert_has_all(&Store::open(&root).unwrap(), 8);
}

#[test]
fn processes_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("store");
    let children: Vec<Process> = (0..6).map(|writer| Process::start(&root, &format!("publish {writer}"))).collect();
    children.into_iter().for_each(Process::finish);
    assert_has_all(&Store::open(&root).unwrap(), 6);
}

const BLOBS_PER_WRITER: usize = 12;

/// Half of the blobs are the same for all writers; each reference is of its own.
fn publish_many(store: &Store, writer: usize) {
    for n in 0..BLOBS_PER_WRITER {
        let bytes = content_of(writer, n);
        publish(store, &format!("writer-{writer}/{n}"), &bytes).unwrap();
    }
}

fn content_of(writer: usize, n: usize) -> Vec<u8> {
    let seed = if n.is_multiple_of(2) { format!("shared {n}\n") } else { format!("{writer} {n}\n") };
    seed.repeat(5_000).into_bytes()
}

fn assert_has_all(store: &Store, writers: usize) {
    assert_sound(store);
    let references = store.references().unwrap();
    assert_eq!(references.len(), writers * BLOBS_PER_WRITER);
    for (writer, n) in (0..writers).flat_map(|writer| (0..BLOBS_PER_WRITER).map(move |n| (writer, n))) {
        let expected = Digest::of(&content_of(writer, n));
        assert_eq!(references[&format!("writer-{writer}/{n}")].digest, expected);
    }
}

#[test]
fn a_process_killed_at_any_step_leaves_old_or_new() {
    let steps = ["created", "half", "whole", "committed", "referenced"];
    for step in steps {
        let (_directory, store) = new_store();
        let old = publish(&store, "web", b"old").unwrap();
        let new = Digest::of(&big_content());
        let mut child = Process::start(store.root(), "steps");
        for passed in steps {
            child.wait_for(passed);
            if passed == step {
                break;
            }
            child.go_on();
        }
        let committed = matches!(step, "committed" | "referenced");
        Store::open(store.root()).unwrap();
        let in_ingest = names(store.root().join("ingest")).len();
        assert_eq!(in_ingest, usize::from(!committed), "{step}: what a living process writes is not swept");
        child.kill();

        let store = Store::open(store.root()).unwrap();
        assert_sound(&store);
        assert_eq!(store.contains(&new).is_some(), committed, "{step}");
        let reference = store.references().unwrap()["web"].digest;
        assert_eq!(reference, if step == "referenced" { new } else { old }, "{step}");
        publish(&store, "web", &big_content()).unwrap();
        assert_eq!(store.references().unwrap()["web"].digest, new, "{step}: still usable");
    }
}

#[test]
fn a_process_killed_at_random_loses_nothing_that_it_reported() {
    let (_directory, store) = new_store();
    for round in 0..20 {
        let mut child = Process::start(store.root(), "count");
        child.wait_for("0");
        std::thread::sleep(Duration::from_micros(round * 1_700));
        let last = child.kill().pop().map_or(0, |line| line.parse::<usize>().unwrap());

        let store = Store::open(store.root()).unwrap();
        assert_sound(&store);
        let reference = store.references().unwrap()["count"].digest;
        let possible = [last, last + 1].map(|n| Digest::of(&counted_content(n)));
        assert!(possible.contains(&reference), "round {round}: neither {last} nor the next");
    }
}

/// Ends in the state that a power failure leaves: what is on the list has lost its bytes, all else is whole.
#[test]
fn a_process_killed_at_random_before_a_power_failure_leaves_no_damaged_blob() {
    for round in 0..12 {
        let (_directory, store) = new_store();
        let mut child = Process::start(store.root(), "large");
        child.wait_for("0");
        std::thread::sleep(Duration::from_micros(round * 2_300));
        child.kill();

        let lists = names(store.root().join("unflushed"));
        let [own] = &lists[..] else { panic!("{lists:?}") };
        let listed = fs::read_to_string(store.root().join("unflushed").join(own)).unwrap();
        let blobs = names(store.root().join("blobs/sha256"));
        for name in &blobs {
            assert!(listed.lines().any(|line| line == name), "a large blob has its name before it is on the list");
            overwrite(&blob_path(&store, &Digest::from_hex(name).unwrap()), &vec![0; 300_000]);
        }
        let other_boot = "01234567-89ab-cdef-0123-456789abcdef";
        fs::rename(store.root().join("unflushed").join(own), store.root().join("unflushed").join(other_boot)).unwrap();

        let store = Store::open(store.root()).unwrap();
        assert_eq!(names(store.root().join("blobs/sha256")), [""; 0], "round {round}");
        assert_eq!(names(store.root().join("quarantine")), blobs);
        publish(&store, "count", &large_content(0)).unwrap();
        assert!(store.read_blob(&Digest::of(&large_content(0)), u64::MAX).unwrap().is_some());
    }
}

#[test]
fn processes_list_large_blobs_and_empty_the_list_at_once() {
    let (_directory, store) = new_store();
    let children: Vec<Process> = (0..3).map(|_| Process::start(store.root(), "reopen")).collect();
    // Makes each list look old, so that whoever opens the store next empties it.
    let long_ago = fs::metadata("/proc/self/exe").unwrap().modified().unwrap() - Duration::from_secs(3600);
    for _ in 0..200 {
        for name in names(store.root().join("unflushed")) {
            let list = fs::File::options().write(true).open(store.root().join("unflushed").join(name)).unwrap();
            list.set_modified(long_ago).unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    children.into_iter().for_each(Process::finish);
    assert_sound(&store);
    assert_eq!(names(store.root().join("blobs/sha256")).len(), 20);
    assert_eq!(names(store.root().join("unflushed")).len(), 1);
}

#[test]
fn a_dead_lock_holder_blocks_nobody() {
    let (_directory, store) = new_store();
    let mut child = Process::start(store.root(), "hold the lock");
    child.wait_for("locked");
    let (done, wait) = std::sync::mpsc::channel();
    let writer = store.clone();
    std::thread::spawn(move || done.send(publish(&writer, "web", b"x").map(drop)));
    assert!(wait.recv_timeout(Duration::from_millis(200)).is_err(), "a living holder does block");
    child.kill();
    wait.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    assert_sound(&store);
}

#[test]
fn a_lease_ends_with_its_process() {
    let (_directory, store) = new_store();
    let digest = store.put_blob(b"relied on").unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(blob_path(&store, &digest)).unwrap().set_modified(old).unwrap();
    let mut child = Process::start(store.root(), &format!("lease {}", digest.hex()));
    child.wait_for("leased");
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().removed, []);
    let leases = || names(store.root().join("locks")).iter().filter(|name| name.starts_with("lease-")).count();
    Store::open(store.root()).unwrap();
    assert_eq!(leases(), 1, "that of a living process is not swept");
    child.kill();
    assert_eq!(leases(), 1);
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().removed.len(), 1);
    assert_eq!(leases(), 0);
}

/// The limit on file sizes stands in for a full disk, which cannot be had without mounting one.
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_behind() {
    let (_directory, store) = new_store();
    publish(&store, "web", b"small").unwrap();
    Process::start_on_full_disk(store.root(), "fill").finish();
    assert_eq!(names(store.root().join("blobs/sha256")).len(), 2);
    assert_sound(&store);
}

#[test]
fn a_read_only_store_serves_what_it_has() {
    let (directory, store) = new_store();
    let digest = publish(&store, "web", b"content").unwrap();
    let bad = store.put_blob(b"will be damaged").unwrap();
    overwrite(&blob_path(&store, &bad), b"was, in fact, damaged");
    let diff_id = DiffId(digest);
    store.put_layer_index(&diff_id, &[]).unwrap();
    fs::remove_dir(store.root().join("quarantine")).unwrap();
    let list = store.root().join("unflushed/01234567-89ab-cdef-0123-456789abcdef");
    fs::write(&list, format!("\n{}\n", bad.hex())).unwrap();
    let set_modes = |directory_mode, file_mode| {
        let inner = [
            "",
            "blobs",
            "blobs/sha256",
            "ingest",
            "layers",
            "actions",
            "stat",
            "locks",
            "unflushed",
            "chunks",
            "sources",
            "caches",
            "roots",
            "roots",
        ]
        .map(|name| store.root().join(name));
        for path in inner.iter().map(PathBuf::as_path).chain([directory.path()]) {
            fs::set_permissions(path, Permissions::from_mode(directory_mode)).unwrap();
            for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap()) {
                if entry.file_type().unwrap().is_file() {
                    fs::set_permissions(entry.path(), Permissions::from_mode(file_mode)).unwrap();
                }
            }
        }
    };
    set_modes(0o555, 0o444);
    as_ordinary_user(|| {
        let store = Store::open(store.root()).unwrap();
        assert_eq!(store.read_blob(&digest, 7).unwrap().as_deref(), Some(&b"content"[..]));
        assert_eq!(store.references().unwrap()["web"].digest, digest);
        assert_eq!(store.layer_index(&diff_id).unwrap(), Some(Vec::new()));
        publish(&store, "web", b"content").expect("nothing to write");

        let name = [("new".to_owned(), descriptor(digest, 7))];
        let refused = [
            store.put_blob(b"new").err(),
            store.set_references(&name).err(),
            store.put_layer_index(&diff_id, &[]).err(),
        ];
        for error in refused {
            let error = error.expect("writing must fail");
            assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        }
        let error = store.read_blob(&bad, 100).unwrap_err();
        assert!(matches!(error, StoreError::DamagedBlob { moved: None, .. }), "{error}");

        assert_eq!(store.leased().unwrap().contains(&digest), Some(7), "nobody can prune it either");
        store.usage().unwrap();
        let mut options = PruneOptions::default();
        let error = store.prune(&options).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        options.dry_run = true;
        // It gets as far as the reference, which leads to what is no manifest.
        let error = store.prune(&options).unwrap_err();
        assert!(matches!(&error, StoreError::UnreadableReference { reference, .. } if reference == "web"), "{error}");
    });
    set_modes(0o755, 0o644);
    assert_eq!(store.references().unwrap().len(), 1);
    assert_eq!(Store::open(store.root()).unwrap().contains(&bad), None, "verified once that can be written down");
    assert!(!list.exists());
}

/// Runs `story` in a thread without root's power to write everywhere.
fn as_ordinary_user(story: impl FnOnce() + Send) {
    let nobody = rustix::process::Uid::from_raw(65_534);
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            if rustix::process::geteuid().is_root() {
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            story();
        });
        thread.join().unwrap();
    });
}

/// More than the buffers hold.
fn big_content() -> Vec<u8> {
    (0..400_000u32).flat_map(u32::to_le_bytes).collect()
}

/// Of a size whose bytes the store does not wait for.
fn large_content(n: usize) -> Vec<u8> {
    format!("{n:9}\n").repeat(30_000).into_bytes()
}

fn counted_content(n: usize) -> Vec<u8> {
    format!("{n}\n").repeat(20_000).into_bytes()
}
