//! A process that waits for an answer: its memory, and the files that it names.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2, readlink};
use rustix::io::Errno;

use super::super::super::kernel;
use super::calls::Which;
use super::walk::{Last, walk};

/// The kernel's limits for a path and for a page, which a text may not cross into one that is not there.
const MAX_PATH: usize = 4096;
const PAGE: u64 = 4096;

/// True for an error that is this process's own, and says nothing of the file.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

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
                    true => Err(Errno::NOENT.into()),
                    false => self.open_path(directory, &path, follow),
                }
            }
        }
    }

    /// The directory in which the file would be made that the process names, and its name there; `None` if it is there. A link
    /// at the end of the path is one that is there, unless it is followed.
    pub(super) fn place(&self, directory: i32, path: &[u8], follow: bool) -> io::Result<Option<(OwnedFd, Vec<u8>)>> {
        match walk(self, directory, path, follow)? {
            Last::There(_) => Ok(None),
            Last::Missing { parent, name } => Ok(Some((parent, name))),
        }
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
        Err(Errno::NAMETOOLONG.into())
    }

    /// What one of its descriptors is of, or its working directory.
    pub(super) fn descriptor(&self, number: i32) -> io::Result<OwnedFd> {
        let name = match number {
            libc::AT_FDCWD => "cwd".to_owned(),
            number => format!("fd/{number}"),
        };
        self.of_proc(&name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Errno::BADF.into(),
            _ => error,
        })
    }

    /// What a link of its directory in /proc leads to.
    pub(super) fn of_proc(&self, name: &str) -> io::Result<OwnedFd> {
        Ok(open(format!("/proc/{}/{name}", self.pid), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    fn open_path(&self, directory: i32, path: &[u8], follow: bool) -> io::Result<OwnedFd> {
        let root = readlink(format!("/proc/{}/root", self.pid), Vec::new())?;
        if root.as_bytes() == b"/" {
            let mut flags = OFlags::PATH | OFlags::CLOEXEC;
            flags.set(OFlags::NOFOLLOW, !follow);
            let (mode, resolve) = (Mode::empty(), ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS);
            let opened = match path.starts_with(b"/") {
                true => openat2(CWD, path, flags, mode, resolve),
                false => openat2(self.descriptor(directory)?, path, flags, mode, resolve),
            };
            match opened {
                // It leads through /proc, perhaps, where a process finds itself.
                Err(Errno::XDEV | Errno::LOOP) => {}
                opened => return Ok(opened?),
            }
        }
        match walk(self, directory, path, follow)? {
            Last::There(file) => Ok(file),
            Last::Missing { .. } => Err(Errno::NOENT.into()),
        }
    }
}
