//! Processes that are ended.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

/// The groups that are listed, by the number of their first process.
static LISTED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A program that was started in a process group of its own, with all that it starts. Dropped, all of them are ended.
#[derive(Debug)]
#[must_use]
pub struct Group {
    child: Child,
    is_over: bool,
}

impl Group {
    /// Starts a program and lists it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut listed = list();
        let child = command.process_group(0).spawn()?;
        listed.push(Pid::from_child(&child));
        Ok(Group { child, is_over: false })
    }

    /// The program itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How the program ended; `None` if it has not.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        // Once it was waited for, its number may be another's: nobody may end it then.
        let mut listed = list();
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.is_over = true;
            listed.retain(|pid| *pid != Pid::from_child(&self.child));
        }
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            let pid = Pid::from_child(&self.child);
            let _ = kill_process_group(pid, Signal::KILL);
            list().retain(|other| *other != pid);
            let _ = self.child.wait();
        }
    }
}

/// Ends every process that is listed. Whoever starts one from now on waits for the end of this process.
pub(super) fn end_all() {
    let listed = list();
    for pid in listed.iter() {
        let _ = kill_process_group(*pid, Signal::KILL);
    }
    std::mem::forget(listed);
}

fn list() -> MutexGuard<'static, Vec<Pid>> {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}
