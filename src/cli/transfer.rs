//! Progress of pulls and pushes on stderr: a line a blob, or one line that changes where stderr is a terminal.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use crate::digest::Digest;
use crate::oci::Descriptor;
use crate::registry::{Progress, Transferred};

use super::size::human_size;

/// The line on a terminal changes after so many more bytes.
const STEP: u64 = 1 << 20;

/// Tells a person what is copied.
pub(super) struct Reporter {
    quiet: bool,
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: BTreeMap<Digest, (u64, u64)>,
    /// Bytes that have arrived since the line was written.
    unshown: u64,
}

impl Reporter {
    /// A quiet one says nothing.
    pub(super) fn new(quiet: bool) -> Self {
        Reporter { quiet, terminal: io::stderr().is_terminal(), state: Mutex::default() }
    }

    fn change(&self, change: impl FnOnce(&mut State) -> Option<String>) {
        if self.quiet {
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        let line = change(&mut state).map_or(String::new(), |line| format!("{line}\n"));
        let text = match self.terminal {
            false => line,
            true if line.is_empty() && state.unshown < STEP => return,
            true => {
                state.unshown = 0;
                let (here, all) = state.running.values().fold((0, 0), |sum, blob| (sum.0 + blob.0, sum.1 + blob.1));
                let running = match state.running.len() {
                    0 => String::new(),
                    blobs => format!("{blobs} blobs: {} of {}", human_size(here), human_size(all)),
                };
                format!("\r\x1b[K{line}{running}")
            }
        };
        // Nobody may be listening; that is no reason to stop.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

impl Progress for Reporter {
    fn begun(&self, blob: &Descriptor) {
        self.change(|state| {
            state.running.insert(blob.digest, (0, blob.size));
            None
        });
    }

    fn advanced(&self, blob: &Descriptor, bytes: u64) {
        if !self.terminal {
            return;
        }
        self.change(|state| {
            state.unshown += bytes;
            state.running.entry(blob.digest).and_modify(|(here, size)| *here = (*here + bytes).min(*size));
            None
        });
    }

    fn ended(&self, blob: &Descriptor, how: Transferred) {
        self.change(|state| {
            state.running.remove(&blob.digest);
            let how = match how {
                Transferred::Copied => "copied",
                Transferred::Present => "already there",
                Transferred::Mounted => "mounted from another repository",
            };
            Some(format!("{}  {:>8}  {how}", &blob.digest.hex()[..12], human_size(blob.size)))
        });
    }
}
