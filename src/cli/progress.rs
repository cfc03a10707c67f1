//! Progress on stderr: a line a step, or one line that changes where stderr is a terminal.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use crate::build::{How, Progress};

/// Tells a person what a build does.
pub(super) struct Reporter {
    total: usize,
    quiet: bool,
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: usize,
    running: Vec<String>,
    /// Those of them that wrote something.
    writing: BTreeSet<String>,
}

impl Reporter {
    /// A reporter for a build of `total` steps; a quiet one says nothing.
    pub(super) fn new(total: usize, quiet: bool) -> Self {
        Reporter { total, quiet, terminal: io::stderr().is_terminal(), state: Mutex::default() }
    }

    /// Takes away the line that changes.
    pub(super) fn clear(&self) {
        if self.terminal && !self.quiet {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }

    /// Says nothing while `talk` lasts; who has something to say waits.
    pub(super) fn pause(&self, talk: impl FnOnce()) {
        let _state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.clear();
        talk();
    }

    fn change(&self, change: impl FnOnce(&mut State) -> Option<String>) {
        if self.quiet {
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        let line = change(&mut state);
        let text = if self.terminal {
            let running = state.running.first().map_or("", String::as_str);
            format!("\r\x1b[K[{}/{}] {running}", state.done, self.total)
        } else {
            line.map_or(String::new(), |line| format!("[{}/{}] {line}\n", state.done, self.total))
        };
        // Nobody may be listening; that is no reason to stop a build.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

impl Progress for Reporter {
    fn started(&self, title: &str) {
        self.change(|state| {
            state.running.push(title.to_owned());
            None
        });
    }

    fn waiting(&self, title: &str) {
        self.change(|_| Some(format!("{title} (waiting for another build that makes it)")));
    }

    /// What steps write comes between the lines about them; of steps at the same time, each line says whose it is.
    fn wrote(&self, title: &str, line: &str) {
        if self.quiet {
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        state.writing.insert(title.to_owned());
        let whose = if state.writing.len() > 1 { format!("{title}: ") } else { String::new() };
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let _ = io::stderr().write_all(format!("{clear}{whose}{line}\n").as_bytes());
    }

    /// Warnings are shown even to those who asked for silence: nobody else will tell them.
    fn warned(&self, text: &str) {
        self.clear();
        let _ = writeln!(io::stderr(), "warning: {text}");
    }

    fn finished(&self, title: &str, how: &How, is_hermetic: bool) {
        self.change(|state| {
            state.done += 1;
            state.writing.remove(title);
            if let Some(at) = state.running.iter().position(|running| running == title) {
                state.running.remove(at);
            }
            let mark = if is_hermetic { "" } else { " [not hermetic]" };
            let title = format!("{title}{mark}");
            Some(match how {
                How::Done => title,
                How::Hit => format!("{title} (cached)"),
                How::Miss(reason) => format!("{title} ({reason})"),
            })
        });
    }
}
