//! What the step left in the upper directory.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Dir, Mode, OFlags, ResolveFlags, openat2, readlinkat};
use rustix::io::Errno;

use crate::path::ImagePath;

use super::super::kernel;
use super::super::request::{Found, Message};
use super::recorder::{Journal, Known};
use super::{Channel, files};

/// Says that a directory hides what lies below it.
const OPAQUE: &str = "user.overlay.opaque";

/// Tells of every file of the upper directory, each directory before what is in it. Files and directories are then open to
/// their owner, so that the build can read them.
pub(super) fn send(journal: &Journal, channel: &mut Channel) -> io::Result<()> {
    // Not at once: a file may be met once more under another name.
    let mut closed = Vec::new();
    let by_name = journal.by_name();
    let mut waiting = vec![ImagePath::root()];
    // Of directories that give their group to what is made in them.
    let mut groups: BTreeMap<ImagePath, u32> = BTreeMap::new();
    while let Some(path) = waiting.pop() {
        let file = open(journal.upper(), &path)?;
        let inherited = path.parent().and_then(|parent| groups.get(&parent).copied());
        let inherited = inherited.map(|gid| Known { gid, fact: None, ..Known::default() });
        let known = journal.of_upper(&file)?.or_else(|| by_name.get(path.as_bytes()).copied()).or(inherited);
        let found = found(&file, path, known)?;
        if found.mode & libc::S_IFMT == libc::S_IFDIR {
            waiting.extend(children(journal.upper(), &found.path)?);
            if journal.is_needed() && found.mode & libc::S_ISGID != 0 {
                groups.insert(found.path.clone(), found.gid);
            }
        }
        if let Some(mode) = open_mode(&file)? {
            closed.push((found.path.clone(), mode));
        }
        channel.send(&Message::Found(Box::new(found)))?;
    }
    for (path, mode) in closed {
        files::take_back(&open(journal.upper(), &path)?, mode)?;
    }
    Ok(())
}

/// The mode with which root may read a file or directory and remove what is in it, unless it has that and belongs to root.
fn open_mode(file: &OwnedFd) -> io::Result<Option<u32>> {
    let stat = kernel::stat(file.as_fd())?;
    let needed = match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => 0o700,
        libc::S_IFREG => 0o400,
        _ => return Ok(None),
    };
    let is_open = stat.st_mode & needed == needed && (stat.st_uid, stat.st_gid) == (0, 0);
    Ok((!is_open).then_some(stat.st_mode & 0o7777 | needed))
}

fn children(upper: &OwnedFd, path: &ImagePath) -> io::Result<Vec<ImagePath>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat2(upper, name(path), flags, Mode::empty(), ResolveFlags::BENEATH)?;
    let mut children = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            children.push(path.child(name).map_err(|_| Errno::NAMETOOLONG)?);
        }
    }
    Ok(children)
}

fn found(file: &OwnedFd, path: ImagePath, known: Option<Known>) -> io::Result<Found> {
    let stat = kernel::stat(file.as_fd())?;
    let mut xattrs = BTreeMap::new();
    let mut opaque = false;
    let is_directory = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
    if is_directory || stat.st_mode & libc::S_IFMT == libc::S_IFREG {
        xattrs = attributes(&files::itself(file))?;
        opaque = xattrs.get(OPAQUE).is_some_and(|value| value == b"y");
        xattrs.retain(|name, _| is_kept(name));
    }
    let target = match stat.st_mode & libc::S_IFMT {
        libc::S_IFLNK => readlinkat(file, "", Vec::new())?.into_bytes(),
        _ => Vec::new(),
    };
    let Known { uid, gid, device, fact } =
        known.unwrap_or(Known { uid: stat.st_uid, gid: stat.st_gid, device: None, fact: None });
    let chowned = known.is_some_and(|known| known.fact.is_none());
    let (kind, major, minor) =
        device.unwrap_or((stat.st_mode & libc::S_IFMT, libc::major(stat.st_rdev), libc::minor(stat.st_rdev)));
    Ok(Found {
        path,
        mode: stat.st_mode & 0o7777 | kind,
        uid,
        gid,
        size: stat.st_size as u64,
        mtime: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        inode: stat.st_ino,
        links: stat.st_nlink as u32,
        device: (major, minor),
        target,
        xattrs,
        opaque,
        fact,
        chowned,
    })
}

/// What encoding v1 keeps, less what is overlayfs's own. [`OPAQUE`] is looked at before.
fn is_kept(name: &str) -> bool {
    name == "security.capability" || name.starts_with("user.") && !name.starts_with("user.overlay.")
}

fn attributes(path: &str) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut names = vec![0; 64 << 10];
    let len = match rustix::fs::listxattr(path, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        len => len?,
    };
    let mut attributes = BTreeMap::new();
    for name in names[..len].split(|&b| b == 0).filter_map(|name| std::str::from_utf8(name).ok()) {
        if is_kept(name) || name == OPAQUE {
            let mut value = vec![0; 64 << 10];
            let len = rustix::fs::getxattr(path, name, &mut value[..])?;
            value.truncate(len);
            attributes.insert(name.to_owned(), value);
        }
    }
    Ok(attributes)
}

fn open(upper: &OwnedFd, path: &ImagePath) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat2(upper, name(path), flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?)
}

fn name(path: &ImagePath) -> &[u8] {
    if path.is_root() { b"." } else { path.as_bytes() }
}
