//! What only the root of a user namespace can do with files: to give them to its users, and to remove what is theirs.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid, XattrFlags, chmod, chownat, openat2, setxattr};

use crate::scratch::remove_directory;

use super::super::error::Stage;
use super::super::request::{CAPABILITY, Owned};
use super::{Failure, In};

/// Gives files of the tree `tree` to their owners.
pub(super) fn give(tree: &Path, files: &[Owned]) -> Result<(), Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let tree = rustix::fs::open(tree, flags, Mode::empty()).during(Stage::Owners)?;
    files.iter().try_for_each(|owned| give_one(&tree, owned)).during(Stage::Owners)
}

fn give_one(tree: &OwnedFd, owned: &Owned) -> io::Result<()> {
    let Owned { path, uid, gid, mode, capability } = owned;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = openat2(tree, path.as_bytes(), flags, Mode::empty(), resolve)?;
    chownat(&file, "", Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid)), AtFlags::EMPTY_PATH)?;
    // The change of the owner has taken bits and capabilities away. A link has neither.
    let Some(mode) = mode else { return Ok(()) };
    set_mode(&file, *mode)?;
    if let Some(value) = capability {
        setxattr(itself(&file), CAPABILITY, value, XattrFlags::empty())?;
    }
    Ok(())
}

/// Removes a directory with all that is in it.
pub(super) fn remove(directory: &Path) -> Result<(), Failure> {
    remove_directory(directory);
    match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).during(Stage::Owners),
        Ok(_) => Err(io::Error::from_raw_os_error(libc::ENOTEMPTY)).during(Stage::Owners),
    }
}

/// Takes a file of the upper directory from whoever it belongs to and sets its mode, so that the build, which is root in
/// here, can read and remove it.
pub(super) fn take_back(file: &OwnedFd, mode: u32) -> io::Result<()> {
    chownat(file, "", Some(Uid::ROOT), Some(Gid::ROOT), AtFlags::EMPTY_PATH)?;
    set_mode(file, mode)
}

/// Sets the mode of a file that was opened to look at it. A link has none.
fn set_mode(file: &OwnedFd, mode: u32) -> io::Result<()> {
    Ok(chmod(itself(file), Mode::from_raw_mode(mode))?)
}

/// A path to an open file, whatever its name.
pub(super) fn itself(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
