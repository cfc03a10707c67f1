//! This program, executed once more on a mount through which nobody can change it.
//!
//! Until a step's program is executed, /proc/self/exe leads to this program, and an image may have a link there in the place of
//! its shell, and an interpreter of its own for programs (CVE-2019-5736). It then runs with a descriptor in reach by which root,
//! or whoever builds with a program of his own, may change the mode and the bytes of the file on the machine.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use super::super::HELPER;
use super::super::kernel;
use super::super::request::Request;

const PROGRAM: &str = "/proc/self/exe";

/// Executes this program in the namespaces that were entered, where it goes on with [`request`]. It comes back with an error.
pub(super) fn execute_again(request: &Request) -> io::Result<Infallible> {
    // One that was replaced since it was started has no name any more.
    let program = on_a_mount().or_else(|_| copy())?;
    // Its number is what the next program knows of it.
    let told = memfd_create("request", MemfdFlags::empty())?;
    serde_json::to_writer(File::from(told.try_clone()?), request)?;
    let path = CString::new(format!("/proc/self/fd/{}", program.as_raw_fd()))?;
    let arguments = ["ocify", HELPER, &told.as_raw_fd().to_string()].map(CString::new);
    Err(kernel::execute(&path, &arguments.into_iter().collect::<Result<Vec<_>, _>>()?, &[]))
}

/// The request that was handed over in the descriptor of this number.
pub(super) fn request(number: &OsStr) -> io::Result<Request> {
    Ok(serde_json::from_slice(&fs::read(Path::new("/proc/self/fd").join(number))?)?)
}

/// A mount of the program alone, which cannot be written, and is nowhere in the tree.
fn on_a_mount() -> io::Result<OwnedFd> {
    // It stays open: to let go of a mount that is nowhere takes milliseconds.
    let mount = open_tree(CWD, fs::read_link(PROGRAM)?, OpenTreeFlags::OPEN_TREE_CLONE)?;
    let (own, found) = (fs::metadata(PROGRAM)?, kernel::stat(mount.as_fd())?);
    if (own.dev(), own.ino()) != (found.st_dev, found.st_ino) {
        return Err(Errno::STALE.into());
    }
    let attributes =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    kernel::restrict_mount(&mount, attributes)?;
    Ok(mount)
}

/// A copy in memory, of which it does not matter what becomes.
fn copy() -> io::Result<OwnedFd> {
    let copy = memfd_create("ocify", MemfdFlags::CLOEXEC)?;
    io::copy(&mut File::open(PROGRAM)?, &mut File::from(copy.try_clone()?))?;
    Ok(copy)
}
