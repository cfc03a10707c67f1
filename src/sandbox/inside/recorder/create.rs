//! Files that are made by a process that changed its user, to whom they then belong.
//!
//! The kernel would make them for the one user that there is, and nobody would know. So they are made here, in the process's
//! place. All others make their files themselves.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, mkdirat, mknodat, openat, symlinkat};
use rustix::io::Errno;

use super::super::super::kernel::{self, Answer};
use super::calls::Call;
use super::journal::{Journal, Known};
use super::tracee::{Tracee, is_shortage};
use super::users::Identity;

/// The flag of a file without a name.
pub(in super::super) const NAMELESS: u64 = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64;

/// What is to be made.
pub(super) enum Make {
    /// Opened with these flags.
    File {
        flags: u64,
        mode: u32,
    },
    Directory {
        mode: u32,
    },
    /// Of the type in `mode`: a file, FIFO or socket.
    Node {
        mode: u32,
    },
    /// With the text at this address.
    Symlink {
        target: u64,
    },
}

/// Makes it for `maker`, unless the name is there: the kernel says what follows from that, and all that goes wrong before.
pub(super) fn make(
    call: &Call,
    tracee: &Tracee,
    (directory, address): (i32, u64),
    make: &Make,
    maker: &Identity,
    journal: &mut Journal,
) -> io::Result<Answer> {
    if matches!(make, Make::File { flags, .. } if flags & NAMELESS != 0) {
        // As file systems say that have none; it would get its name without being asked about.
        return Ok(Answer::Error(libc::EOPNOTSUPP));
    }
    let place = tracee.text(address).and_then(|path| tracee.place(directory, make.named(&path), make.follows()));
    let (parent, name) = match place {
        Err(error) if is_shortage(&error) => return Err(error),
        Ok(Some(place)) => place,
        _ => return Ok(Answer::Continue),
    };
    if !journal.is_of_step(&parent)? {
        return Ok(Answer::Continue);
    }
    let (stat, owner) = (kernel::stat(parent.as_fd())?, journal.of(&parent)?.unwrap_or_default());
    if !maker.may_write((owner.uid, owner.gid), stat.st_mode) {
        return Ok(Answer::Error(libc::EACCES));
    }
    let gid = if stat.st_mode & libc::S_ISGID != 0 { owner.gid } else { maker.file_group() };
    let known = Known { uid: maker.file_user(), gid, device: None, fact: None };
    let umask = tracee.umask()?;
    let target = match make {
        Make::Symlink { target } => tracee.text(*target)?,
        _ => Vec::new(),
    };
    call.check()?;
    let permissions = |mode: u32| Mode::from_raw_mode(mode & 0o7777 & !umask);
    match *make {
        Make::File { flags, mode } => {
            let wanted = OFlags::from_bits_retain(flags as u32) | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = match openat(&parent, &name[..], wanted, permissions(mode)) {
                // Another process was faster.
                Err(Errno::EXIST) if flags & libc::O_EXCL as u64 == 0 => return Ok(Answer::Continue),
                file => file?,
            };
            journal.record(&file, known)?;
            let is_closed = flags & libc::O_CLOEXEC as u64 != 0;
            return call.give_descriptor(&file, is_closed);
        }
        Make::Directory { mode } => mkdirat(&parent, &name[..], permissions(mode))?,
        Make::Node { mode } => mknodat(&parent, &name[..], FileType::from_raw_mode(mode), permissions(mode), 0)?,
        Make::Symlink { .. } => symlinkat(&target[..], &parent, &name[..])?,
    }
    journal.record(&made(&parent, &name)?, known)?;
    Ok(Answer::Value(0))
}

impl Make {
    /// The path without what the kernel leaves out of it.
    fn named<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        let end = path.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1);
        if matches!(self, Make::Directory { .. }) { &path[..end] } else { path }
    }

    /// True if it is made where a link leads.
    fn follows(&self) -> bool {
        matches!(self, Make::File { flags, .. } if flags & (libc::O_EXCL | libc::O_NOFOLLOW) as u64 == 0)
    }
}

fn made(parent: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}
