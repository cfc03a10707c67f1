//! Files that are made by a process that changed its user, to whom they then belong.
//!
//! The kernel would make them for the one user that there is, and nobody would know. So they are made here, in the process's
//! place. All others make their files themselves.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, chmodat, mkdirat, mknodat, openat, statat, symlinkat};
use rustix::io::Errno;

use super::super::super::kernel::{self, Answer};
use super::calls::Call;
use super::journal::{Journal, Known};
use super::tracee::Tracee;
use super::users::Identity;

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
    let Ok((parent, name)) = tracee.open_parent(directory, address) else { return Ok(Answer::Continue) };
    let is_there = !matches!(statat(&parent, &name[..], AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT));
    if is_there || !journal.is_of_step(&parent)? {
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
            let file = openat(&parent, &name[..], wanted, permissions(mode))?;
            journal.record(&file, known)?;
            let is_closed = flags & libc::O_CLOEXEC as u64 != 0;
            return call.give_descriptor(&file, is_closed);
        }
        Make::Directory { mode } => mkdirat(&parent, &name[..], permissions(mode))?,
        Make::Node { mode } => {
            mknodat(&parent, &name[..], rustix::fs::FileType::from_raw_mode(mode), permissions(mode), 0)?;
        }
        Make::Symlink { .. } => symlinkat(&target[..], &parent, &name[..])?,
    }
    if let Make::Directory { mode } | Make::Node { mode } = *make {
        // This process has a umask too; a directory keeps the bit that it inherits.
        let inherited = if matches!(make, Make::Directory { .. }) { stat.st_mode & libc::S_ISGID } else { 0 };
        chmodat(&parent, &name[..], permissions(mode) | Mode::from_raw_mode(inherited), AtFlags::empty())?;
    }
    journal.record(&made(&parent, &name)?, known)?;
    Ok(Answer::Value(0))
}

fn made(parent: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}
