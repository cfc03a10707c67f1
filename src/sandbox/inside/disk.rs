//! The file system on which a step writes, which others use too.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::fstatvfs;

use super::recorder::Journal;

/// How often it is looked at.
pub(super) const DISK_INTERVAL: Duration = Duration::from_secs(1);

/// So many bytes are left to others, or half of what was free when the step began if that is less.
const LEFT: u64 = 256 << 20;

/// The file system of the upper directory.
pub(super) struct Disk {
    upper: OwnedFd,
    left: u64,
}

impl Disk {
    pub(super) fn new(journal: &Journal) -> io::Result<Disk> {
        let upper = journal.upper().try_clone()?;
        let left = LEFT.min(free(&upper)? / 2);
        Ok(Disk { upper, left })
    }

    /// True if the step has to end before nobody can write any more.
    pub(super) fn is_almost_full(&self) -> bool {
        free(&self.upper).is_ok_and(|free| free < self.left)
    }
}

fn free(upper: &OwnedFd) -> io::Result<u64> {
    let system = fstatvfs(upper)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}
