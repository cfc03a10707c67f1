//! The helper: this program once more, with one thread, which makes the namespaces and becomes their first process.
//!
//! ```text
//! ocify ── spawner ── helper (namespaces; an ordinary user's is executed once more) ── first process (pid 1: recorder, reaper) ── the step
//! ```

mod bind;
mod disk;
mod emulation;
mod files;
mod filter;
mod init;
mod mounts;
mod namespaces;
mod program;
mod recorder;
mod rights;
mod snapshot;
mod spawner;
mod step;
mod streams;
mod visit;

use std::ffi::OsString;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Signal, WaitOptions};

use super::error::Stage;
use super::kernel;
use super::program::is_out_of_reach;
use super::request::{Job, Message, Request};

/// What went wrong, and in which stage.
struct Failure {
    stage: Stage,
    error: io::Error,
}

/// Says in which stage an error came up.
trait In<T> {
    fn during(self, stage: Stage) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> In<T> for Result<T, E> {
    fn during(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|error| Failure { stage, error: error.into() })
    }
}

/// Where messages go.
struct Channel(BufWriter<UnixStream>);

impl Channel {
    fn send(&mut self, message: &Message) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, message)?;
        self.0.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn fail(&mut self, failure: &Failure) {
        let errno = failure.error.raw_os_error().unwrap_or(libc::EIO);
        // Whoever asked is gone if this fails, and needs no answer.
        let _ = self.send(&Message::Failed { stage: failure.stage, errno });
        let _ = self.flush();
    }
}

/// Forks for each helper, which does what the socket at its stdin asks for; or goes on as a helper with what was `handed` over.
pub(super) fn main(handed: Option<OsString>) -> ExitCode {
    if handed.is_none() {
        match spawner::serve() {
            Ok(true) => {}
            Ok(false) => return ExitCode::SUCCESS,
            Err(_) => return ExitCode::FAILURE,
        }
    }
    let socket = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(socket) => UnixStream::from(socket),
        Err(_) => return ExitCode::FAILURE,
    };
    let mut channel = Channel(BufWriter::new(socket));
    match serve(&mut channel, handed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            channel.fail(&failure);
            ExitCode::FAILURE
        }
    }
}

fn serve(channel: &mut Channel, handed: Option<OsString>) -> Result<(), Failure> {
    die_with_parent().during(Stage::Request)?;
    if let Some(handed) = handed {
        return run(&program::request(&handed).during(Stage::Request)?, channel);
    }
    let mut text = Vec::new();
    channel.0.get_mut().read_to_end(&mut text).during(Stage::Request)?;
    let job: Job<Request> = serde_json::from_slice(&text).map_err(io::Error::other).during(Stage::Request)?;
    rustix::process::setsid().during(Stage::Namespaces)?;
    match job {
        Job::Step(request) => {
            namespaces::enter(&request)?;
            if is_out_of_reach() {
                return run(&request, channel);
            }
            match program::execute_again(&request).during(Stage::Namespaces)? {}
        }
        Job::Give { mapping, tree, files } => {
            namespaces::enter_mapped(&mapping)?;
            files::give(Path::new(&tree), &files)?;
            channel.send(&Message::Complete).during(Stage::Owners)
        }
        Job::Remove { mapping, name } => {
            namespaces::enter_mapped(&mapping)?;
            files::remove(&name)?;
            channel.send(&Message::Complete).during(Stage::Owners)
        }
    }
}

fn run(request: &Request, channel: &mut Channel) -> Result<(), Failure> {
    match kernel::fork().during(Stage::Namespaces)? {
        None => init::run(request, channel),
        Some(first) => {
            // It ends with the processes of the step.
            streams::release_output().during(Stage::Devices)?;
            while let Err(rustix::io::Errno::INTR) = rustix::process::waitpid(Some(first), WaitOptions::empty()) {}
            Ok(())
        }
    }
}

/// What the build's process started ends with it, however it ends.
fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}
