//! One run of a command: whether it succeeded, how long it took, and how much memory.

use std::mem::MaybeUninit;
use std::process::Command;
use std::time::Instant;

#[derive(Clone, Copy)]
pub struct Finished {
    pub success: bool,
    /// From before the start to the end of the process.
    pub seconds: f64,
    /// The largest resident set of the process or of any child that it waited for, in KiB. The kernel counts what the
    /// process was before exec(2), so it is at least the bench's own: keep that small.
    pub peak_kib: u64,
}

/// Runs a command and asks the kernel for its peak memory, which the standard library does not.
#[expect(clippy::zombie_processes, reason = "wait4 waits for it, where clippy looks for `wait`")]
pub fn run(command: &mut Command) -> Finished {
    let start = Instant::now();
    let child = command.spawn().unwrap();
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live values of the types that wait4(2) fills; the child is ours and not waited for.
    let pid = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, usage.as_mut_ptr()) };
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(pid, child.id() as libc::pid_t);
    // SAFETY: all-zero bytes are a valid rusage, and the kernel has filled it.
    let usage = unsafe { usage.assume_init() };
    Finished { success: status == 0, seconds, peak_kib: usage.ru_maxrss as u64 }
}
