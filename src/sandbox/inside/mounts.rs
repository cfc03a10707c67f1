//! The step's root: an overlay over the image below, with a minimal /dev, /proc and /sys.
//!
//! Everything is mounted on descriptors that are opened in the image without following a link, so no name in the image can
//! lead a mount elsewhere.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_bind, mount_change,
    mount_remount, move_mount, open_tree, unmount,
};
use rustix::process::pivot_root;

use super::super::error::Stage;
use super::super::kernel;
use super::super::request::{Request, STUBS, UPPER, WORK};
use super::bind::{self, Mounted};
use super::{Failure, In, rights};

/// Devices of the host that every program may use.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

/// Links in /dev.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];

/// What of /proc says things about the machine that nobody needs: covered by an empty file.
const COVERED: [&str; 6] = ["kcore", "keys", "kmsg", "latency_stats", "sched_debug", "timer_list"];

const QUIET: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Makes the step's root the root of this process, in whose working directory the parts of it are; returns its upper directory. `cpus` is
/// how many processors /sys shows. Also returns what was mounted of what the step asks for.
pub(super) fn change_root(request: &Request) -> Result<(OwnedFd, Vec<Mounted<'_>>), Failure> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).during(Stage::Root)?;
    let upper = open_beneath(CWD, UPPER, OFlags::DIRECTORY).during(Stage::Overlay)?;
    let root = overlay(request.directories).during(Stage::Overlay)?;
    mount_devices(&root).during(Stage::Devices)?;
    let proc = filesystem("proc", &[], QUIET | MountAttrFlags::MOUNT_ATTR_NODEV).during(Stage::Proc)?;
    attach(&proc, &root, "proc").during(Stage::Proc)?;
    mount_sys(&root, request.cpus.len()).during(Stage::Sys)?;
    let mounted = bind::mount_all(&request.mounts, request.tier, &root).during(Stage::Mounts)?;
    rustix::process::fchdir(&root).during(Stage::Root)?;
    // The old root comes to lie on the new one, and goes.
    pivot_root(".", ".").during(Stage::Root)?;
    unmount(".", UnmountFlags::DETACH).during(Stage::Root)?;
    rustix::process::chdir("/").during(Stage::Root)?;
    // Before it can no longer be written.
    rights::limit_processes().during(Stage::Limits)?;
    protect_proc().during(Stage::Proc)?;
    Ok((upper, mounted))
}

/// The image below lies in so many directories.
fn overlay(directories: usize) -> io::Result<OwnedFd> {
    // Attributes of overlayfs in `user.*`, as it is the only form that a user namespace may write; as root the same, so
    // that both do the same. No index: it needs file handles that a user namespace cannot resolve.
    let layers: String = (0..directories).rev().map(|number| format!("{number}:")).chain([STUBS.to_owned()]).collect();
    let options =
        [("lowerdir", layers.as_str()), ("upperdir", UPPER), ("workdir", WORK), ("index", "off"), ("xino", "off")];
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(&context, key, value)?;
    }
    fsconfig_set_flag(&context, "userxattr")?;
    // What a step flushes to the disk is read back right away, or thrown away. Package managers flush every file.
    fsconfig_set_flag(&context, "volatile")?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    // The old root needs no other way to what it covers there.
    attach(&root, CWD, UPPER)?;
    Ok(root)
}

/// An empty /dev with the harmless devices of the host, terminals of its own, and shared memory. What root makes in there
/// opens nothing; and the devices are those of the host, so that nobody may change their modes and owners, which a read-only
/// mount forbids, while what is written to it reaches a device all the same.
fn mount_devices(root: &OwnedFd) -> io::Result<()> {
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let no_devices = quiet | MountAttrFlags::MOUNT_ATTR_NODEV;
    let dev = filesystem("tmpfs", &[("mode", "0755"), ("size", "64k")], no_devices)?;
    attach(&dev, root, "dev")?;
    for name in DEVICES {
        let host =
            open_tree(CWD, format!("/dev/{name}"), OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC);
        let host = match host {
            Err(Errno::NOENT) => continue,
            host => host?,
        };
        openat(&dev, name, OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::empty())?;
        attach_file(&host, &dev, name)?;
        kernel::restrict_mount(&host, quiet | MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name)?;
    }
    mkdirat(&dev, "pts", Mode::from_raw_mode(0o755))?;
    mkdirat(&dev, "shm", Mode::from_raw_mode(0o755))?;
    let terminals = filesystem("devpts", &[("mode", "0620"), ("ptmxmode", "0666")], quiet)?;
    attach(&terminals, &dev, "pts")?;
    let memory = filesystem("tmpfs", &[("mode", "1777")], no_devices)?;
    attach(&memory, &dev, "shm")
}

/// A /sys with nothing but the number of processors, which the C library and others read there. Without it they look at
/// /proc/stat, which shows those of the machine.
fn mount_sys(root: &OwnedFd, cpus: usize) -> io::Result<()> {
    let nothing = QUIET | MountAttrFlags::MOUNT_ATTR_NODEV;
    let sys = filesystem("tmpfs", &[("mode", "0755"), ("size", "64k")], nothing)?;
    let path = ["devices", "devices/system", "devices/system/cpu"];
    for directory in path {
        mkdirat(&sys, directory, Mode::from_raw_mode(0o755))?;
    }
    let range = if cpus > 1 { format!("0-{}\n", cpus - 1) } else { "0\n".to_owned() };
    for name in ["online", "possible", "present"] {
        let name = format!("devices/system/cpu/{name}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        File::from(openat(&sys, name, flags, Mode::from_raw_mode(0o444))?).write_all(range.as_bytes())?;
    }
    attach(&sys, root, "sys")
}

/// Works on the new root's own /proc, in which no name is a step's. What is no process's is the machine's, whoever mounts it:
/// what is written to it acts on the machine, and a change of its mode shows in every other /proc. So it is read-only.
fn protect_proc() -> io::Result<()> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_symlink() || name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let is_covered = COVERED.iter().any(|covered| name == **covered);
        let source = if is_covered { "/dev/null".into() } else { entry.path() };
        mount_bind(source, entry.path())?;
    }
    // Two calls in place of one for each of some fifty entries.
    let proc = openat(CWD, "/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    kernel::restrict_mounts(&proc, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    kernel::free_mount(&proc, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount_remount("/sys", flags, c"")?)
}

/// A new instance of a file system, not mounted anywhere yet.
pub(super) fn filesystem(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(&context, *key, *value)?;
    }
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Mounts on a directory, which is no link.
pub(super) fn attach(mount: &OwnedFd, directory: impl AsFd, name: &str) -> io::Result<()> {
    attach_to(mount, &open_beneath(directory.as_fd(), name, OFlags::DIRECTORY)?)
}

/// Mounts on a file, which is no link.
fn attach_file(mount: &OwnedFd, directory: &OwnedFd, name: &str) -> io::Result<()> {
    attach_to(mount, &open_beneath(directory.as_fd(), name, OFlags::empty())?)
}

pub(super) fn attach_to(mount: &OwnedFd, place: &OwnedFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", place, "", flags)?)
}

fn open_beneath(directory: BorrowedFd, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(openat2(directory, name, flags, Mode::empty(), resolve)?)
}
