//! Directories by descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, openat};

use crate::path::ImagePath;

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The directories below a root. They are opened from the root's descriptor on, one component at a time and never
/// through a link, so nothing that another process does in there can lead out.
pub(super) struct Directories {
    root: OwnedFd,
    /// The one opened last, as neighbours are asked for together.
    last: Option<(ImagePath, OwnedFd)>,
}

impl Directories {
    pub fn new(root: &Path) -> io::Result<Self> {
        Ok(Directories { root: open(root, FLAGS, Mode::empty())?, last: None })
    }

    /// The descriptor of `directory`.
    pub fn get(&mut self, directory: &ImagePath) -> io::Result<BorrowedFd<'_>> {
        if directory.is_root() {
            return Ok(self.root.as_fd());
        }
        let (start, below) = match self.last.take() {
            Some((last, descriptor)) => match directory.strip_prefix(&last) {
                Some(below) => (Some(descriptor), below),
                None => (None, directory.clone()),
            },
            None => (None, directory.clone()),
        };
        let descriptor = self.walk(start, &below)?;
        Ok(self.last.insert((directory.clone(), descriptor)).1.as_fd())
    }

    /// A descriptor of `directory` that the caller keeps.
    pub fn open(&self, directory: &ImagePath) -> io::Result<OwnedFd> {
        self.walk(None, directory)
    }

    fn walk(&self, start: Option<OwnedFd>, below: &ImagePath) -> io::Result<OwnedFd> {
        let mut here = match start {
            Some(start) => start,
            None => self.root.try_clone()?,
        };
        for name in below.components() {
            here = openat(&here, name, FLAGS, Mode::empty())?;
        }
        Ok(here)
    }
}
