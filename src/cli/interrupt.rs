//! Ctrl-C and its like: nothing temporary stays behind.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::scratch;

use super::terminal;

/// From now on, a signal that asks this process to end has it remove its temporary files first. It then ends by the
/// same signal, as the shell that started it expects. Where signals cannot be had, they end it as ever, and the next
/// command sweeps the store.
pub(super) fn install() {
    // A process that was started to go on without a terminal ignores SIGHUP, and keeps on ignoring it.
    let Ok(mut signals) =
        Signals::new(if ignores_hangups() { &[SIGINT, SIGTERM][..] } else { &[SIGINT, SIGTERM, SIGHUP] })
    else {
        return;
    };
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            terminal::restore();
            scratch::remove_all();
            let _ = emulate_default_handler(signal);
        }
    });
}

/// True under `nohup`.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (SIGHUP - 1)) != 0
}
