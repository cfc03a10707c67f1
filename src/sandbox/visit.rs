//! People in the root of a step: they run a program of their own there, and whatever it changes is thrown away.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::error::SandboxError;
use super::passing::{give, take};
use super::request::{Command, Ending, Visiting, Window};

/// Somebody who looks around in a step's root.
pub trait Visitor {
    /// What is to be run.
    fn wish(&self) -> Wish;

    /// The program has started, or will not; talks to it until the line is closed.
    fn attend(&mut self, line: Line);

    /// Is told how it ended.
    fn left(&mut self, how: Result<Ending, SandboxError>);
}

/// A program that a visitor wants to run.
pub struct Wish {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables beside those of the step.
    pub env: BTreeMap<String, String>,
    /// The size of the visitor's terminal; `None` if there is none.
    pub window: Option<Window>,
}

/// How a visitor talks to the program.
pub enum Line {
    /// The near end of a terminal.
    Terminal(File),
    Pipes {
        stdin: PipeWriter,
        stdout: PipeReader,
        stderr: PipeReader,
    },
}

/// Is told how a step failed and the end of what it wrote, and may let a visitor in, once, by calling what it is given.
pub type OnFailure<'a> = &'a mut dyn FnMut(Ending, &str, LetIn);

/// Lets a visitor in; the way back is the end of the visit.
pub type LetIn<'a> = &'a mut dyn FnMut(&mut dyn Visitor);

/// Who comes.
pub(super) enum Guests<'a> {
    Nobody,
    /// A visitor, in place of a command.
    Now(&'a mut dyn Visitor),
    OnFailure(OnFailure<'a>),
}

/// Sends a visitor to the desk, and waits until the line is closed. The program has the environment and directory of `base`.
pub(super) fn receive(visitor: &mut dyn Visitor, base: &Command, mut desk: &UnixStream) -> io::Result<()> {
    let Wish { argv, env, window } = visitor.wish();
    let env = base.env.clone().into_iter().chain(env).collect();
    let visiting = Visiting { command: Command { argv, env, ..base.clone() }, window };
    let text = serde_json::to_vec(&visiting)?;
    let line = match window {
        Some(_) => {
            give(desk, b'V', &[])?;
            desk.write_all(&text)?;
            desk.shutdown(Shutdown::Write)?;
            let terminal = take(desk)?.and_then(|(_, descriptors)| descriptors.into_iter().next());
            terminal.map(|terminal| Line::Terminal(File::from(terminal)))
        }
        None => {
            let ((theirs, stdin), (stdout, written), (stderr, told)) = (io::pipe()?, io::pipe()?, io::pipe()?);
            give(desk, b'V', &[theirs.as_fd(), written.as_fd(), told.as_fd()])?;
            desk.write_all(&text)?;
            desk.shutdown(Shutdown::Write)?;
            Some(Line::Pipes { stdin, stdout, stderr })
        }
    };
    if let Some(line) = line {
        visitor.attend(line);
    }
    Ok(())
}
