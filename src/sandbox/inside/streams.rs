//! Stdin, stdout and stderr of what is run.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::ioctl_tiocsctty;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::termios::{Winsize, tcsetwinsize};

use super::super::kernel;
use super::super::request::Window;

/// The three, none of which has the number of one of them.
pub(super) struct Streams {
    descriptors: [OwnedFd; 3],
    is_terminal: bool,
}

impl Streams {
    /// Those of a step: nothing to read, and the build's output, which is stderr of this process.
    pub(super) fn of_step() -> io::Result<Self> {
        let output = || io::stderr().as_fd().try_clone_to_owned();
        Ok(Streams { descriptors: [nothing()?, output()?, output()?], is_terminal: false })
    }

    /// Those that a visitor brought.
    pub(super) fn given(descriptors: [OwnedFd; 3]) -> Self {
        Streams { descriptors, is_terminal: false }
    }

    /// A new terminal of the step's own, and its near end.
    pub(super) fn terminal(Window { rows, columns }: Window) -> io::Result<(OwnedFd, Self)> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let near = open("/dev/pts/ptmx", flags, Mode::empty())?;
        let far = kernel::far_end(&near)?;
        tcsetwinsize(&far, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
        let descriptors = [far.try_clone()?, far.try_clone()?, far];
        Ok((near, Streams { descriptors, is_terminal: true }))
    }

    /// Makes them those of this process; returns whether they are a terminal.
    pub(super) fn take(&self) -> io::Result<bool> {
        let [stdin, stdout, stderr] = &self.descriptors;
        dup2_stdin(stdin)?;
        dup2_stdout(stdout)?;
        dup2_stderr(stderr)?;
        Ok(self.is_terminal)
    }
}

/// Makes the terminal at stdin that of this process's session.
pub(super) fn control_terminal() -> io::Result<()> {
    Ok(ioctl_tiocsctty(io::stdin())?)
}

/// Lets go of the build's output, so that it ends with the processes of the step.
pub(super) fn release_output() -> io::Result<()> {
    Ok(dup2_stderr(nothing()?)?)
}

fn nothing() -> io::Result<OwnedFd> {
    Ok(open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}
