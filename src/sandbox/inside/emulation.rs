//! The list of emulators of the step's own user namespace.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::MountAttrFlags;

use super::super::emulator::Emulator;
use super::super::program::protected;
use super::mounts::filesystem;

/// Has the kernel run the emulator's programs in this user namespace. The list is mounted nowhere: it is there until the
/// descriptors are closed.
///
/// To a program that it runs, /proc/self/exe is the emulator, a file of the machine. So that is registered as it is on a mount
/// of its own, through which nobody can change it.
pub(super) fn register(emulator: &Emulator) -> io::Result<[OwnedFd; 2]> {
    let list = filesystem("binfmt_misc", &[], MountAttrFlags::empty())?;
    let program = protected(&emulator.path, true)?;
    // Not by its name, which may be long, and have what ends a field.
    let text = emulator.registration(&format!("/proc/self/fd/{}", program.as_raw_fd()));
    File::from(openat(&list, "register", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?)
        .write_all(text.as_bytes())?;
    Ok([list, program])
}
