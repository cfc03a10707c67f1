//! What happens to a build happens: it is killed, others run beside it, its disk is full or fails, bits flip, the clock is
//! wrong. Afterwards the next build gives the same image as a clean one.

mod fault;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use ocify::digest::Digest;

use crate::workspace::{Run, Workspace, digest};
use fault::{Call, fail, kill};

/// A workspace whose layers are compressed in several chunks, and the digest that it has to give.
fn workspace() -> (Workspace, String) {
    let noise = (0..1_500_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>();
    let mut workspace = Workspace::new()
        .file("BUILD.star", "image(name = 'x', layers = [files(srcs = ['src']), write('/etc/x', 'x'), dir('/empty')])");
    for n in 0..8 {
        workspace = workspace.file(&format!("src/{n}"), [&noise[n..], format!("{n}").as_bytes()].concat());
    }
    let expected = workspace.build("//:x");
    forget(&workspace);
    (workspace, expected)
}

/// Begins with a new store.
fn forget(workspace: &Workspace) {
    fs::remove_dir_all(workspace.store()).unwrap();
}

fn names(directory: PathBuf) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// No blob is partial, nothing is in quarantine.
#[track_caller]
fn assert_whole(store: &Path) {
    for name in names(store.join("blobs/sha256")) {
        let bytes = fs::read(store.join("blobs/sha256").join(&name)).unwrap();
        assert_eq!(Digest::of(&bytes).hex(), name);
    }
    assert!(names(store.join("quarantine")).is_empty());
}

/// The next build gives what a clean one gives, and has swept what the one before left behind.
#[track_caller]
fn assert_recovers(workspace: &Workspace, expected: &str) {
    assert_whole(&workspace.store());
    assert_eq!(workspace.build("//:x"), expected);
    workspace.ok(&["inspect", "//:x", "--check"]);
    assert!(names(workspace.store().join("ingest")).is_empty());
    assert!(names(workspace.store().join("locks")).iter().all(|name| !name.starts_with("lease")));
}

#[test]
fn a_build_killed_at_any_moment_is_made_up_for_by_the_next() {
    let (workspace, expected) = workspace();
    let mut unfinished = 0;
    for round in 0..16 {
        let mut child = workspace.command(&["build", "//:x", "-q"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(3 + round * 9));
        child.kill().unwrap();
        unfinished += u32::from(!child.wait().unwrap().success());
        if workspace.store().exists() {
            assert_whole(&workspace.store());
        }
        assert_recovers(&workspace, &expected);
        forget(&workspace);
    }
    assert!(unfinished > 3, "not much of a test: {unfinished} were killed");
}

#[test]
fn a_build_or_prune_killed_at_each_kind_of_step_is_made_up_for() {
    let (workspace, expected) = workspace();
    for (arguments, call) in [
        (&["build", "//:x"][..], Call::Flush),
        (&["build", "//:x"], Call::Rename),
        (&["build", "//:x"], Call::Lock),
        (&["build", "//:x"], Call::Remove),
        (&["prune"], Call::Lock),
        (&["prune"], Call::Remove),
    ] {
        // A store that is there, and for prune an image that is needed and garbage, which is the table of file digests.
        workspace.ok(&["images"]);
        if arguments[0] == "prune" {
            workspace.build("//:x");
        }
        let mut command = workspace.command(arguments);
        kill(&mut command, call);
        let output = command.output().unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{arguments:?} {call:?}");
        assert_recovers(&workspace, &expected);
        forget(&workspace);
    }
}

#[test]
fn builds_at_the_same_time_give_the_same_image() {
    let (workspace, expected) = workspace();
    let start = || workspace.command(&["build", "//:x"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..6).map(|_| start()).collect();
    for child in children {
        let run = Run::from(child.wait_with_output().unwrap());
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(digest(&run.stdout), expected);
    }
    assert_recovers(&workspace, &expected);
}

/// The limit on file sizes stands in for a full disk, which cannot be had without mounting one.
#[test]
fn a_disk_that_fills_up_at_any_point_is_an_error_and_leaves_no_half_blob() {
    let (workspace, expected) = workspace();
    let mut codes = Vec::new();
    for blocks in [0, 1, 2, 4, 16, 256, 4096, 1 << 20] {
        let mut command = Command::new("sh");
        let script = format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$@""#);
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_ocify"), "build", "//:x"]);
        command.current_dir(workspace.root()).env("OCIFY_STORE", workspace.store());
        let run = Run::from(command.output().unwrap());
        if run.code != 0 {
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{blocks} blocks");
            assert!(run.stderr.contains("File too large"), "{blocks} blocks: {}", run.stderr);
        }
        codes.push(run.code);
        assert_recovers(&workspace, &expected);
        forget(&workspace);
    }
    assert!(codes.starts_with(&[1, 1]) && codes.ends_with(&[0]), "{codes:?}");
}

#[test]
fn a_disk_that_fails_is_an_error_and_leaves_no_half_blob() {
    let (workspace, expected) = workspace();
    for call in [Call::Flush, Call::Rename, Call::Lock] {
        for errno in [libc::EIO, libc::ENOSPC, libc::EDQUOT] {
            // One that has a store already, so that the failure meets the build.
            workspace.ok(&["images"]);
            let mut command = workspace.command(&["build", "//:x"]);
            fail(&mut command, call, errno);
            let run = Run::from(command.output().unwrap());
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{call:?} {errno}: {}", run.stderr);
            let reason = io::Error::from_raw_os_error(errno).to_string();
            let reason = reason.split(" (").next().unwrap();
            assert!(run.stderr.contains(reason), "{call:?}: no {reason:?} in {}", run.stderr);
            assert!(names(workspace.store().join("ingest")).is_empty(), "{call:?}: temporary files are removed");
            assert_recovers(&workspace, &expected);
            forget(&workspace);
        }
    }
}

#[test]
fn a_failed_prune_removes_nothing_that_is_needed() {
    let (workspace, expected) = workspace();
    workspace.build("//:x");
    let mut command = workspace.command(&["prune"]);
    fail(&mut command, Call::Lock, libc::EIO);
    let run = Run::from(command.output().unwrap());
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_recovers(&workspace, &expected);
}

#[test]
fn a_read_only_store_serves_hits_and_says_why_it_takes_nothing_new() {
    let (workspace, expected) = workspace();
    workspace.build("//:x");
    let parent = workspace.root().parent().unwrap().to_owned();
    let binary = parent.join("ocify");
    fs::copy(env!("CARGO_BIN_EXE_ocify"), &binary).unwrap();
    fs::set_permissions(&parent, Permissions::from_mode(0o755)).unwrap();
    set_modes(&workspace.store(), 0o555, 0o444);
    let run = || {
        let mut command = Command::new(&binary);
        command.args(["build", "//:x"]).current_dir(workspace.root()).env("OCIFY_STORE", workspace.store());
        if rustix::process::geteuid().is_root() {
            command.uid(65_534);
        }
        Run::from(command.output().unwrap())
    };
    let hit = run();
    assert_eq!((hit.code, hit.stderr.matches("(cached)").count()), (0, 4), "{}", hit.stderr);
    assert_eq!(digest(&hit.stdout), expected);
    workspace.write("src/new", "new");
    let miss = run();
    assert_eq!(miss.code, 1);
    assert!(miss.stderr.contains("read-only") && miss.stderr.contains("OCIFY_STORE"), "{}", miss.stderr);
    set_modes(&workspace.store(), 0o755, 0o644);
    fs::remove_file(workspace.path("src/new")).unwrap();
    assert_recovers(&workspace, &expected);
}

fn set_modes(directory: &Path, directories: u32, files: u32) {
    // Writable while its entries are changed.
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        match entry.file_type().unwrap().is_dir() {
            true => set_modes(&entry.path(), directories, files),
            false => fs::set_permissions(entry.path(), Permissions::from_mode(files)).unwrap(),
        }
    }
    fs::set_permissions(directory, Permissions::from_mode(directories)).unwrap();
}

#[test]
fn a_stdout_that_is_full_is_an_error_and_the_image_is_there() {
    let (workspace, expected) = workspace();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = workspace.command(&["build", "//:x"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stdout cannot be written"));
    assert_recovers(&workspace, &expected);
}

/// Every file of the store but the index and the version file, which name the way out and are not overwritten.
#[test]
fn a_flipped_bit_in_any_file_never_reaches_an_image() {
    let (workspace, expected) = workspace();
    workspace.build("//:x");
    let out = workspace.path("out.tar");
    let output = format!("oci-archive:{}", out.display());
    workspace.ok(&["build", "//:x", "-o", &output]);
    let clean = fs::read(&out).unwrap();
    let files: Vec<PathBuf> = ["blobs/sha256", "layers", "actions", "stat"]
        .iter()
        .flat_map(|directory| {
            names(workspace.store().join(directory)).into_iter().map(move |n| Path::new(directory).join(n))
        })
        .collect();
    assert!(files.len() >= 14, "{files:?}");
    for (n, file) in files.iter().enumerate() {
        let path = workspace.store().join(file);
        // What an earlier round made anew may have another name.
        let Ok(mut bytes) = fs::read(&path) else { continue };
        let at = bytes.len() * (n % 7) / 7;
        bytes[at] ^= 1 << (n % 8);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, bytes).unwrap();

        let mut runs = 0;
        while workspace.run(&["build", "//:x", "-o", &output]).code != 0 {
            runs += 1;
            assert!(runs < 3, "{}: building again does not help", file.display());
        }
        assert!(fs::read(&out).unwrap() == clean, "{}: byte {at} reached the image", file.display());
        workspace.ok(&["inspect", "//:x", "--check"]);
    }
    for file in ["index.json", "oci-layout"] {
        let path = workspace.store().join(file);
        let good = fs::read(&path).unwrap();
        fs::write(&path, &good[1..]).unwrap();
        let error = workspace.fails(1, &["build", "//:x"]);
        assert!(error.contains(file) && error.contains("damaged"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), good[1..], "evidence is left");
        fs::write(&path, good).unwrap();
    }
    assert_eq!(workspace.build("//:x"), expected);
}

/// The process's clock by a library that is loaded first; the files' times by setting them.
#[test]
fn a_clock_that_is_ten_years_off_changes_nothing() {
    const YEARS: i64 = 10 * 365 * 24 * 3600;
    let (workspace, expected) = workspace();
    let shim = workspace.path("clock.so");
    let source = workspace.path("clock.c");
    fs::write(
        &source,
        "#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
int clock_gettime(clockid_t id, struct timespec *t) {
    int result = syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_REALTIME) t->tv_sec += atoll(getenv(\"CLOCK_OFFSET\"));
    return result;
}",
    )
    .unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&shim, &source]).status().unwrap();
    assert!(compiled.success(), "what links the tests compiles this");
    for offset in [-YEARS, YEARS] {
        let run = |arguments: &[&str]| {
            let mut command = workspace.command(arguments);
            command.env("LD_PRELOAD", &shim).env("CLOCK_OFFSET", offset.to_string());
            let run = Run::from(command.output().unwrap());
            assert_eq!(run.code, 0, "{}", run.stderr);
            run
        };
        let build = || {
            let run = run(&["build", "//:x"]);
            (digest(&run.stdout), run.stderr.matches("(cached)").count())
        };
        assert_eq!(build(), (expected.clone(), 0));
        let old = run(&["prune", "--keep-days", "1000", "--dry-run"]).stdout;
        assert_eq!(old.contains("would remove stat/"), offset > 0, "the clock is off indeed: {old}");
        let now = fs::metadata(workspace.store().join("index.json")).unwrap().modified().unwrap();
        let shifted = match offset > 0 {
            true => now + Duration::from_secs(offset.unsigned_abs()),
            false => now - Duration::from_secs(offset.unsigned_abs()),
        };
        set_times(&workspace.root().join("src"), shifted);
        set_times(&workspace.store(), shifted);
        assert_eq!(build(), (expected.clone(), 4));
        forget(&workspace);
    }
}

fn set_times(directory: &Path, time: SystemTime) {
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        match entry.file_type().unwrap().is_dir() {
            true => set_times(&entry.path(), time),
            false => fs::File::open(entry.path()).unwrap().set_modified(time).unwrap(),
        }
    }
}
