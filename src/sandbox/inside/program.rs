//! This program, executed once more where nobody can change it.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, memfd_create};

use super::super::HELPER;
use super::super::kernel;
use super::super::program::{PROGRAM, on_a_mount};
use super::super::request::Request;

/// Executes this program in the namespaces that were entered, where it goes on with [`request`]. It comes back with an error.
pub(super) fn execute_again(request: &Request) -> io::Result<Infallible> {
    // One that was replaced since it was started has no name any more.
    let program = on_a_mount(false).or_else(|_| copy())?;
    // Its number is what the next program knows of it.
    let told = memfd_create("request", MemfdFlags::empty())?;
    File::from(told.try_clone()?).write_all(&serde_json::to_vec(request)?)?;
    let path = CString::new(format!("/proc/self/fd/{}", program.as_raw_fd()))?;
    let arguments = ["ocify", HELPER, &told.as_raw_fd().to_string()].map(CString::new);
    Err(kernel::execute(&path, &arguments.into_iter().collect::<Result<Vec<_>, _>>()?, &[]))
}

/// The request that was handed over in the descriptor of this number.
pub(super) fn request(number: &OsStr) -> io::Result<Request> {
    Ok(serde_json::from_slice(&fs::read(Path::new("/proc/self/fd").join(number))?)?)
}

/// A copy in memory, of which it does not matter what becomes.
fn copy() -> io::Result<OwnedFd> {
    let copy = memfd_create("ocify", MemfdFlags::CLOEXEC)?;
    io::copy(&mut File::open(PROGRAM)?, &mut File::from(copy.try_clone()?))?;
    Ok(copy)
}
