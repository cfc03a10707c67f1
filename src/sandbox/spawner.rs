//! Where helpers come from: a process of this program that has one thread and forks for each of them.
//!
//! To execute a program of this size takes longer than most of what it then does for a step, and to fork one that has done
//! nothing yet takes a tenth of that. The spawner is started for the first helper. It ends with the build, as its socket does, and the
//! helpers end with it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Signal, pidfd_send_signal};

use super::passing::{give, take};
use super::{HELPER, program};

static SPAWNER: Mutex<Option<UnixStream>> = Mutex::new(None);

/// A running helper. When it is killed, the kernel ends its sandbox.
pub(super) struct Helper {
    process: OwnedFd,
    is_left: bool,
}

impl Helper {
    /// Starts one in the directory `place`, with these as its stdin, stdout and stderr.
    pub(super) fn start(place: &Path, [stdin, stdout, stderr]: [OwnedFd; 3]) -> io::Result<Self> {
        let place = open(place, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let descriptors = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), place.as_fd()];
        // It holds a whole socket or none, whatever a thread that panicked did.
        let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
        // What it answers is kept apart from that it does not: other helpers end with it, so it stays when the kernel refuses one.
        let ask = |socket: &UnixStream| -> io::Result<io::Result<Self>> {
            give(socket, 0, &descriptors)?;
            let (errno, mut descriptors) = take(socket)?.ok_or(io::ErrorKind::BrokenPipe)?;
            let process = descriptors.pop().ok_or_else(|| io::Error::from_raw_os_error(errno.into()));
            Ok(process.map(|process| Helper { process, is_left: false }))
        };
        if let Some(socket) = spawner.take()
            && let Ok(answer) = ask(&socket)
        {
            *spawner = Some(socket);
            return answer;
        }
        // The first, or one in place of a spawner that is lost.
        let socket = spawn()?;
        let answer = ask(&socket)?;
        *spawner = Some(socket);
        answer
    }

    /// Its number.
    pub(super) fn id(&self) -> Option<u32> {
        let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.process.as_raw_fd())).ok()?;
        about.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
    }

    /// Has it end by itself: it has done everything, and the kernel still has to take its mounts down.
    pub(super) fn leave(&mut self) {
        self.is_left = true;
    }

    /// Kills it unless it has ended, and waits for its end.
    pub(super) fn end(&mut self) {
        self.is_left = true;
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
        while let Err(rustix::io::Errno::INTR) = poll(&mut [PollFd::new(&self.process, PollFlags::IN)], None) {}
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if !self.is_left {
            self.end();
        }
    }
}

fn spawn() -> io::Result<UnixStream> {
    let (socket, theirs) = UnixStream::pair()?;
    let mut command = Command::new(program::to_start());
    command.arg(HELPER).env_clear().current_dir("/");
    // It ends when the socket does; nobody waits for it.
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    Ok(socket)
}
