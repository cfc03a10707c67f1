//! `chown` and its like.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Uid, chownat};

use super::super::super::kernel::{self, Answer};
use super::calls::{Call, Which};
use super::journal::Journal;
use super::tracee::Tracee;
use super::users::Users;

/// In place of a number: stays as it is.
const UNCHANGED: u32 = u32::MAX;

/// Changes the owner of a file to `uid` and `gid`.
pub(super) fn change(
    call: &Call,
    tracee: &Tracee,
    which: &Which,
    (uid, gid): (u32, u32),
    journal: &mut Journal,
    users: &Users,
) -> io::Result<Answer> {
    let file = tracee.open(which)?;
    call.check()?;
    if !journal.is_of_step(&file)? {
        return Ok(Answer::Continue);
    }
    let mut known = journal.of(&file)?.unwrap_or_default();
    let changed = |number: u32| Some(number).filter(|number| *number != UNCHANGED);
    if users.maker(tracee)?.is_some_and(|it| !it.may_give(known.uid, changed(uid), changed(gid))) {
        return Ok(Answer::Error(libc::EPERM));
    }
    // To its owner on disk: so overlayfs copies it up, and the kernel takes setuid bits and capabilities away as it
    // does for every change.
    touch(&file)?;
    known.fact = None;
    known.uid = changed(uid).unwrap_or(known.uid);
    known.gid = changed(gid).unwrap_or(known.gid);
    journal.record(&file, known)?;
    Ok(Answer::Value(0))
}

/// Gives a file to the user to whom it belongs already.
fn touch(file: &OwnedFd) -> io::Result<()> {
    let stat = kernel::stat(file.as_fd())?;
    Ok(chownat(file, "", Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)), AtFlags::EMPTY_PATH)?)
}
