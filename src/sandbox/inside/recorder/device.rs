//! `mknod` of devices: on disk an empty file, in the layer the device.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::super::super::kernel::{self, Answer};
use super::calls::Call;
use super::journal::{Journal, Known};
use super::tracee::Tracee;

/// Makes what stands for a device of this number.
pub(super) fn make(
    call: &Call,
    tracee: &Tracee,
    (directory, address): (i32, u64),
    mode: u32,
    number: u64,
    journal: &mut Journal,
) -> io::Result<Answer> {
    let path = tracee.text(address)?;
    let (parent, name) = tracee.place(directory, &path, false)?.ok_or(Errno::EXIST)?;
    let permissions = Mode::from_raw_mode(mode & 0o7777 & !tracee.umask()?);
    call.check()?;
    // To overlayfs, 0:0 says that a name is gone; it refuses to make one for root too.
    let is_whiteout = mode & libc::S_IFMT == libc::S_IFCHR && number == 0;
    if is_whiteout || !journal.is_of_step(&parent)? {
        return Ok(Answer::Error(libc::EPERM));
    }
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&parent, &name[..], flags, permissions)?;
    let device = Some((mode & libc::S_IFMT, libc::major(number), libc::minor(number)));
    // What is made in a directory with this bit has the directory's group.
    let above = kernel::stat(parent.as_fd())?.st_mode & libc::S_ISGID;
    let gid = if above != 0 { journal.of(&parent)?.unwrap_or_default().gid } else { 0 };
    journal.record(&file, Known { gid, device, ..Known::default() })?;
    Ok(Answer::Value(0))
}
