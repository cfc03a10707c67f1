//! The person at the command line as a visitor of a step's root.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::sandbox::{Ending, Line, SandboxError, Visitor, Window, Wish};

use super::environment;
use super::terminal::{Raw, Resizes, window};

/// What a person runs who names no program.
const SHELL: &str = "/bin/sh";

/// Somebody with a terminal, or with a program to run, or with input for a shell.
pub(super) struct Guest {
    argv: Vec<String>,
    window: Option<Window>,
    /// What was read of stdin to see whether there is anything.
    first: Vec<u8>,
    /// Is said when the program starts.
    greeting: Option<String>,
    how: Option<Result<Ending, SandboxError>>,
}

impl Guest {
    /// A guest who wants to run `argv`, by default a shell; `None` for a shell without a terminal and without anything on
    /// stdin.
    ///
    /// # Errors
    /// Stdin cannot be read.
    pub(super) fn new(argv: &[String]) -> io::Result<Option<Self>> {
        let window = window();
        let mut first = Vec::new();
        if window.is_none() && argv.is_empty() {
            first = vec![0; 4096];
            // Past the buffer of std, as below.
            let read = rustix::io::read(io::stdin(), &mut first)?;
            first.truncate(read);
            if first.is_empty() {
                return Ok(None);
            }
        }
        let argv = if argv.is_empty() { vec![SHELL.to_owned()] } else { argv.to_vec() };
        Ok(Some(Guest { argv, window, first, greeting: None, how: None }))
    }

    /// The guest, who is told this on stderr when the program starts.
    pub(super) fn greeted(self, text: String) -> Self {
        Guest { greeting: Some(text), ..self }
    }

    /// The program.
    pub(super) fn program(&self) -> &str {
        &self.argv[0]
    }

    /// How it ended, if it was run.
    pub(super) fn into_ending(self) -> Option<Result<Ending, SandboxError>> {
        self.how
    }
}

impl Visitor for Guest {
    fn wish(&self) -> Wish {
        let kind = environment::terminal_kind().filter(|_| self.window.is_some());
        let env = BTreeMap::from_iter(kind.map(|kind| ("TERM".to_owned(), kind)));
        Wish { argv: self.argv.clone(), env, window: self.window }
    }

    fn attend(&mut self, line: Line) {
        if let Some(greeting) = self.greeting.take() {
            eprintln!("{greeting}");
        }
        let first = std::mem::take(&mut self.first);
        // A conversation that breaks off ends the program's input or output; how the program ends then, it says itself.
        let _ = match line {
            Line::Terminal(terminal) => {
                let talk = || {
                    let (_raw, _resizes) = (Raw::enter()?, Resizes::follow(terminal.try_clone()?)?);
                    converse(&first, terminal.try_clone()?, || pass(terminal, io::stdout()))
                };
                talk()
            }
            Line::Pipes { stdin, stdout, stderr } => converse(&first, stdin, || {
                thread::scope(|scope| {
                    scope.spawn(|| pass(stderr, io::stderr()));
                    pass(stdout, io::stdout());
                });
            }),
        };
    }

    fn left(&mut self, how: Result<Ending, SandboxError>) {
        self.how = Some(how);
    }
}

/// Passes stdin on to `input`, after `first`, until `listen` returns.
fn converse(first: &[u8], input: impl Write + Send, listen: impl FnOnce()) -> io::Result<()> {
    let (over, end) = io::pipe()?;
    thread::scope(|scope| {
        scope.spawn(move || feed(first, input, &over));
        listen();
        drop(end);
    });
    Ok(())
}

/// Passes stdin on until it ends, nobody reads any more, or `over` is closed.
fn feed(first: &[u8], mut input: impl Write, over: &PipeReader) {
    let stdin = io::stdin();
    let mut buffer = [0; 4096];
    let mut sent = input.write_all(first);
    while sent.is_ok() {
        let mut watched = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(over, PollFlags::IN)];
        match poll(&mut watched, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        if !watched[1].revents().is_empty() {
            return;
        }
        if watched[0].revents().is_empty() {
            continue;
        }
        // Past the buffer of std, which would hide from `poll` what it has.
        match rustix::io::read(stdin.as_fd(), &mut buffer) {
            Ok(0) => return,
            Ok(read) => sent = input.write_all(&buffer[..read]),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Passes all on as it comes, until there is no more or nobody wants it.
fn pass(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                if to.write_all(&buffer[..read]).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The near end of a terminal says so when the last program has closed the far one.
            Err(_) => return,
        }
    }
}
