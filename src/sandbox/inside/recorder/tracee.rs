//! A process that waits for an answer: its memory, and the files that it names.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat, openat2, readlink};

use super::super::super::kernel;
use super::calls::Which;

/// The kernel's limits for a path and for a page, which a text may not cross into one that is not there.
const MAX_PATH: usize = 4096;
const PAGE: u64 = 4096;

pub(super) struct Tracee {
    /// The number of its thread.
    pid: u32,
}

impl Tracee {
    pub(super) fn new(pid: u32) -> Self {
        Tracee { pid }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Opens a file that the process names, to look at it.
    pub(super) fn open(&self, which: &Which) -> io::Result<OwnedFd> {
        match *which {
            Which::Descriptor(number) => self.descriptor(number),
            Which::Path { directory, address, follow, may_be_empty } => {
                // Without a path is as with an empty one, since Linux 6.11.
                let path = if address == 0 && may_be_empty { Vec::new() } else { self.text(address)? };
                match path.is_empty() {
                    true if may_be_empty => self.descriptor(directory),
                    true => Err(io::Error::from_raw_os_error(libc::ENOENT)),
                    false => self.open_path(directory, &path, follow),
                }
            }
        }
    }

    /// The directory in which a path's last name stands, and that name.
    pub(super) fn open_parent(&self, directory: i32, address: u64) -> io::Result<(OwnedFd, Vec<u8>)> {
        let path = self.text(address)?;
        let end = path.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1);
        let start = path[..end].iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
        let (parent, name) = (&path[..start], &path[start..end]);
        if matches!(name, b"" | b"." | b"..") {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let parent = if parent.is_empty() { b"." } else { parent };
        Ok((self.open_path(directory, parent, true)?, name.to_vec()))
    }

    /// The process's umask.
    pub(super) fn umask(&self) -> io::Result<u32> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        Ok(umask.and_then(|umask| u32::from_str_radix(umask.trim(), 8).ok()).unwrap_or(0o022))
    }

    /// A text that ends with NUL.
    pub(super) fn text(&self, address: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        while text.len() < MAX_PATH {
            let at = address.wrapping_add(text.len() as u64);
            let mut piece = [0; PAGE as usize];
            let piece = &mut piece[..(PAGE - at % PAGE) as usize];
            let read = kernel::read_memory(self.pid, at, piece)?;
            if let Some(end) = piece[..read].iter().position(|&b| b == 0) {
                text.extend_from_slice(&piece[..end]);
                return if text.len() < MAX_PATH { Ok(text) } else { break };
            }
            text.extend_from_slice(&piece[..read]);
        }
        Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG))
    }

    fn descriptor(&self, number: i32) -> io::Result<OwnedFd> {
        let path = match number {
            libc::AT_FDCWD => format!("/proc/{}/cwd", self.pid),
            number => format!("/proc/{}/fd/{number}", self.pid),
        };
        open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|error| match error {
            rustix::io::Errno::NOENT => io::Error::from_raw_os_error(libc::EBADF),
            error => error.into(),
        })
    }

    fn open_path(&self, directory: i32, path: &[u8], follow: bool) -> io::Result<OwnedFd> {
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        flags.set(OFlags::NOFOLLOW, !follow);
        // To this process, "self" would be itself.
        let mut path = path.to_vec();
        for own in [&b"/proc/self/"[..], b"/proc/thread-self/"] {
            if let Some(rest) = path.strip_prefix(own) {
                path = [format!("/proc/{}/", self.pid).as_bytes(), rest].concat();
            }
        }
        let root = readlink(format!("/proc/{}/root", self.pid), Vec::new())?;
        if root.as_bytes() == b"/" {
            return Ok(match path.starts_with(b"/") {
                true => openat(CWD, path, flags, Mode::empty())?,
                false => openat(self.descriptor(directory)?, path, flags, Mode::empty())?,
            });
        }
        // The process has changed its root.
        if !path.starts_with(b"/") {
            let here = match directory {
                libc::AT_FDCWD => format!("/proc/{}/cwd", self.pid),
                number => format!("/proc/{}/fd/{number}", self.pid),
            };
            let here = readlink(here, Vec::new())?.into_bytes();
            let here = here.strip_prefix(root.as_bytes()).ok_or(io::ErrorKind::NotFound)?;
            path = [here, b"/", &path].concat();
        }
        let root = open(format!("/proc/{}/root", self.pid), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Ok(openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?)
    }
}
