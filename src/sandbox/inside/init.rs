//! The first process of the sandbox: it starts the step, answers what the filter asks, buries the dead, and ends all.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, WaitOptions, WaitStatus, set_dumpable_behavior, wait};

use super::super::Tier;
use super::super::error::Stage;
use super::super::kernel;
use super::super::passing::take;
use super::super::request::{Command, Ending, Message, Request};
use super::disk::{DISK_INTERVAL, Disk};
use super::recorder::{Journal, Recorder};
use super::step::{self, STAGES, become_program};
use super::streams::{Streams, release_output};
use super::{Channel, Failure, In, die_with_parent, emulation, mounts, rights, snapshot, visit};

/// Runs the step and reports what it changed, or lets a visitor in.
pub(super) fn run(request: &Request, channel: &mut Channel) -> Result<(), Failure> {
    die_with_parent().during(Stage::Watch)?;
    // Whatever that of the build is, what is made for the step has the modes that it should.
    rustix::process::umask(Mode::empty());
    // In the machine's root: emulators are there.
    let emulation = request.emulator.as_ref().map(emulation::register).transpose();
    let (upper, mounted) = mounts::change_root(request)?;
    let journal = Journal::new(request.tier, upper, &request.facts, &mounted).during(Stage::Watch)?;
    drop(mounted);
    // What this process holds and is, no process of the step may look at.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).during(Stage::Watch)?;
    match &request.command {
        Some(command) => {
            let limit = Duration::from_millis(request.timeout);
            let (ending, journal) =
                watch(request, command, Streams::of_step().during(Stage::Devices)?, limit, journal)?;
            // The build reads it to its end before it goes on.
            release_output().during(Stage::Devices)?;
            if ending == Ending::Exited(0) {
                channel.send(&Message::Ended(ending)).during(Stage::Changes)?;
                snapshot::send(&journal, channel).during(Stage::Changes)?;
            } else {
                visit::after_failure(request, ending, journal, channel)?;
            }
        }
        None if request.desk => visit::admit(request, journal, channel)?,
        None => {
            // A step goes on without an emulator: its program may be the machine's, and else the kernel says so.
            emulation.during(Stage::Emulator)?;
            // What follows only writes to the channel, about which no filter asks.
            step::restrict(request).during(Stage::Filter)?;
        }
    }
    channel.send(&Message::Complete).during(Stage::Changes)
}

/// Starts a program and waits until it, and then everything else that it started, has ended.
pub(super) fn watch(
    request: &Request,
    command: &Command,
    streams: Streams,
    limit: Duration,
    journal: Journal,
) -> Result<(Ending, Journal), Failure> {
    let begun = Instant::now();
    // Else it is a visitor's.
    let is_step = request.command.as_ref().is_some_and(|own| std::ptr::eq(own, command));
    // This process too: to answer on the same processor is faster.
    rights::stay_on(&request.cpus).during(Stage::Limits)?;
    let signals = kernel::child_signals().during(Stage::Watch)?;
    let (status, theirs) = UnixStream::pair().during(Stage::Watch)?;
    let Some(step) = kernel::fork().during(Stage::Watch)? else { become_program(request, command, streams, theirs) };
    drop((theirs, streams));
    let listener = started(status)?;
    if listener.is_none() && request.tier != Tier::Root {
        return Err(Failure { stage: Stage::Filter, error: Errno::NOTCONN.into() });
    }
    let disk = Disk::new(&journal).during(Stage::Watch)?;
    let mut recorder = Recorder::new(listener, journal, &command.user);
    let ending = loop {
        let Some(left) = limit.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) else {
            break Ending::TimedOut;
        };
        if let Some(ending) = reap(step).during(Stage::Watch)? {
            break ending;
        }
        if disk.is_almost_full() {
            break Ending::DiskFull;
        }
        if attend(&signals, &mut recorder, left.min(DISK_INTERVAL)).during(Stage::Watch)? {
            // Only what cannot be done with subordinate ids asks.
            if request.tier == Tier::SubordinateIds && is_step {
                return Err(Failure { stage: Stage::Recorder, error: Errno::NOSYS.into() });
            }
            recorder.answer_next(request.tier).during(Stage::Watch)?;
        }
    };
    kernel::kill_all();
    loop {
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Ok((ending, recorder.into_journal())),
        }
    }
}

/// Waits until the program runs, and returns the listener of its filter.
fn started(mut status: UnixStream) -> Result<Option<OwnedFd>, Failure> {
    let (mut listener, mut failure) = (None, Vec::new());
    if let Some((byte, descriptors)) = take(&status).during(Stage::Watch)? {
        listener = descriptors.into_iter().next();
        failure.extend(listener.is_none().then_some(byte));
    }
    status.read_to_end(&mut failure).during(Stage::Watch)?;
    match failure.split_first() {
        None => Ok(listener),
        Some((stage, errno)) => {
            let stage = STAGES.get(usize::from(*stage)).copied().unwrap_or(Stage::Program);
            let errno = errno.try_into().map_or(libc::EIO, i32::from_le_bytes);
            Err(Failure { stage, error: io::Error::from_raw_os_error(errno) })
        }
    }
}

/// Buries who is dead; how the step ended, if it has.
fn reap(step: Pid) -> io::Result<Option<Ending>> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == step => return Ok(Some(ending(status))),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

fn ending(status: WaitStatus) -> Ending {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Killed(signal.unwrap_or(libc::SIGKILL)),
    }
}

/// Waits for a child's end or for a notification; true if there is one to answer.
fn attend(signals: &OwnedFd, recorder: &mut Recorder, left: Duration) -> io::Result<bool> {
    let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
    let mut watched = vec![PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
    watched.extend(recorder.listener().map(|listener| PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)));
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let (child, call) = (watched[0].revents(), watched.get(1).map_or(PollFlags::empty(), PollFd::revents));
    if child.contains(PollFlags::IN) {
        // Only that there was one counts; several may have become one.
        let mut buffer = [0; 128];
        let _ = rustix::io::read(signals, &mut buffer);
    }
    let is_asked = call.contains(PollFlags::IN);
    if !is_asked && call.intersects(PollFlags::HUP | PollFlags::ERR) {
        recorder.close();
    }
    Ok(is_asked)
}
