//! The helper process, seen from the build.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Lines, PipeReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity};
use serde::Serialize;

use crate::tree::{Below, Tree, TreeError};

use super::cgroup::Cgroup;
use super::emulator::Emulator;
use super::error::SandboxError;
use super::mount::OWN;
use super::request::{Command, Ending, Found, Job, Message, Request, STUBS, UPPER, User, WORK};
use super::spawner::Helper;
use super::subordinate::Mapping;
use super::tier::Tier;
use super::visit::{Guests, receive};

/// How much of the end of a step's output is kept for its error, in bytes.
const KEPT: usize = 16 << 10;

/// Finds out whether there can be a sandbox, and one with an emulator, in an empty directory on the store's file system.
///
/// # Errors
/// What the kernel refuses.
pub fn check(tier: Tier, place: &Path, emulator: Option<Emulator>) -> Result<(), SandboxError> {
    std::fs::create_dir(place.join(UPPER)).map_err(SandboxError::Place)?;
    prepare(place, &Tree::new())?;
    let mapping = if tier == Tier::SubordinateIds { Some(Mapping::of_user()?) } else { None };
    let (cpus, facts, mounts) = (choose_cpus(1), Vec::new(), Vec::new());
    let request = Request {
        tier,
        mapping,
        directories: 0,
        command: None,
        network: false,
        cpus,
        timeout: 0,
        memory: None,
        facts,
        mounts,
        emulator,
        desk: false,
    };
    let (env, workdir, user) = (BTreeMap::new(), String::new(), User::default());
    let nothing = Command { argv: Vec::new(), env, workdir, user };
    Launched::new(place, false)?.ask(request, &mut |_| (), (&nothing, Guests::Nobody)).map(drop)
}

