//! Owner, mode, times and extended attributes of what was created.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown, fsetxattr, futimens, utimensat,
};
use rustix::io::Errno;

use crate::entry::Metadata;
use crate::tree::extract::skipped::SkippedPart;

const CAPABILITY: &str = "security.capability";

/// What this process may set.
#[derive(Clone, Copy)]
pub(super) struct Rights {
    pub owners: bool,
    /// Setuid and setgid bits also on what does not get its owner.
    pub set_ids: bool,
}

impl Rights {
    /// Those of this process.
    pub fn of_process() -> Self {
        Rights { owners: rustix::process::geteuid().is_root(), set_ids: false }
    }
}

/// Sets what `metadata` says on an open file or directory; returns what could not be set. The mode comes after the
/// owner, whose change takes setuid bits and capabilities away.
pub(super) fn set(file: BorrowedFd<'_>, metadata: &Metadata, rights: Rights) -> io::Result<Vec<SkippedPart>> {
    let mut skipped = Vec::new();
    set_xattrs(file, metadata, is_plain, &mut skipped)?;
    let has_owner = rights.owners && is_done(owner(metadata, |uid, gid| fchown(file, uid, gid)))?;
    if rights.owners && !has_owner {
        skipped.push(SkippedPart::Owner);
    }
    let set_id = metadata.mode & 0o6000;
    let has_set_ids = has_owner || rights.set_ids;
    if set_id != 0 && !has_set_ids {
        skipped.push(SkippedPart::SetId);
    }
    let mode = if has_set_ids { metadata.mode } else { metadata.mode & !set_id };
    fchmod(file, Mode::from_raw_mode(mode & 0o7777))?;
    set_xattrs(file, metadata, |name| name == CAPABILITY, &mut skipped)?;
    let others = metadata.xattrs.keys().filter(|name| !is_plain(name) && *name != CAPABILITY);
    skipped.extend(others.map(|name| SkippedPart::Xattr(name.clone())));
    futimens(file, &times(metadata))?;
    Ok(skipped)
}

/// As [`set`], for the symbolic link `name`, which has neither a mode nor extended attributes.
pub(super) fn set_on_link(
    directory: BorrowedFd<'_>,
    name: &[u8],
    metadata: &Metadata,
    rights: Rights,
) -> io::Result<Vec<SkippedPart>> {
    let mut skipped: Vec<_> = metadata.xattrs.keys().map(|name| SkippedPart::Xattr(name.clone())).collect();
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    if rights.owners && !is_done(owner(metadata, |uid, gid| chownat(directory, name, uid, gid, flags)))? {
        skipped.push(SkippedPart::Owner);
    }
    utimensat(directory, name, &times(metadata), flags)?;
    Ok(skipped)
}

/// True for attributes that mean nothing to the kernel. Those of overlayfs do, to a mount with `userxattr`.
fn is_plain(name: &str) -> bool {
    name.starts_with("user.") && !name.starts_with("user.overlay.")
}

fn set_xattrs(
    file: BorrowedFd<'_>,
    metadata: &Metadata,
    wanted: impl Fn(&str) -> bool,
    skipped: &mut Vec<SkippedPart>,
) -> io::Result<()> {
    for (name, value) in metadata.xattrs.iter().filter(|(name, _)| wanted(name)) {
        if !is_done(fsetxattr(file, name.as_str(), value, XattrFlags::empty()))? {
            skipped.push(SkippedPart::Xattr(name.clone()));
        }
    }
    Ok(())
}

/// Calls `change` with the owner. The id 2^32-1 means "leave as it is" to the kernel, so nothing can have it.
fn owner(metadata: &Metadata, change: impl FnOnce(Option<Uid>, Option<Gid>) -> Result<(), Errno>) -> Result<(), Errno> {
    match (metadata.uid, metadata.gid) {
        (u32::MAX, _) | (_, u32::MAX) => Err(Errno::INVAL),
        (uid, gid) => change(Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))),
    }
}

/// False for what the kernel or the file system will not have, as in a user namespace or on a file system without
/// extended attributes; an error for everything else.
fn is_done(result: Result<(), Errno>) -> Result<bool, Errno> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::NOTSUP | Errno::RANGE | Errno::TOOBIG) => Ok(false),
        Err(error) => Err(error),
    }
}

fn times(metadata: &Metadata) -> Timestamps {
    let time = Timespec { tv_sec: metadata.mtime, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
