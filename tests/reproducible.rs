//! The same spec gives the same blobs, whatever differs around it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::examples::{WORKSPACES, pattern, repository};

/// What differs from the plain build of the examples.
struct Variation {
    name: &'static str,
    /// Where the checkout lies below a temporary directory.
    directory: &'static str,
    umask: &'static str,
    environment: &'static [(&'static str, &'static str)],
    jobs: &'static str,
    /// Seconds since 1970 that every file of the checkout gets as its time.
    mtime: u64,
    /// Files are created in reverse order, so directories list them in another.
    reversed: bool,
    /// Runs as this user where the test may change users.
    user: Option<u32>,
    /// Builds twice into one store.
    warm: bool,
}

const PLAIN: Variation = Variation {
    name: "plain",
    directory: "a",
    umask: "022",
    environment: &[],
    jobs: "2",
    mtime: 1_600_000_000,
    reversed: false,
    user: None,
    warm: false,
};

const VARIATIONS: [Variation; 8] = [
    Variation { name: "deep directory with spaces", directory: "b c/d/e f/g/h/i", ..PLAIN },
    Variation { name: "umask 000", umask: "000", mtime: 1, ..PLAIN },
    Variation { name: "umask 077", umask: "077", mtime: 4_000_000_000, ..PLAIN },
    Variation { name: "another user", umask: "077", user: Some(65_534), ..PLAIN },
    Variation {
        name: "another environment",
        environment: &[
            ("TZ", "Asia/Kolkata"),
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("HOME", "/nonexistent"),
            ("SOURCE_DATE_EPOCH", "12345"),
            ("RAYON_NUM_THREADS", "5"),
        ],
        ..PLAIN
    },
    Variation { name: "one thread", jobs: "1", reversed: true, ..PLAIN },
    Variation { name: "eight threads", jobs: "8", ..PLAIN },
    Variation { name: "warm store", warm: true, ..PLAIN },
];

#[test]
fn every_example_gives_the_same_blobs_under_every_variation() {
    let expected = blobs_under(&PLAIN);
    assert!(expected.len() > 10, "the examples make more blobs than {}", expected.len());
    for variation in &VARIATIONS {
        let blobs = blobs_under(variation);
        let missing: Vec<_> = expected.keys().filter(|digest| !blobs.contains_key(*digest)).collect();
        let added: Vec<_> = blobs.keys().filter(|digest| !expected.contains_key(*digest)).collect();
        assert!(missing.is_empty() && added.is_empty(), "{}: {missing:?} became {added:?}", variation.name);
        assert!(blobs == expected, "{}: a blob has other bytes under the same digest", variation.name);
    }
}

/// Builds every example and returns the store's blobs and `index.json`.
fn blobs_under(variation: &Variation) -> BTreeMap<String, Vec<u8>> {
    let temporary = TempDir::new().unwrap();
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let checkout = temporary.path().join(variation.directory);
    fs::create_dir_all(&checkout).unwrap();
    copy(&repository().join("ocify.toml"), &checkout.join("ocify.toml"), variation);
    copy(&repository().join("examples"), &checkout.join("examples"), variation);
    let stores = temporary.path().join("stores");
    fs::create_dir(&stores).unwrap();
    let can_change_user = rustix::process::geteuid().is_root();
    let user = variation.user.filter(|_| can_change_user);
    if let Some(user) = user {
        chown(&stores, Some(user), Some(user)).unwrap();
    }
    let store = stores.join("store");
    for _ in 0..if variation.warm { 2 } else { 1 } {
        for workspace in WORKSPACES {
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", variation.umask])
                .arg(binary(&temporary, user))
                .args(["build", pattern(workspace), "--jobs", variation.jobs, "--quiet"])
                .current_dir(checkout.join(workspace))
                .env("OCIFY_STORE", &store)
                .envs(variation.environment.iter().copied());
            if let Some(user) = user {
                command.uid(user).gid(user);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}: {}", variation.name, String::from_utf8_lossy(&output.stderr));
        }
    }
    let mut blobs = BTreeMap::from([("index.json".to_owned(), fs::read(store.join("index.json")).unwrap())]);
    for entry in fs::read_dir(store.join("blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        blobs.insert(entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    }
    blobs
}

/// The command; for another user a copy in a place that this user can reach.
fn binary(temporary: &TempDir, user: Option<u32>) -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_ocify"));
    if user.is_none() {
        return built;
    }
    let copied = temporary.path().join("ocify");
    if !copied.exists() {
        fs::copy(&built, &copied).unwrap();
    }
    copied
}

/// Copies a checkout, which keeps of a file what git keeps: content, links, and whether its owner may execute it.
fn copy(from: &Path, to: &Path, variation: &Variation) {
    let metadata = fs::symlink_metadata(from).unwrap();
    if metadata.is_symlink() {
        symlink(fs::read_link(from).unwrap(), to).unwrap();
        return;
    }
    if metadata.is_dir() {
        fs::create_dir_all(to).unwrap();
        let mut names: Vec<_> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        if variation.reversed {
            names.reverse();
        }
        names.iter().for_each(|name| copy(&from.join(name), &to.join(name), variation));
    } else {
        fs::write(to, fs::read(from).unwrap()).unwrap();
    }
    let umask = u32::from_str_radix(variation.umask, 8).unwrap();
    let executable = metadata.is_dir() || metadata.permissions().mode() & 0o100 != 0;
    let mode = if executable { 0o777 } else { 0o666 };
    fs::set_permissions(to, fs::Permissions::from_mode(mode & !umask)).unwrap();
    if let Some(user) = variation.user.filter(|_| rustix::process::geteuid().is_root()) {
        chown(to, Some(user), Some(user)).unwrap();
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(variation.mtime);
    fs::File::open(to).unwrap().set_modified(time).unwrap();
}
