//! What the step sees beside the image, mounted in its root.
//!
//! A target is opened in the root as a process in there would find it, links and all, so that it leads nowhere else; and
//! what is found must lie in the image or in another of these mounts, not in what the sandbox mounts itself.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fchmod, mkdirat, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use crate::path::ImagePath;

use super::super::kernel;
use super::super::request::{Fact, Mount, WORK, What};
use super::super::tier::Tier;
use super::mounts::{attach, attach_to, filesystem};

/// Something that is mounted in the step's root.
pub(super) struct Mounted<'a> {
    /// The root of the mount.
    pub(super) root: OwnedFd,
    pub(super) owner: (u32, u32),
    /// What of it is not on disk.
    pub(super) facts: &'a [Fact],
}

const QUIET: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// Mounts all of them in `root`, each before what lies in it.
pub(super) fn mount_all<'a>(mounts: &'a [Mount], tier: Tier, root: &OwnedFd) -> io::Result<Vec<Mounted<'a>>> {
    let mut mounted: Vec<Mounted> = Vec::new();
    let mut files = Files { directory: None, tier };
    for (number, mount) in mounts.iter().enumerate() {
        let (made, is_directory, facts) = match &mount.what {
            What::Bind { source, is_directory, facts } => {
                let made = clone(CWD, source)?;
                // The build, which made it, could not give it to its owner.
                if tier == Tier::SubordinateIds && mount.owner != (0, 0) {
                    give(&made, mount.owner)?;
                }
                (made, *is_directory, facts.as_slice())
            }
            What::Memory { size } => (memory(*size)?, true, &[][..]),
            What::File { bytes, mode } => (files.make(number, bytes, *mode, mount.owner)?, false, &[][..]),
        };
        let place = target(root, &mount.target, is_directory, &mounted)?;
        attach_to(&made, &place)?;
        mounted.push(Mounted { root: made, owner: mount.owner, facts });
    }
    // Only now, as others may have needed a directory in them to be mounted on.
    for (mount, Mounted { root, .. }) in mounts.iter().zip(&mounted) {
        let read_only = if mount.writable { MountAttrFlags::empty() } else { MountAttrFlags::MOUNT_ATTR_RDONLY };
        kernel::restrict_mount(root, QUIET | read_only)?;
    }
    Ok(mounted)
}

/// A mount of a directory or file of the machine by itself, not mounted anywhere yet.
fn clone(directory: BorrowedFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    Ok(open_tree(directory, path, flags)?)
}

fn give(file: &impl AsFd, (uid, gid): (u32, u32)) -> io::Result<()> {
    Ok(chownat(file, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)?)
}

fn memory(size: Option<u64>) -> io::Result<OwnedFd> {
    let size = size.map(|size| size.to_string());
    let options = [("mode", "1777")].into_iter().chain(size.as_deref().map(|size| ("size", size)));
    filesystem("tmpfs", &options.collect::<Vec<_>>(), QUIET)
}

/// Files that are only in memory.
struct Files {
    directory: Option<OwnedFd>,
    tier: Tier,
}

impl Files {
    fn make(&mut self, number: usize, bytes: &[u8], mode: u32, owner: (u32, u32)) -> io::Result<OwnedFd> {
        if self.directory.is_none() {
            let made = filesystem("tmpfs", &[("mode", "0700")], QUIET | MountAttrFlags::MOUNT_ATTR_NOEXEC)?;
            // A part of a mount can be mounted once more only if it is somewhere. It is not where the step is.
            attach(&made, CWD, WORK)?;
            self.directory = Some(made);
        }
        let Some(directory) = &self.directory else { return Err(Errno::NOENT.into()) };
        let name = number.to_string();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(openat(directory, &name, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(bytes)?;
        if self.tier != Tier::SingleUser {
            give(&file.as_fd(), owner)?;
        }
        fchmod(&file, Mode::from_raw_mode(mode))?;
        clone(directory.as_fd(), Path::new(&name))
    }
}

/// Opens what is to be mounted on. What is missing in another mount is made there.
fn target(root: &OwnedFd, path: &ImagePath, is_directory: bool, mounted: &[Mounted]) -> io::Result<OwnedFd> {
    let found = match open_in(root, path) {
        Err(Errno::NOENT) => {
            for above in path.ancestors() {
                make_in(root, &above, true, mounted)?;
            }
            make_in(root, path, is_directory, mounted)?;
            open_in(root, path)?
        }
        found => found?,
    };
    let id = mount_id(found.as_fd())?;
    let is_root = kernel::stat(found.as_fd())?.st_ino == kernel::stat(root.as_fd())?.st_ino;
    let of_image = id == mount_id(root.as_fd())? && !is_root;
    if of_image || is_one_of(id, mounted)? { Ok(found) } else { Err(Errno::XDEV.into()) }
}

/// Makes a directory or file that is missing, in one of the mounts.
fn make_in(root: &OwnedFd, path: &ImagePath, is_directory: bool, mounted: &[Mounted]) -> io::Result<()> {
    match open_in(root, path) {
        Err(Errno::NOENT) => {}
        found => return Ok(found.map(drop)?),
    }
    let parent = path.parent().map_or_else(|| open_in(root, &ImagePath::root()), |parent| open_in(root, &parent))?;
    if !is_one_of(mount_id(parent.as_fd())?, mounted)? {
        return Err(Errno::NOENT.into());
    }
    let name = path.file_name().unwrap_or_default();
    if is_directory {
        return Ok(mkdirat(&parent, name, Mode::from_raw_mode(0o755))?);
    }
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)?)
}

fn is_one_of(id: u64, mounted: &[Mounted]) -> io::Result<bool> {
    for mount in mounted {
        if mount_id(mount.root.as_fd())? == id {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens a path as a process finds it whose root is `root`.
fn open_in(root: &OwnedFd, path: &ImagePath) -> Result<OwnedFd, Errno> {
    let path = if path.is_root() { b"." } else { path.as_bytes() };
    openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
}

/// In which mount a file is.
pub(super) fn mount_id(file: BorrowedFd) -> io::Result<u64> {
    Ok(kernel::statx(file, 0, libc::STATX_MNT_ID)?.stx_mnt_id)
}
