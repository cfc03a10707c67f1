//! Digests of files are remembered between builds, and a file that was replaced is never taken for unchanged. Each story
//! replaces a file by other bytes of the same size in a way that hides it.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use ocify::path::WorkspacePath;
use ocify::source::{self, StatCache};
use ocify::store::Store;

use crate::workspace::{Run, Workspace};

const OLD: &str = "old bytes";
const NEW: &str = "new bytes";

/// A workspace with one file in one image.
fn workspace() -> Workspace {
    Workspace::new().file("BUILD.star", "image(name = 'x', layers = [files(srcs = ['f'])])").file("f", OLD)
}

fn mtime(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// With `utimensat`, as `touch -d`, `tar` and `rsync` do.
fn set_mtime(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

/// The files below the store's `stat/`.
fn cache_files(store: &Path) -> Vec<PathBuf> {
    fs::read_dir(store.join("stat")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Until what was just written is no longer young: the next build remembers it then, where one at once would only hold its
/// bytes. Longer does no harm.
fn let_be() {
    std::thread::sleep(Duration::from_millis(60));
}

/// Builds, lets `replace` put [`NEW`] where [`OLD`] was, and builds again; the image must have the new bytes, and those
/// of a build that never saw the old ones.
#[track_caller]
fn replaced_by(replace: impl Fn(&Path)) {
    let clean = workspace().file("f", NEW).build("//:x");
    let workspace = workspace();
    let path = workspace.path("f");
    let old_time = mtime(&path);
    for round in 0..4 {
        fs::write(&path, OLD).unwrap();
        set_mtime(&path, old_time);
        if round > 0 {
            let_be();
        }
        assert_ne!(workspace.build("//:x"), clean);
        if round > 0 {
            assert_eq!(cache_files(&workspace.store()).len(), 1, "it is remembered");
        }
        replace(&path);
        assert_eq!(fs::read_to_string(&path).unwrap(), NEW);
        assert_eq!(workspace.build("//:x"), clean, "round {round}");
        assert_eq!(workspace.build("//:x"), clean, "round {round}, again");
        // Where the file is a link by now, only this name of it shall be written.
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn moby_buildkit_2592_same_size_and_mtime() {
    replaced_by(|path| {
        let time = mtime(path);
        fs::write(path, NEW).unwrap();
        set_mtime(path, time);
        assert_eq!(mtime(path), time);
    });
}

#[test]
fn a_rename_over_the_file() {
    replaced_by(|path| {
        let other = path.with_file_name("other");
        fs::write(&other, NEW).unwrap();
        set_mtime(&other, mtime(path));
        fs::rename(&other, path).unwrap();
    });
}

#[test]
fn a_hard_link_to_another_file() {
    replaced_by(|path| {
        let other = path.with_file_name("other");
        fs::write(&other, NEW).unwrap();
        set_mtime(&other, mtime(path));
        fs::remove_file(path).unwrap();
        fs::hard_link(&other, path).unwrap();
        fs::remove_file(&other).unwrap();
    });
}

#[test]
fn another_file_with_the_same_inode() {
    replaced_by(|path| {
        let (time, inode) = (mtime(path), fs::metadata(path).unwrap().ino());
        // ext4 gives the inode out again at once; elsewhere, as on tmpfs, this is a plain replacement.
        for _ in 0..50 {
            fs::remove_file(path).unwrap();
            fs::write(path, NEW).unwrap();
            if fs::metadata(path).unwrap().ino() == inode {
                break;
            }
        }
        set_mtime(path, time);
    });
}

#[test]
fn a_time_to_come() {
    let future = mtime(&workspace().path("f")) + Duration::from_secs(10 * 365 * 86_400);
    replaced_by(|path| {
        set_mtime(path, future);
        fs::write(path, NEW).unwrap();
        set_mtime(path, future);
    });
    let workspace = workspace();
    set_mtime(&workspace.path("f"), future);
    workspace.build("//:x");
    assert!(cache_files(&workspace.store()).is_empty(), "a time to come is not remembered");
}

#[test]
fn an_archive_is_looked_at_too() {
    let tar = |text: &str| {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "f", text.as_bytes()).unwrap();
        tar.into_inner().unwrap()
    };
    let workspace = Workspace::new()
        .file("BUILD.star", "image(name = 'x', layers = [archive(src = 'a.tar')])")
        .file("a.tar", tar(OLD));
    assert_eq!(workspace.tree("//:x"), [format!("f 0644 0:0 {OLD}")], "young");
    let_be();
    assert_eq!(workspace.tree("//:x"), [format!("f 0644 0:0 {OLD}")]);
    let path = workspace.path("a.tar");
    let time = mtime(&path);
    workspace.write("a.tar", tar(NEW));
    set_mtime(&path, time);
    assert_eq!(workspace.tree("//:x"), [format!("f 0644 0:0 {NEW}")]);
}

#[test]
fn it_is_written_when_there_is_something_new() {
    let workspace = workspace();
    let_be();
    workspace.build("//:x");
    let [file] = cache_files(&workspace.store()).try_into().unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let before = fs::metadata(&file).unwrap();
    workspace.build("//:x");
    let after = fs::metadata(&file).unwrap();
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()), "nothing changed");
    workspace.write("f", NEW);
    let_be();
    workspace.build("//:x");
    assert_ne!(fs::metadata(&file).unwrap().ino(), after.ino());
}

#[test]
fn a_damaged_one_is_replaced() {
    let workspace = workspace();
    let_be();
    let digest = workspace.build("//:x");
    let [file] = cache_files(&workspace.store()).try_into().unwrap();
    let good = fs::read(&file).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    for bad in [&b""[..], b"ocify", &good[..good.len() - 1], &flipped] {
        fs::write(&file, bad).unwrap();
        assert_eq!(workspace.build("//:x"), digest);
        assert_eq!(fs::read(&file).unwrap(), good);
    }
}

#[test]
fn one_that_cannot_be_read_or_written_is_no_error() {
    let workspace = workspace();
    let_be();
    let digest = workspace.build("//:x");
    let [file] = cache_files(&workspace.store()).try_into().unwrap();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let Run { code, stderr, .. } = workspace.run(&["build", "//:x", "--quiet"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    fs::remove_dir(&file).unwrap();
    fs::remove_dir(workspace.store().join("stat")).unwrap();
    assert_eq!(workspace.build("//:x"), digest);
    assert!(file.is_file());
}

#[test]
fn a_read_only_store_is_left_as_it_is() {
    let workspace = workspace();
    let_be();
    let store = Store::open(workspace.store()).unwrap();
    let source = source::Workspace::at(workspace.root()).unwrap();
    let digests = StatCache::open(&store, &source);
    source.hash_all(&source.collect(&WorkspacePath::root()).unwrap(), &digests).unwrap();
    fs::set_permissions(workspace.root().parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    for name in ["ingest", "stat", ""] {
        fs::set_permissions(store.root().join(name), Permissions::from_mode(0o555)).unwrap();
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65_534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            digests.save();
        });
    });
    assert!(cache_files(store.root()).is_empty());
    for name in ["", "stat", "ingest"] {
        fs::set_permissions(store.root().join(name), Permissions::from_mode(0o755)).unwrap();
    }
    digests.save();
    assert_eq!(cache_files(store.root()).len(), 1);
}

/// The store's clock need not be that of the workspace's file system.
#[test]
fn a_store_on_another_file_system() {
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let workspace = workspace();
    let store = elsewhere.path().join("store");
    let build = || {
        let output = workspace.command(&["build", "//:x"]).env("OCIFY_STORE", &store).output().unwrap();
        crate::workspace::digest(&String::from_utf8(output.stdout).unwrap())
    };
    let old = build();
    assert_eq!(cache_files(&store).len(), 1);
    let time = mtime(&workspace.path("f"));
    for (text, digest) in [(NEW, Some(workspace_with(NEW))), (OLD, Some(old)), (NEW, None)] {
        workspace.write("f", text);
        set_mtime(&workspace.path("f"), time);
        let built = build();
        assert!(digest.is_none_or(|digest| digest == built));
        assert_eq!(build(), built);
    }
}

fn workspace_with(text: &str) -> String {
    workspace().file("f", text).build("//:x")
}

#[test]
fn two_builds_at_once_disturb_nobody() {
    let workspace = workspace();
    for round in 0..3 {
        workspace.write("f", format!("bytes {round}"));
        let children: Vec<_> = (0..4)
            .map(|_| workspace.command(&["build", "//:x", "--quiet"]).stdout(Stdio::piped()).spawn().unwrap())
            .collect();
        let built: Vec<String> =
            children.into_iter().map(|child| Run::from(child.wait_with_output().unwrap()).stdout).collect();
        assert!(built.iter().all(|line| *line == built[0]), "{built:?}");
        let_be();
        assert_eq!(workspace.ok(&["build", "//:x"]), built[0]);
    }
    assert_eq!(cache_files(&workspace.store()).len(), 1);
}
