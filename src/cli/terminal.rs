//! The terminal of the person who types the command.

use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::{Handle, Signals};

use crate::sandbox::Window;

/// How the terminal was before, as long as it is raw.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The size of the terminal at stdin and stdout; `None` if these are none.
pub(super) fn window() -> Option<Window> {
    let is_terminal = isatty(io::stdin()) && isatty(io::stdout());
    let size = tcgetwinsize(io::stdout()).ok().filter(|_| is_terminal)?;
    Some(Window { rows: size.ws_row, columns: size.ws_col })
}

/// The terminal passes every key on as it is, until this is dropped.
pub(super) struct Raw;

impl Raw {
    /// # Errors
    /// Stdin is no terminal.
    pub(super) fn enter() -> io::Result<Self> {
        let mut before = before();
        let mut settings = tcgetattr(io::stdin())?;
        *before = Some(settings.clone());
        settings.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &settings)?;
        Ok(Raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes the terminal as it was, if it is raw.
pub(super) fn restore() {
    if let Some(settings) = before().take() {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &settings);
    }
}

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives another terminal the size of this one whenever that changes, until this is dropped.
pub(super) struct Resizes(Handle);

impl Resizes {
    pub(super) fn follow(terminal: File) -> io::Result<Self> {
        let mut signals = Signals::new([SIGWINCH])?;
        let handle = signals.handle();
        thread::spawn(move || {
            for _ in signals.forever() {
                if let Ok(size) = tcgetwinsize(io::stdout()) {
                    let _ = tcsetwinsize(&terminal, size);
                }
            }
        });
        Ok(Resizes(handle))
    }
}

impl Drop for Resizes {
    fn drop(&mut self) {
        self.0.close();
    }
}
