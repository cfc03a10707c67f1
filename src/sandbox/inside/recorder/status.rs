//! `stat` and its like.

use std::io;
use std::os::fd::AsFd;

use super::super::super::kernel::{self, Answer};
use super::calls::{Call, Which, give};
use super::journal::Journal;
use super::tracee::{Tracee, is_shortage};

/// What the process wants to have, and where.
pub(super) enum Reply {
    Stat { address: u64 },
    Statx { address: u64, flags: i32, mask: u32 },
}

/// Answers with what is on record; the kernel answers where nothing is, and where there is an error that it would find too.
pub(super) fn answer(
    call: &Call,
    tracee: &Tracee,
    which: &Which,
    reply: &Reply,
    journal: &Journal,
) -> io::Result<Answer> {
    let file = match tracee.open(which) {
        Err(error) if is_shortage(&error) => return Err(error),
        Err(_) => return Ok(Answer::Continue),
        Ok(file) => file,
    };
    call.check()?;
    let Some(known) = journal.of(&file)? else { return Ok(Answer::Continue) };
    match *reply {
        Reply::Stat { address } => {
            let mut stat = kernel::stat(file.as_fd())?;
            (stat.st_uid, stat.st_gid) = (known.uid, known.gid);
            if let Some((kind, major, minor)) = known.device {
                stat.st_mode = stat.st_mode & !libc::S_IFMT | kind;
                stat.st_rdev = libc::makedev(major, minor);
            }
            give(tracee, address, kernel::bytes_of(&stat))
        }
        Reply::Statx { address, flags, mask } => {
            let mut stat = kernel::statx(file.as_fd(), flags, mask)?;
            (stat.stx_uid, stat.stx_gid) = (known.uid, known.gid);
            if let Some((kind, major, minor)) = known.device {
                stat.stx_mode = stat.stx_mode & !(libc::S_IFMT as u16) | kind as u16;
                (stat.stx_rdev_major, stat.stx_rdev_minor) = (major, minor);
            }
            give(tracee, address, kernel::bytes_of(&stat))
        }
    }
}
