//! The way of a path, as the process goes it: from its own root and working directory, and with itself at `/proc/self`.
//!
//! To this process, the kernel would show its own descriptors there, through which the machine's files are in reach.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstatfs, openat, openat2, readlink, readlinkat};
use rustix::io::Errno;

use super::super::super::kernel;
use super::super::bind::mount_id;
use super::super::files::itself;
use super::tracee::Tracee;

/// As many links the kernel follows in a path.
const MOST_LINKS: usize = 40;

const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// What stands at the end of a path.
pub(super) enum Last {
    There(OwnedFd),
    /// Nothing, in a directory that is there.
    Missing {
        parent: OwnedFd,
        name: Vec<u8>,
    },
}

/// Goes the way of a path of the process, relative to one of its descriptors. With `follow`, a link at its end is followed.
pub(super) fn walk(tracee: &Tracee, directory: i32, path: &[u8], follow: bool) -> io::Result<Last> {
    let root = tracee.of_proc("root")?;
    let mut at = match path.starts_with(b"/") {
        true => root.try_clone()?,
        false => tracee.descriptor(directory)?,
    };
    let mut names: VecDeque<Vec<u8>> = names(path).collect();
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        if name == b".." && is_same(&at, &root)? {
            continue;
        }
        let next = match openat(&at, &name[..], LOOK | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::NOENT) if names.is_empty() => return Ok(Last::Missing { parent: at, name }),
            next => next?,
        };
        if !is_link(&next)? || (names.is_empty() && !follow) {
            at = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        match follow_link(tracee, &at, &name, &next)? {
            Link::To(file) => at = file,
            Link::Text(text) => {
                if text.starts_with(b"/") {
                    at = root.try_clone()?;
                }
                self::names(&text).rev().for_each(|name| names.push_front(name));
            }
        }
    }
    Ok(Last::There(at))
}

/// The names in a path, with a dot for what must be a directory.
fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    let dot = path.ends_with(b"/").then(|| b".".to_vec());
    let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec);
    names.collect::<Vec<_>>().into_iter().chain(dot)
}

enum Link {
    /// A link of /proc that has no text.
    To(OwnedFd),
    Text(Vec<u8>),
}

/// Where the link `file` leads, whose name is `name` in `directory`.
fn follow_link(tracee: &Tracee, directory: &OwnedFd, name: &[u8], file: &OwnedFd) -> io::Result<Link> {
    if fstatfs(directory)?.f_type != PROC_SUPER_MAGIC {
        return Ok(Link::Text(readlinkat(file, "", Vec::new())?.into_bytes()));
    }
    if matches!(name, b"self" | b"thread-self") {
        return Ok(Link::Text(tracee.pid().to_string().into_bytes()));
    }
    match openat2(directory, name, LOOK, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Err(Errno::LOOP) => {}
        _ => return Ok(Link::Text(readlinkat(file, "", Vec::new())?.into_bytes())),
    }
    // What this process has, no other may look at.
    let own = readlink(itself(directory), Vec::new())?;
    if own.as_bytes().starts_with(b"/proc/1/") {
        return Err(Errno::ACCESS.into());
    }
    Ok(Link::To(openat(directory, name, LOOK, Mode::empty())?))
}

fn is_link(file: &OwnedFd) -> io::Result<bool> {
    Ok(kernel::stat(file.as_fd())?.st_mode & libc::S_IFMT == libc::S_IFLNK)
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let of = |file: &OwnedFd| -> io::Result<_> { Ok((kernel::stat(file.as_fd())?.st_ino, mount_id(file.as_fd())?)) };
    Ok(of(one)? == of(other)?)
}
