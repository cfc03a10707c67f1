//! This program's own file, on a mount through which nobody can change it.
//!
//! Until a step's program is executed, /proc/self/exe leads to this program, and an image may have a link there in the place of
//! its shell, and an interpreter of its own for programs (CVE-2019-5736). It then runs with a descriptor in reach by which root,
//! or whoever builds with a program of his own, may change the mode and the bytes of the file on the machine.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{CWD, StatVfsMountFlags, statvfs};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use super::kernel;

/// Leads to the file of this program.
pub(super) const PROGRAM: &str = "/proc/self/exe";

/// What the helper is executed from. Only root can make the mount outside of the namespaces of a step; other helpers execute
/// themselves once more when they are in theirs.
pub(super) fn to_start() -> PathBuf {
    static MOUNT: OnceLock<Option<OwnedFd>> = OnceLock::new();
    let mount = MOUNT.get_or_init(|| on_a_mount(true).ok());
    mount.as_ref().map_or(PROGRAM.into(), |mount| format!("/proc/self/fd/{}", mount.as_raw_fd()).into())
}

/// True if this process was executed from such a mount.
pub(super) fn is_out_of_reach() -> bool {
    statvfs(PROGRAM).is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// A mount of the program alone, which cannot be written, and is nowhere in the tree. It stays open: to let go of a mount that
/// is nowhere takes milliseconds.
pub(super) fn on_a_mount(close_on_exec: bool) -> io::Result<OwnedFd> {
    let mount = protected(&fs::read_link(PROGRAM)?, close_on_exec)?;
    // One that was replaced since it was started has no name any more.
    let (own, found) = (fs::metadata(PROGRAM)?, kernel::stat(mount.as_fd())?);
    if (own.dev(), own.ino()) != (found.st_dev, found.st_ino) {
        return Err(Errno::STALE.into());
    }
    Ok(mount)
}

/// Such a mount of any file.
pub(super) fn protected(path: &Path, close_on_exec: bool) -> io::Result<OwnedFd> {
    let close = if close_on_exec { OpenTreeFlags::OPEN_TREE_CLOEXEC } else { OpenTreeFlags::empty() };
    let mount = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | close)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    kernel::restrict_mount(&mount, attributes)?;
    Ok(mount)
}
