//! Prune beside others: threads and processes that use the store at the same time, and its own death.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ocify::digest::Digest;
use ocify::format::{Compression, MediaTypes};
use ocify::oci::{Descriptor, Manifest, MediaType, Repository, canonical_json};
use ocify::store::{PruneOptions, Store};

use super::{DAY, files, prune, set_age, with_garbage};
use crate::workspace::Workspace;

const ALL: PruneOptions = PruneOptions { keep_size: None, keep_since: None, dry_run: false };

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store")).unwrap();
    (directory, store)
}

fn blob_path(store: &Store, digest: &Digest) -> std::path::PathBuf {
    store.root().join("blobs/sha256").join(digest.hex())
}

fn leases(store: &Path) -> usize {
    let names = fs::read_dir(store.join("locks")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("lease-")).count()
}

#[test]
fn what_a_lease_found_stays_until_it_ends_and_the_rest_goes() {
    let (_directory, store) = new_store();
    let [found, read, listed_only, looked_at] =
        ["found", "read", "listed", "looked at"].map(|text| store.put_blob(text.as_bytes()).unwrap());
    for digest in [found, read, listed_only, looked_at] {
        set_age(&blob_path(&store, &digest), 10 * DAY);
    }
    let leased = store.leased().unwrap();
    assert!(leased.contains(&found).is_some());
    assert!(leased.clone().read_blob(&read, 100).unwrap().is_some());
    assert!(store.contains(&looked_at).is_some(), "without a lease, that promises nothing");
    let written = leased.put_blob(b"written").unwrap();
    let removed = store.prune(&ALL).unwrap().removed.into_iter().map(|file| file.name);
    let mut expected = [listed_only, looked_at];
    expected.sort();
    assert_eq!(removed.collect::<Vec<_>>(), expected);
    for digest in [found, read, written] {
        assert!(store.contains(&digest).is_some());
    }
    assert_eq!(leases(store.root()), 1);
    drop(leased);
    assert_eq!(leases(store.root()), 0);
    assert_eq!(store.prune(&ALL).unwrap().removed.len(), 3);
}

#[test]
fn a_lease_keeps_what_was_used_in_the_hour_before_it() {
    let (_directory, store) = new_store();
    let digest = store.put_blob(b"a").unwrap();
    set_age(&blob_path(&store, &digest), Duration::from_secs(3500));
    let before = fs::metadata(blob_path(&store, &digest)).unwrap().modified().unwrap();
    let leased = store.leased().unwrap();
    assert!(leased.contains(&digest).is_some());
    assert_eq!(fs::metadata(blob_path(&store, &digest)).unwrap().modified().unwrap(), before, "no write is needed");
    assert_eq!(store.prune(&ALL).unwrap().removed, []);
}

#[test]
fn whoever_found_where_a_layer_can_be_had_finds_it_there_later() {
    let (_directory, store) = new_store();
    let [relied_on, forgotten] = [&b"a layer"[..], b"another"].map(Digest::of);
    let repository = Repository::of(&"r.example/a".parse().unwrap());
    for digest in [relied_on, forgotten] {
        store.add_source(&digest, &repository).unwrap();
        set_age(&store.root().join("sources").join(digest.hex()), 10 * DAY);
    }
    let leased = store.leased().unwrap();
    assert_eq!(leased.sources(&relied_on).len(), 1);
    let removed = store.prune(&ALL).unwrap().removed;
    assert_eq!(removed.iter().map(|file| file.name).collect::<Vec<_>>(), [forgotten]);
    assert_eq!(leased.sources(&relied_on).len(), 1);
}

/// A generator of xorshift64*, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % n
    }
}

