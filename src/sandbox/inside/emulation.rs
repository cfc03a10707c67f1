//! The list of emulators of the step's own user namespace.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::MountAttrFlags;

use super::super::emulator::Emulator;
use super::mounts::filesystem;

/// Has the kernel run the emulator's programs in this user namespace. The list is mounted nowhere: it is there until the
/// descriptor is closed.
pub(super) fn register(emulator: &Emulator) -> io::Result<OwnedFd> {
    let list = filesystem("binfmt_misc", &[], MountAttrFlags::empty())?;
    let program = File::open(&emulator.path)?;
    // Not by its name, which may be long, and have what ends a field.
    let text = emulator.registration(&format!("/proc/self/fd/{}", program.as_raw_fd()));
    File::from(openat(&list, "register", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?)
        .write_all(text.as_bytes())?;
    Ok(list)
}
