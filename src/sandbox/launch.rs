//! The helper process, seen from the build.

use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity};
use serde::Serialize;

use crate::tree::{Tree, TreeError};

use super::HELPER;
use super::error::SandboxError;
use super::request::{Ending, Found, Job, LOWER, Message, ROOT, Request, STUBS, UPPER, WORK};
use super::subordinate::Mapping;
use super::tier::Tier;

/// This program.
const PROGRAM: &str = "/proc/self/exe";

/// How much of the end of a step's output is kept for its error, in bytes.
const KEPT: usize = 16 << 10;

/// Finds out whether there can be a sandbox, in an empty directory on the store's file system.
///
/// # Errors
/// What the kernel refuses.
pub fn check(tier: Tier, place: &Path) -> Result<(), SandboxError> {
    for name in [LOWER, UPPER] {
        std::fs::create_dir(place.join(name)).map_err(SandboxError::Place)?;
    }
    prepare(place)?;
    let mapping = if tier == Tier::SubordinateIds { Some(Mapping::of_user()?) } else { None };
    let request = Request { tier, mapping, command: None, cpus: choose_cpus(1), timeout: 0, facts: Vec::new() };
    launch(&request, place, &mut |_| ()).map(drop)
}

/// Makes the directories that do not depend on the step: those of overlayfs, and of what is mounted.
pub(super) fn prepare(place: &Path) -> Result<(), SandboxError> {
    let stubs = Path::new(STUBS);
    for name in [Path::new(WORK), Path::new(ROOT), stubs, &stubs.join("dev"), &stubs.join("proc"), &stubs.join("sys")] {
        std::fs::create_dir(place.join(name)).map_err(SandboxError::Place)?;
    }
    Ok(())
}

/// As many processors as are wanted and may be used. Steps at the same time get different ones.
pub(super) fn choose_cpus(wanted: usize) -> Vec<usize> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let Ok(allowed) = sched_getaffinity(None) else { return vec![0] };
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let first = NEXT.fetch_add(wanted, Ordering::Relaxed);
    // Another build at the same time begins elsewhere, most likely.
    let first = first.wrapping_add(std::process::id() as usize);
    (0..wanted.min(allowed.len())).map(|at| allowed[first.wrapping_add(at) % allowed.len()]).collect()
}

/// Has the helper run a step, and returns what it found in the upper directory. `output` gets what the step writes, as it
/// comes.
pub(super) fn launch(
    request: &Request,
    place: &Path,
    output: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<Vec<Found>, SandboxError> {
    let (mut socket, theirs) = UnixStream::pair().map_err(SandboxError::Start)?;
    let (pipe, written) = io::pipe().map_err(SandboxError::Start)?;
    let mut helper = Helper(spawn(place, theirs.into(), written.into()).map_err(SandboxError::Start)?);
    thread::scope(|scope| {
        let tail = scope.spawn(|| forward(pipe, output));
        let result = ask(&Job::Step(request), &mut socket);
        // The pipe ends with the last process that could write into it.
        helper.end();
        let tail = tail.join().unwrap_or_default();
        match result? {
            (Some(ending), _) if ending != Ending::Exited(0) => Err(SandboxError::Failed { ending, output: tail }),
            (_, found) => Ok(found),
        }
    })
}

/// Has the helper do something that runs no step.
pub(super) fn helped(job: &Job<Request>, place: &Path) -> Result<(), SandboxError> {
    let (mut socket, theirs) = UnixStream::pair().map_err(SandboxError::Start)?;
    let (_pipe, written) = io::pipe().map_err(SandboxError::Start)?;
    let _helper = Helper(spawn(place, theirs.into(), written.into()).map_err(SandboxError::Start)?);
    ask(job, &mut socket).map(drop)
}

fn spawn(place: &Path, socket: OwnedFd, output: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(PROGRAM);
    command.arg(HELPER).env_clear().current_dir(place);
    command.stdin(Stdio::from(socket)).stdout(Stdio::from(output.try_clone()?)).stderr(Stdio::from(output));
    command.spawn()
}

/// The running helper. When it is killed, the kernel ends its sandbox.
struct Helper(Child);

impl Helper {
    fn end(&mut self) {
        // It has ended by itself, unless it is lost.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end();
    }
}

fn ask<R: Serialize>(job: &Job<R>, socket: &mut UnixStream) -> Result<(Option<Ending>, Vec<Found>), SandboxError> {
    let text = serde_json::to_vec(job).map_err(|error| SandboxError::Start(error.into()))?;
    socket.write_all(&text).and_then(|()| socket.shutdown(Shutdown::Write)).map_err(|_| SandboxError::Lost)?;
    let (mut ending, mut files) = (None, Vec::new());
    for line in BufReader::new(socket).lines() {
        let line = line.map_err(|_| SandboxError::Lost)?;
        match serde_json::from_str(&line).map_err(|_| SandboxError::Lost)? {
            Message::Failed { stage, errno } => {
                return Err(SandboxError::Refused { stage, source: io::Error::from_raw_os_error(errno) });
            }
            Message::Ended(how) => ending = Some(how),
            Message::Found(found) if files.len() >= Tree::MAX_ENTRIES => {
                return Err(TreeError::TooLarge { path: found.path }.into());
            }
            Message::Found(found) => files.push(*found),
            Message::Complete => return Ok((ending, files)),
        }
    }
    Err(SandboxError::Lost)
}

/// Passes on what the step writes; returns the end of it.
fn forward(mut pipe: PipeReader, output: &mut (dyn FnMut(&[u8]) + Send)) -> String {
    let mut tail: Vec<u8> = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                output(&buffer[..n]);
                tail.extend_from_slice(&buffer[..n]);
                tail.drain(..tail.len().saturating_sub(KEPT));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&tail).into_owned()
}