/// Makes the directories of overlayfs, and those on which the sandbox mounts and that the image lacks.
pub(super) fn prepare(place: &Path, below: &Tree) -> Result<(), SandboxError> {
    let lacks = |name: &&str| below.node(name.as_bytes()).is_none();
    let stubs = OWN.into_iter().filter(lacks).map(|name| Path::new(STUBS).join(name));
    for name in [WORK.into(), STUBS.into()].into_iter().chain(stubs) {
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

/// A helper that waits for a request, and begins nothing before. That of the first step has to be loaded, which takes as long as to make
/// ready what it needs in its directory, so it is started first.
pub(super) struct Launched {
    helper: Helper,
    /// Removed after the helper has ended.
    group: Option<Cgroup>,
    socket: UnixStream,
    desk: UnixStream,
    has_desk: bool,
    pipe: PipeReader,
    /// A name that no other step has at the same time: that of its directory, in the store of this process.
    name: String,
}

impl Launched {
    /// Starts the helper in the directory `place`.
    pub(super) fn new(place: &Path, has_desk: bool) -> Result<Self, SandboxError> {
        let start = || {
            let (socket, theirs) = UnixStream::pair()?;
            let (desk, their_desk) = UnixStream::pair()?;
            let (pipe, written) = io::pipe()?;
            let stdout = if has_desk { their_desk.into() } else { nothing()? };
            let helper = Helper::start(place, [theirs.into(), stdout, written.into()])?;
            let directory = place.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{}-{}", std::process::id(), directory.trim_matches('.'));
            Ok(Launched { helper, group: None, socket, desk, has_desk, pipe, name })
        };
        start().map_err(SandboxError::Start)
    }

    /// Has the helper do what is asked, and returns what it found in the upper directory. `output` gets what the step writes,
    /// as it comes. A visitor's program has the environment and directory of the command. What is made for the step by the
    /// kernel goes with this value.
    pub(super) fn ask(
        &mut self,
        mut request: Request,
        output: &mut (dyn FnMut(&[u8]) + Send),
        (base, mut guests): (&Command, Guests),
    ) -> Result<Vec<Found>, SandboxError> {
        let Launched { helper, group, socket, desk, has_desk, pipe, name } = self;
        request.desk = *has_desk;
        *group = request.memory.and_then(|memory| Cgroup::new(memory, name));
        if group.as_ref().is_some_and(|group| helper.id().is_some_and(|id| group.add(id).is_ok())) {
            request.memory = None;
        }
        thread::scope(|scope| {
            let mut tail = Some(scope.spawn(|| forward(pipe, output)));
            // The pipe ends with the last process that could write into it.
            let mut end_of_output = || tail.take().map(|tail| tail.join().unwrap_or_default()).unwrap_or_default();
            let result = match send(&Job::Step(&request), socket) {
                Ok(()) => converse(&request, socket, desk, (base, &mut guests), &mut end_of_output),
                Err(error) => Err(error),
            };
            // After a step that did what it should, nothing is left that could write, and it ends by itself.
            match request.command.is_some() && matches!(result, Ok(Outcome::Found(_))) {
                true if group.is_none() => helper.leave(),
                true => {}
                false => helper.end(),
            }
            match result? {
                Outcome::Found(found) => Ok(found),
                Outcome::Failed(ending) => Err(SandboxError::Failed { ending, output: end_of_output() }),
                Outcome::Visited(error) => Err(error),
            }
        })
    }
}

/// Has the helper do something that runs no step.
pub(super) fn helped(job: &Job<Request>, place: &Path) -> Result<(), SandboxError> {
    let (mut socket, theirs) = UnixStream::pair().map_err(SandboxError::Start)?;
    let (_pipe, written) = io::pipe().map_err(SandboxError::Start)?;
    let start = || Helper::start(place, [theirs.into(), nothing()?, written.into()]);
    let _helper = start().map_err(SandboxError::Start)?;
    send(job, &mut socket)?;
    Messages(BufReader::new(&socket).lines()).rest().map(drop)
}

fn nothing() -> io::Result<OwnedFd> {
    Ok(File::options().read(true).write(true).open("/dev/null")?.into())
}

/// What came of a request.
enum Outcome {
    Found(Vec<Found>),
    /// The step failed.
    Failed(Ending),
    /// The step failed with this, and a visitor looked at it.
    Visited(SandboxError),
}

fn send<R: Serialize>(job: &Job<R>, socket: &mut UnixStream) -> Result<(), SandboxError> {
    let text = serde_json::to_vec(job).map_err(|error| SandboxError::Start(error.into()))?;
    socket.write_all(&text).and_then(|()| socket.shutdown(Shutdown::Write)).map_err(|_| SandboxError::Lost)
}

/// Listens to the helper until all is done, and lets visitors in.
fn converse(
    request: &Request,
    socket: &UnixStream,
    desk: &UnixStream,
    (base, guests): (&Command, &mut Guests),
    end_of_output: &mut dyn FnMut() -> String,
) -> Result<Outcome, SandboxError> {
    let mut messages = Messages(BufReader::new(socket).lines());
    if let Guests::Now(visitor) = guests {
        receive(*visitor, base, desk).map_err(SandboxError::Start)?;
        visitor.left(messages.rest().and_then(|(ending, _)| ending.ok_or(SandboxError::Lost)));
        return Ok(Outcome::Found(Vec::new()));
    }
    let ending = match messages.ending(request)? {
        Some(ending) if ending != Ending::Exited(0) => ending,
        _ => return Ok(Outcome::Found(messages.rest()?.1)),
    };
    let Guests::OnFailure(on_failure) = guests else { return Ok(Outcome::Failed(ending)) };
    let output = end_of_output();
    on_failure(ending, &output, &mut |visitor| {
        let received = receive(visitor, base, desk).map_err(SandboxError::Start);
        let how = received.and_then(|()| messages.rest()).and_then(|(ending, _)| ending.ok_or(SandboxError::Lost));
        visitor.left(how);
    });
    Ok(Outcome::Visited(SandboxError::Failed { ending, output }))
}

/// What the helper tells.
struct Messages<R>(Lines<R>);

impl<R: BufRead> Messages<R> {
    fn next(&mut self) -> Result<Message, SandboxError> {
        let line = self.0.next().and_then(Result::ok).ok_or(SandboxError::Lost)?;
        match serde_json::from_str(&line).map_err(|_| SandboxError::Lost)? {
            Message::Failed { stage, errno } => {
                Err(SandboxError::Refused { stage, source: io::Error::from_raw_os_error(errno) })
            }
            message => Ok(message),
        }
    }

    /// How the command ended, if there is one.
    fn ending(&mut self, request: &Request) -> Result<Option<Ending>, SandboxError> {
        match request.command {
            None => Ok(None),
            Some(_) => match self.next()? {
                Message::Ended(ending) => Ok(Some(ending)),
                _ => Err(SandboxError::Lost),
            },
        }
    }

    /// All that is left: how a visitor's program ended, and what was found.
    fn rest(&mut self) -> Result<(Option<Ending>, Vec<Found>), SandboxError> {
        let (mut ending, mut files) = (None, Vec::new());
        loop {
            match self.next()? {
                Message::Ended(how) => ending = Some(how),
                Message::Found(found) if files.len() >= Tree::MAX_ENTRIES => {
                    return Err(TreeError::TooLarge { path: found.path }.into());
                }
                Message::Found(found) => files.push(*found),
                Message::Complete => return Ok((ending, files)),
                Message::Failed { .. } => return Err(SandboxError::Lost),
            }
        }
    }
}

/// Passes on what the step writes; returns the end of it.
fn forward(pipe: &mut PipeReader, output: &mut (dyn FnMut(&[u8]) + Send)) -> String {
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