/// Builders that find blobs or write them, rely on them, name them with a reference, and end; somebody who leaves old
/// blobs behind; and prune in a loop.
#[test]
fn whoever_found_a_blob_has_it_while_prune_runs() {
    let (_directory, store) = new_store();
    let (found, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let start = Instant::now();
    // At least a second, and on a slow disk as long as it takes to have tested something.
    let goes_on = || {
        let met_often = [&found, &removed].iter().all(|count| count.load(Ordering::Relaxed) >= 200);
        start.elapsed() < Duration::from_secs(if met_often { 1 } else { 60 })
    };
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let (store, found, goes_on) = (&store, &found, &goes_on);
            scope.spawn(move || {
                let mut random = Random(seed);
                while goes_on() {
                    build(store, seed, &mut random, found);
                }
            });
        }
        scope.spawn(|| {
            let mut random = Random(99);
            while goes_on() {
                leave_old_blob(&store, &content(random.below(40)));
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while goes_on() {
                    removed.fetch_add(store.prune(&ALL).unwrap().removed.len(), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(start.elapsed() < Duration::from_secs(60), "not much of a test: {found:?} found, {removed:?} removed");
    assert_eq!(leases(store.root()), 0);
}

fn content(n: u64) -> Vec<u8> {
    format!("blob {n}").into_bytes()
}

/// Puts a blob into the store as if it had been there for days.
fn leave_old_blob(store: &Store, bytes: &[u8]) {
    let temporary = tempfile::NamedTempFile::new_in(store.root()).unwrap();
    fs::write(temporary.path(), bytes).unwrap();
    set_age(temporary.path(), 3 * DAY);
    // Not over one that is in use, whose time would go backwards.
    let _ = fs::hard_link(temporary.path(), blob_path(store, &Digest::of(bytes)));
}

fn build(store: &Store, builder: u64, random: &mut Random, found: &AtomicUsize) {
    let leased = store.leased().unwrap();
    let mut relied_on = Vec::new();
    for _ in 0..1 + random.below(6) {
        let bytes = content(random.below(40));
        let digest = Digest::of(&bytes);
        match random.below(3) {
            0 if leased.contains(&digest).is_some() => drop(found.fetch_add(1, Ordering::Relaxed)),
            1 if leased.read_blob(&digest, 100).unwrap().is_some() => drop(found.fetch_add(1, Ordering::Relaxed)),
            _ => drop(leased.put_blob(&bytes).unwrap()),
        }
        relied_on.push((digest, bytes));
        std::thread::sleep(Duration::from_micros(random.below(300)));
    }
    let whole = |store: &Store, when: &str| {
        for (digest, bytes) in &relied_on {
            let path = blob_path(store, digest);
            assert_eq!(fs::read(&path).ok().as_ref(), Some(bytes), "{digest} vanished {when}, builder {builder}");
        }
    };
    whole(store, "during the build");
    if random.below(2) == 0 {
        return;
    }
    let layer = |(digest, bytes): &(Digest, Vec<u8>)| {
        Descriptor::new(MediaType::layer(MediaTypes::Oci, Compression::None), *digest, bytes.len() as u64)
    };
    let layers: Vec<Descriptor> = relied_on.iter().map(layer).collect();
    let config = Descriptor::new(MediaType::Config(MediaTypes::Oci), layers[0].digest, layers[0].size);
    let manifest = Manifest {
        schema_version: 2,
        media_type: None,
        config,
        layers,
        annotations: std::collections::BTreeMap::new(),
    };
    let bytes = canonical_json(&manifest);
    let digest = leased.put_blob(&bytes).unwrap();
    let descriptor = Descriptor::new(MediaType::Manifest(MediaTypes::Oci), digest, bytes.len() as u64);
    leased.set_references(&[(format!("builder-{builder}"), descriptor)]).unwrap();
    drop(leased);
    for _ in 0..3 {
        whole(store, "after a reference named it");
        assert_eq!(fs::read(blob_path(store, &digest)).ok().as_ref(), Some(&bytes), "the manifest vanished");
        std::thread::sleep(Duration::from_micros(random.below(500)));
    }
}

#[test]
fn builds_beside_prune_give_what_they_always_give() {
    let workspace = Workspace::new();
    let spec = |n: usize| format!("image(name = 'x', layers = [write('/{n}', 'x' * 5000), write('/all', 'y')])");
    let builds = 4;
    for n in 0..builds {
        workspace.write(&format!("p{n}/BUILD.star"), spec(n));
    }
    let expected: Vec<String> = (0..builds).map(|n| workspace.build(&format!("//p{n}:x"))).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let run = prune(&workspace);
                assert_eq!(run.code, 0, "{}", run.stderr);
            }
        });
        let builders: Vec<_> = (0..builds)
            .map(|n| {
                let (workspace, expected) = (&workspace, &expected);
                scope.spawn(move || {
                    for round in 0..6 {
                        let target = format!("//p{n}:x");
                        let out = workspace.path(&format!("out-{n}-{round}.tar"));
                        let output = format!("oci-archive:{}", out.display());
                        // Without its reference, all of the image is garbage before the build and after it.
                        Store::open(workspace.store())
                            .unwrap()
                            .remove_references(&[format!("p{n}:x")].into(), &[].into())
                            .unwrap();
                        assert_eq!(
                            crate::workspace::digest(&workspace.ok(&["build", &target, "-o", &output])),
                            expected[n]
                        );
                    }
                })
            })
            .collect();
        let results: Vec<_> = builders.into_iter().map(|builder| builder.join()).collect();
        done.store(true, Ordering::Relaxed);
        pruning.join().unwrap();
        results.into_iter().for_each(|result| result.unwrap());
    });
}

#[test]
fn a_prune_killed_at_random_loses_nothing_that_is_needed() {
    let workspace = with_garbage();
    for round in 0..15u64 {
        for n in 0..400 {
            // Straight into place: to flush each of them would take longer than the rest of the test.
            let bytes = format!("garbage {round} {n}").into_bytes();
            fs::write(workspace.store().join("blobs/sha256").join(Digest::of(&bytes).hex()), bytes).unwrap();
        }
        let mut child = workspace.command(&["prune"]).stdout(Stdio::null()).spawn().unwrap();
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_micros(1000 + round * 900));
        } else {
            // Until it sweeps, or has swept.
            let garbage = || fs::read_dir(workspace.store().join("blobs/sha256")).unwrap().count();
            while garbage() >= 400 && child.try_wait().unwrap().is_none() {}
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for image in ["//:a", "//:b"] {
            workspace.ok(&["inspect", image, "--check"]);
        }
    }
    assert_eq!(prune(&workspace).code, 0);
    let left = files(&workspace.store());
    assert!(left.keys().all(|path| !path.starts_with("ingest") && !path.starts_with("quarantine")), "{left:?}");
    let run = workspace.run(&["build", "//..."]);
    assert_eq!(run.stderr.matches("(cached)").count(), 6, "{}", run.stderr);
}
