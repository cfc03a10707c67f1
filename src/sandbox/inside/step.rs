//! From a child of the first process to the step's program.

use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process;

use rustix::fs::Mode;

use super::super::error::Stage;
use super::super::kernel;
use super::super::passing::give;
use super::super::request::{Command, Request, User};
use super::super::tier::Tier;
use super::filter::filter;
use super::streams::{Streams, control_terminal};
use super::{Failure, In, rights};

/// Where a program without a slash is looked for if `PATH` is not set.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the first process is told over `status` before the program runs: nothing if it does, else the stage, a byte, and
/// the number of the error.
pub(super) const STAGES: [Stage; 6] =
    [Stage::Limits, Stage::Filter, Stage::Workdir, Stage::User, Stage::Program, Stage::Devices];

/// The descriptor that is left beside stdin, stdout and stderr, until the program runs.
const STATUS: i32 = 3;

/// Becomes the step's program. The listener of the filter goes over `status`, if the tier has a recorder.
pub(super) fn become_program(request: &Request, command: &Command, streams: Streams, status: UnixStream) -> ! {
    // First, as one of them may have the number that the next call uses.
    let is_terminal = streams.take();
    // All other descriptors go: nothing of the sandbox is reached through one, also not by the working directory.
    let Ok(status) = kernel::duplicate_to(status.as_fd(), STATUS) else { process::exit(1) };
    kernel::close_from(STATUS + 1);
    let mut status = UnixStream::from(status);
    let Err(Failure { stage, error }) = try_become(request, command, is_terminal, &status);
    let stage = STAGES.iter().position(|known| *known == stage).unwrap_or(0) as u8;
    let mut bytes = vec![stage];
    bytes.extend(error.raw_os_error().unwrap_or(libc::EIO).to_le_bytes());
    let _ = status.write_all(&bytes);
    process::exit(1)
}

fn try_become(
    request: &Request,
    command: &Command,
    is_terminal: io::Result<bool>,
    status: &UnixStream,
) -> Result<std::convert::Infallible, Failure> {
    kernel::reset_signals();
    rustix::process::setsid().during(Stage::Limits)?;
    if is_terminal.during(Stage::Devices)? {
        control_terminal().during(Stage::Devices)?;
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
    kernel::fix_memory_layout().during(Stage::Limits)?;
    let programs = Programs::new(command).during(Stage::Program)?;
    rights::limit(request.memory).during(Stage::Limits)?;
    rights::drop_capabilities(request.tier, &command.user).during(Stage::Limits)?;
    // With no more rights than a step has; a user may begin in a directory that only root may enter, as in containers.
    enter(&command.workdir).during(Stage::Workdir)?;
    if request.tier != Tier::SingleUser {
        rights::become_user(&command.user).during(Stage::User)?;
    }
    if request.network {
        // Namespaces of networks keep sockets with abstract names apart; this step has none of its own.
        kernel::scope_abstract_sockets().during(Stage::Limits)?;
    }
    let listener = install_filter(request.tier).during(Stage::Filter)?;
    if let Some(listener) = listener {
        give(status, b'L', &[listener.as_fd()]).during(Stage::Filter)?;
    }
    Err(programs.execute()).during(Stage::Program)
}

/// Gives up what a step has not, to see whether that is possible.
pub(super) fn restrict(request: &Request) -> io::Result<()> {
    rights::limit(None)?;
    rights::drop_capabilities(request.tier, &User::default())?;
    install_filter(request.tier).map(drop)
}

fn install_filter(tier: Tier) -> io::Result<Option<OwnedFd>> {
    kernel::install_filter(&filter(tier), tier != Tier::Root)
}

/// A directory of the step's root. One to which a descriptor leads could lie elsewhere.
fn enter(workdir: &str) -> io::Result<()> {
    rustix::process::chdir(workdir)?;
    let path = rustix::process::getcwd(Vec::new())?;
    if path.as_bytes().starts_with(b"/") { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOENT)) }
}

/// The program under every name that it may have, with its arguments.
struct Programs {
    paths: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Programs {
    fn new(command: &Command) -> io::Result<Self> {
        let program = command.argv.first().map_or("", String::as_str);
        let path = command.env.get("PATH").map_or(PATH, String::as_str);
        let paths: Vec<String> = match program.contains('/') {
            true => vec![program.to_owned()],
            false => path.split(':').map(|directory| format!("{directory}/{program}")).collect(),
        };
        let texts = |texts: Vec<String>| -> io::Result<Vec<CString>> {
            texts.into_iter().map(|text| Ok(CString::new(text)?)).collect()
        };
        Ok(Programs {
            paths: texts(paths)?,
            arguments: texts(command.argv.clone())?,
            environment: texts(command.env.iter().map(|(name, value)| format!("{name}={value}")).collect())?,
        })
    }

    /// Tries one name after the other, as execvp(3) does: one that may not be executed is remembered, but others may be.
    fn execute(&self) -> io::Error {
        let mut last = io::Error::from_raw_os_error(libc::ENOENT);
        for path in &self.paths {
            let error = kernel::execute(path, &self.arguments, &self.environment);
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::EACCES) => last = error,
                _ => return error,
            }
        }
        last
    }
}
