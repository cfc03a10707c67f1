//! A process in which certain system calls fail, as on a disk that does.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What a process asks of the kernel.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// Putting a file or directory on the disk.
    Flush,
    Rename,
    Lock,
    Remove,
}

impl Call {
    fn numbers(self) -> &'static [libc::c_long] {
        match self {
            Call::Flush => &[libc::SYS_fsync, libc::SYS_fdatasync],
            #[cfg(target_arch = "x86_64")]
            Call::Rename => &[libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2],
            #[cfg(not(target_arch = "x86_64"))]
            Call::Rename => &[libc::SYS_renameat, libc::SYS_renameat2],
            Call::Lock => &[libc::SYS_flock],
            #[cfg(target_arch = "x86_64")]
            Call::Remove => &[libc::SYS_unlink, libc::SYS_unlinkat],
            #[cfg(not(target_arch = "x86_64"))]
            Call::Remove => &[libc::SYS_unlinkat],
        }
    }
}

/// Makes every such call of the command fail with `errno`, by a seccomp filter, which needs no privilege.
pub fn fail(command: &mut Command, call: Call, errno: i32) {
    install(command, call, libc::SECCOMP_RET_ERRNO | errno as u32);
}

/// Kills the command at the first such call, before the kernel does what it asks.
pub fn kill(command: &mut Command, call: Call) {
    install(command, call, libc::SECCOMP_RET_KILL_PROCESS);
}

fn install(command: &mut Command, call: Call, action: u32) {
    let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for &number in call.numbers() {
        // Equal: the next instruction. Else: skip it.
        filter
            .push(libc::sock_filter { jf: 1, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number as u32) });
        filter.push(statement(libc::BPF_RET | libc::BPF_K, action));
    }
    filter.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    let install = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: the program lives until the call returns, and the kernel only reads it.
        let results = unsafe {
            [
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program),
            ]
        };
        if results == [0, 0] { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec, it makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}
