//! Running the program git, which sees nothing of its surroundings but what is given to it here.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::http::Options;
use crate::scratch::Group;
use crate::store::Workplace;

use super::error::GitError;

/// The variables of the environment that git is given when it speaks with a server, if they are set, and `PATH` always. `HOME`
/// and the agent are for the user's own keys, known hosts and `.netrc`; settings are not read there.
pub const VARIABLES: [&str; 13] = [
    PATH,
    "HOME",
    "SSH_AUTH_SOCK",
    "HTTPS_PROXY",
    "https_proxy",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "USER",
    AUTHORITIES,
    AUTHORITY_DIRECTORY,
];

const PATH: &str = "PATH";
const AUTHORITIES: &str = "SSL_CERT_FILE";
const AUTHORITY_DIRECTORY: &str = "SSL_CERT_DIR";

/// What is never asked, and never done behind our back.
const SETTINGS: [&str; 15] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    // Objects are checked as they come: names such as `.git` and `..`, entries twice, wrong modes.
    "fetch.fsckObjects=true",
    // A pack stays a pack, so that one file grows instead of many being made.
    "fetch.unpackLimit=1",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.followRedirects=initial",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=30",
    "init.defaultBranch=main",
    "core.packedGitWindowSize=32m",
    "core.packedGitLimit=256m",
    // What is larger is streamed instead of being held in memory.
    "core.bigFileThreshold=64m",
];

/// ssh that asks nobody and waits for nobody.
const SSH: &str = "ssh -oBatchMode=yes -oConnectTimeout=10 -oServerAliveInterval=10 -oServerAliveCountMax=3";

/// The most that is kept of what git says when it fails, in bytes.
const SAID: u64 = 64 << 10;

/// How much memory each of git's processes may take in bytes: a server that talks without end is held there.
const MEMORY: u64 = 4 << 30;

/// git, and the scratch directory that is its repository.
pub(super) struct Program<'a> {
    pub(super) directory: Workplace,
    pub(super) variables: &'a [(String, OsString)],
    /// When all of it has to be done.
    pub(super) deadline: Instant,
    pub(super) options: &'a Options,
}

/// Whom git may speak with.
#[derive(Clone, Copy)]
pub(super) enum Reach<'a> {
    /// Nobody.
    Nothing,
    /// Servers of this scheme only, also after a redirect; with `http`, `https` too.
    Scheme(&'a str),
}

impl Program<'_> {
    /// Runs git and returns what it writes, at most `limit` bytes.
    ///
    /// # Errors
    /// git is missing, fails, or writes more; the deadline; the scratch directory grows beyond what a file may be.
    pub(super) fn run(&self, arguments: &[&str], reach: Reach, limit: u64) -> Result<Vec<u8>, GitError> {
        self.stream(arguments, reach, b"", |output| {
            let mut bytes = Vec::new();
            output.take(limit + 1).read_to_end(&mut bytes).map_err(|source| GitError::Output { source })?;
            if bytes.len() as u64 > limit {
                return Err(GitError::TooMuch { what: "git has more to say than is read", limit });
            }
            Ok(bytes)
        })
    }

    /// Runs git with `input` on its stdin and has `read` read what it writes. An error of `read` ends git.
    ///
    /// # Errors
    /// As [`Program::run`], and those of `read`.
    pub(super) fn stream<T: Send>(
        &self,
        arguments: &[&str],
        reach: Reach,
        input: &[u8],
        read: impl FnOnce(&mut dyn BufRead) -> Result<T, GitError> + Send,
    ) -> Result<T, GitError> {
        let mut group =
            Group::spawn(&mut self.command(arguments, reach)).map_err(|source| GitError::Missing { source })?;
        let child = group.child();
        let memory = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
        // One that is gone already needs no limit.
        let _ = prlimit(Some(Pid::from_child(child)), Resource::Data, memory);
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else { unreachable!("all three are piped") };
        thread::scope(|scope| {
            // git may end without having read everything; its exit says why.
            scope.spawn(move || drop(stdin.write_all(input)));
            let said = scope.spawn(|| said(stderr));
            let reader = scope.spawn(move || read(&mut BufReader::with_capacity(128 << 10, stdout)));
            let watched = self.watch(group);
            let read = reader.join().unwrap_or_else(|panic| resume_unwind(panic));
            let said = said.join().unwrap_or_else(|panic| resume_unwind(panic));
            let status = watched?;
            match read {
                // What was read last is missing something, which git has an explanation for.
                Ok(_) | Err(GitError::Output { .. }) if !status.success() => {
                    let step = arguments.first().map_or(String::new(), |step| (*step).to_owned());
                    Err(GitError::Failed { step, said: explanation(&said, status) })
                }
                read => read,
            }
        })
    }

    /// Waits for the end of git, and ends it and all that it has started if it takes too long or too much room.
    fn watch(&self, mut git: Group) -> Result<ExitStatus, GitError> {
        let waited = |source| GitError::Output { source };
        let mut measured = Instant::now();
        loop {
            if let Some(status) = git.try_wait().map_err(waited)? {
                return Ok(status);
            }
            let now = Instant::now();
            if now > self.deadline {
                return Err(GitError::TimedOut { seconds: self.options.total.as_secs() });
            }
            if now.duration_since(measured) > Duration::from_millis(200) {
                measured = now;
                if size(self.directory.path()) > self.options.size {
                    return Err(GitError::TooMuch { what: "the repository is larger", limit: self.options.size });
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn command(&self, arguments: &[&str], reach: Reach) -> Command {
        let mut command = Command::new("git");
        command.env_clear().current_dir(self.directory.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.arg("--no-replace-objects");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        command.env("GIT_DIR", self.directory.path()).env("TMPDIR", self.directory.path());
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_NO_LAZY_FETCH", "1");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_ATTR_NOSYSTEM", "1").env("GIT_SSH_COMMAND", SSH);
        let Reach::Scheme(scheme) = reach else {
            command.env("GIT_ALLOW_PROTOCOL", "");
            command.envs(self.variables.iter().filter(|(name, _)| name == PATH).map(|(name, value)| (name, value)));
            return command;
        };
        command.env("GIT_ALLOW_PROTOCOL", if scheme == "http" { "http:https" } else { scheme });
        let is_proxy = |name: &str| name.to_ascii_uppercase().ends_with("_PROXY");
        for (name, value) in self.variables {
            match name.as_str() {
                // git asks for them under names of its own.
                AUTHORITIES => command.env("GIT_SSL_CAINFO", value),
                AUTHORITY_DIRECTORY => command.env("GIT_SSL_CAPATH", value),
                name if is_proxy(name) && !self.options.proxy_from_environment => continue,
                name => command.env(name, value),
            };
        }
        command
    }
}

/// Reads to the end, so that git can go on, and keeps the beginning.
fn said(mut stderr: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stderr.by_ref().take(SAID).read_to_end(&mut bytes);
    let _ = io::copy(&mut stderr, &mut io::sink());
    bytes
}

/// Why git failed: the lines in which it says so, else the last one. Parts of it are a server's words, so nothing in it may
/// steer a terminal.
fn explanation(said: &[u8], status: ExitStatus) -> String {
    const LONGEST: usize = 400;
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
    let telling: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| ["fatal: ", "error: ", "remote: "].iter().any(|p| line.starts_with(p)))
        .collect();
    let text = if telling.is_empty() { lines.last().copied().unwrap_or("").to_owned() } else { telling.join("; ") };
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).take(LONGEST).collect();
    if text.is_empty() { format!("it ended with {status}, without a word") } else { text }
}

/// Bytes of all files below `directory`. What vanishes meanwhile does not count.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
