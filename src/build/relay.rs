//! A socket of a step's own, behind which an agent of the machine answers.
//!
//! The agent's socket itself belongs to a user of the machine, and is closed to every other that a step may be. So connections
//! are passed on: each by two threads, one for each direction, which end with the connection.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// How many connections there may be at once: a step must not use up the descriptors of the build.
const MOST: usize = 32;

/// A socket that is passed on as long as this lives.
pub(super) struct Relay {
    path: PathBuf,
    directory: File,
    is_over: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens on a new socket `path`, and passes every connection on to the socket `agent`.
    pub(super) fn open(path: &Path, agent: &Path, mode: u32, owner: (u32, u32)) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // The path may be longer than the address of a socket.
        let directory = File::open(parent)?;
        let listener = UnixListener::bind(address(&directory, name))?;
        if rustix::process::geteuid().is_root() {
            chown(path, Some(owner.0), Some(owner.1))?;
        }
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, agent) = (is_over.clone(), agent.to_owned());
        let listening = thread::spawn(move || {
            let mut threads: Vec<JoinHandle<()>> = Vec::new();
            while let Ok((step, _)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                threads.retain(|thread| !thread.is_finished());
                // Without an agent, the step finds its connection closed.
                if threads.len() < 2 * MOST
                    && let Ok(agent) = UnixStream::connect(&agent)
                {
                    threads.extend(pass_on(step, agent));
                }
            }
        });
        Ok(Relay { path: path.to_owned(), directory, is_over, listening: Some(listening) })
    }

    /// The socket.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // It waits for a connection.
        let name = self.path.file_name().unwrap_or_default();
        if UnixStream::connect(address(&self.directory, name)).is_ok() {
            self.listening.take().into_iter().for_each(|listening| drop(listening.join()));
        }
    }
}

fn address(directory: &File, name: &std::ffi::OsStr) -> PathBuf {
    Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name)
}

/// The threads that pass on what is written, one for each direction.
fn pass_on(step: UnixStream, agent: UnixStream) -> Vec<JoinHandle<()>> {
    let (Ok(step_again), Ok(agent_again)) = (step.try_clone(), agent.try_clone()) else { return Vec::new() };
    let directions = [(step, agent_again), (agent, step_again)];
    let start = |(mut from, mut to): (UnixStream, UnixStream)| {
        let copy = move || {
            // However it ends, the other side is told.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        };
        thread::Builder::new().spawn(copy).ok()
    };
    directions.into_iter().filter_map(start).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn connections_are_passed_on_until_it_ends() {
        let directory = tempfile::tempdir().unwrap();
        let agent = directory.path().join("agent");
        let listener = UnixListener::bind(&agent).unwrap();
        let answering = thread::spawn(move || {
            for connection in listener.incoming().take(2) {
                let mut connection = connection.unwrap();
                let mut asked = String::new();
                connection.read_to_string(&mut asked).unwrap();
                connection.write_all(asked.to_uppercase().as_bytes()).unwrap();
            }
        });
        let place = directory.path().join("d".repeat(100));
        fs::create_dir(&place).unwrap();
        let relay = Relay::open(&place.join("socket"), &agent, 0o600, (0, 0)).unwrap();
        for asked in ["one", "two"] {
            let mut step = UnixStream::connect(address(&File::open(&place).unwrap(), "socket".as_ref())).unwrap();
            step.write_all(asked.as_bytes()).unwrap();
            step.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            step.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, asked.to_uppercase());
        }
        answering.join().unwrap();
        drop(relay);
    }

    #[test]
    fn a_step_does_not_use_up_the_descriptors() {
        let directory = tempfile::tempdir().unwrap();
        let agent = directory.path().join("agent");
        let listener = UnixListener::bind(&agent).unwrap();
        let relay = Relay::open(&directory.path().join("socket"), &agent, 0o600, (0, 0)).unwrap();
        let connect = || UnixStream::connect(relay.path()).unwrap();
        let mut held: Vec<(UnixStream, UnixStream)> =
            (0..MOST).map(|_| (connect(), listener.accept().unwrap().0)).collect();
        let mut refused = connect();
        assert_eq!(refused.read(&mut [0]).unwrap(), 0);
        let (step, agent) = held.last_mut().unwrap();
        agent.write_all(b"x").unwrap();
        step.read_exact(&mut [0]).unwrap();
    }
}
