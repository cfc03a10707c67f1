//! The seccomp filter: what no step may do, and what the recorder answers in the kernel's place.
//!
//! Everything is allowed but for what is listed here: calls that act on the machine rather than on the step's own namespaces,
//! or that have been ways out of containers. The list is what Docker's default profile leaves out with the
//! capabilities of [`super::rights`] (mounts and namespaces therefore), and AF_VSOCK, which no namespace confines. That profile
//! names what is allowed; this one does not, so that calls that come with a new kernel and a new C library work.

use std::mem::offset_of;

use libc::{c_long, seccomp_data, sock_filter};

use super::super::subordinate::IDS;
use super::super::tier::Tier;
use super::recorder::NAMELESS;

/// `open_tree_attr`, which the libc crate does not know: `open_tree` with changes.
const OPEN_TREE_ATTR: c_long = 467;

/// Calls that fail with EPERM.
const FORBIDDEN: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_get_mempolicy,
    libc::SYS_init_module,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_set_mempolicy_home_node,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
];

/// Calls that fail with ENOSYS, so that programs do it in the way that can be looked at: the flags of `clone3` lie in
/// memory. Rings do calls past every filter.
const ABSENT: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Calls about owners and users, which the recorder answers, and those that make what has an owner.
const RECORDED: &[c_long] = &[
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_getuid,
    libc::SYS_getgid,
    libc::SYS_geteuid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
    libc::SYS_openat2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_creat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
];

/// Calls that may make a file: the number, and which argument has the flags.
const OPENING: &[(c_long, usize)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];

/// Flags with which these make one, with a name or without.
const MAKING: u32 = libc::O_CREAT as u32 | NAMELESS as u32;

/// Calls about limits: the number, and which argument says which limit. That of file locks is the recorder's.
const LIMITING: &[(c_long, usize)] = &[(libc::SYS_prlimit64, 1), (libc::SYS_getrlimit, 0), (libc::SYS_setrlimit, 0)];

/// Flags of `clone` that make namespaces.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// Numbers from here on are those of x32.
const X32: u32 = 0x4000_0000;

/// Calls with ids of which there are only [`IDS`] where they are subordinate: the number, and which arguments have them.
const WITH_IDS: &[(c_long, &[usize])] = &[
    (libc::SYS_fchown, &[1, 2]),
    (libc::SYS_fchownat, &[2, 3]),
    (libc::SYS_setuid, &[0]),
    (libc::SYS_setgid, &[0]),
    (libc::SYS_setreuid, &[0, 1]),
    (libc::SYS_setregid, &[0, 1]),
    (libc::SYS_setresuid, &[0, 1, 2]),
    (libc::SYS_setresgid, &[0, 1, 2]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chown, &[1, 2]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lchown, &[1, 2]),
];

/// Calls that make devices, which no user namespace may: the number, and which argument has the mode.
const MAKING_NODES: &[(c_long, usize)] = &[
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
];

/// The program for the kernel. For a single user, calls about owners become notifications; with subordinate ids, those that
/// these do not do for.
pub(super) fn filter(tier: Tier) -> Vec<sock_filter> {
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        // A process of another architecture has other numbers.
        skip_if(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        load(offset_of!(seccomp_data, nr)),
        skip_if(libc::BPF_JGE, X32, 0, 1),
        error(libc::ENOSYS),
    ];
    if tier == Tier::SubordinateIds {
        program.extend(beyond_ids());
    }
    if tier == Tier::SingleUser {
        RECORDED.iter().for_each(|&call| program.extend(always(call, answer(libc::SECCOMP_RET_USER_NOTIF))));
        for &(call, flags) in OPENING {
            let creates = skip_if(libc::BPF_JSET, MAKING, 0, 1);
            program.extend(when(call, vec![load_argument(flags), creates, answer(libc::SECCOMP_RET_USER_NOTIF)]));
        }
        for &(call, limit) in LIMITING {
            let locks = skip_if(libc::BPF_JEQ, libc::RLIMIT_LOCKS, 0, 1);
            program.extend(when(call, vec![load_argument(limit), locks, answer(libc::SECCOMP_RET_USER_NOTIF)]));
        }
    }
    FORBIDDEN.iter().for_each(|&call| program.extend(always(call, error(libc::EPERM))));
    ABSENT.iter().for_each(|&call| program.extend(always(call, error(libc::ENOSYS))));
    let if_any =
        |argument, bits| vec![load_argument(argument), skip_if(libc::BPF_JSET, bits, 0, 1), error(libc::EPERM)];
    let if_equal =
        |argument, value: u32| vec![load_argument(argument), skip_if(libc::BPF_JEQ, value, 0, 1), error(libc::EPERM)];
    program.extend(when(libc::SYS_clone, if_any(0, NAMESPACES)));
    program.extend(when(libc::SYS_socket, if_equal(0, libc::AF_VSOCK as u32)));
    // The limits of the first process, whose user is that of the step.
    program.extend(when(libc::SYS_prlimit64, if_equal(0, 1)));
    // Both put characters into a terminal as if a person had typed them.
    program.extend(when(libc::SYS_ioctl, if_equal(1, libc::TIOCSTI as u32)));
    program.extend(when(libc::SYS_ioctl, if_equal(1, libc::TIOCLINUX as u32)));
    // The layout of memory stays fixed; asking is allowed.
    let personality = vec![
        load_argument(0),
        skip_if(libc::BPF_JEQ, u32::MAX, 2, 0),
        skip_if(libc::BPF_JEQ, libc::ADDR_NO_RANDOMIZE as u32, 1, 0),
        error(libc::EPERM),
    ];
    program.extend(when(libc::SYS_personality, personality));
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

/// Notifications for what cannot be done with subordinate ids.
fn beyond_ids() -> Vec<sock_filter> {
    let ask = answer(libc::SECCOMP_RET_USER_NOTIF);
    let mut program = Vec::new();
    for &(call, arguments) in WITH_IDS {
        // All bits set says that an id stays as it is.
        let check = |&argument: &usize| {
            [load_argument(argument), skip_if(libc::BPF_JEQ, u32::MAX, 2, 0), skip_if(libc::BPF_JGE, IDS, 0, 1), ask]
        };
        program.extend(when(call, arguments.iter().flat_map(check).collect()));
    }
    for &(call, mode) in MAKING_NODES {
        let kind = statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, libc::S_IFMT);
        let device = |kind| [skip_if(libc::BPF_JEQ, kind, 0, 1), ask];
        let check = [load_argument(mode), kind].into_iter().chain(device(libc::S_IFCHR)).chain(device(libc::S_IFBLK));
        program.extend(when(call, check.collect()));
    }
    program
}

/// `verdict` for every call with this number.
fn always(call: c_long, verdict: sock_filter) -> [sock_filter; 2] {
    [skip_if(libc::BPF_JEQ, call as u32, 0, 1), verdict]
}

/// `body` for calls with this number. It ends with a verdict or goes on to what follows.
fn when(call: c_long, body: Vec<sock_filter>) -> Vec<sock_filter> {
    let reload = load(offset_of!(seccomp_data, nr));
    let over = skip_if(libc::BPF_JEQ, call as u32, 0, body.len() as u8 + 1);
    std::iter::once(over).chain(body).chain([reload]).collect()
}

fn load(offset: usize) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset as u32)
}

/// The lower half of an argument; both architectures are little-endian.
fn load_argument(index: usize) -> sock_filter {
    load(offset_of!(seccomp_data, args) + 8 * index)
}

fn error(number: i32) -> sock_filter {
    answer(libc::SECCOMP_RET_ERRNO | number as u32)
}

fn answer(verdict: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, verdict)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Skips `then` instructions if the comparison holds, else `otherwise`.
fn skip_if(comparison: u32, k: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16, jt: then, jf: otherwise, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program says about a call, as the kernel would run it.
    fn verdict(program: &[sock_filter], call: c_long, arguments: [u64; 6]) -> u32 {
        let word = |offset: usize| match offset {
            0 => call as u32,
            4 => ARCHITECTURE,
            _ => arguments[(offset - 16) / 8] as u32,
        };
        let (mut at, mut value) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { jt } else { jf });
            match u32::from(code) {
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => value = word(k as usize),
                code if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K => value &= k,
                code if code == libc::BPF_RET | libc::BPF_K => return k,
                code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => at += jump(value == k),
                code if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => at += jump(value >= k),
                code if code == libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K => at += jump(value & k != 0),
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;
    const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

    #[test]
    fn what_programs_need_is_allowed_and_what_leads_out_is_not() {
        let program = filter(Tier::Root);
        let says = |call, arguments| verdict(&program, call, arguments);
        assert_eq!(says(libc::SYS_openat, [0; 6]), ALLOWED);
        assert_eq!(says(libc::SYS_fchown, [0; 6]), ALLOWED);
        for call in [libc::SYS_mount, libc::SYS_pidfd_getfd, libc::SYS_quotactl_fd, OPEN_TREE_ATTR] {
            assert_eq!(says(call, [0; 6]), REFUSED, "{call}");
        }
        assert_eq!(says(libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]), ALLOWED);
        assert_eq!(says(libc::SYS_clone, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0]), REFUSED);
        assert_eq!(says(libc::SYS_socket, [libc::AF_UNIX as u64, 0, 0, 0, 0, 0]), ALLOWED);
        assert_eq!(says(libc::SYS_socket, [libc::AF_VSOCK as u64, 0, 0, 0, 0, 0]), REFUSED);
        assert_eq!(says(libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0]), REFUSED);
        assert_eq!(says(libc::SYS_ioctl, [0, libc::TIOCGWINSZ, 0, 0, 0, 0]), ALLOWED);
        assert_eq!(says(libc::SYS_prlimit64, [1, 0, 0, 0, 0, 0]), REFUSED);
        assert_eq!(says(libc::SYS_prlimit64, [0, libc::RLIMIT_LOCKS.into(), 0, 0, 0, 0]), ALLOWED);
        assert_eq!(says(libc::SYS_personality, [u64::from(u32::MAX), 0, 0, 0, 0, 0]), ALLOWED);
        assert_eq!(says(libc::SYS_personality, [0; 6]), REFUSED);
    }

    #[test]
    fn only_what_subordinate_ids_do_not_do_for_is_asked() {
        let program = filter(Tier::SubordinateIds);
        let chown = |uid: u32, gid: u32| verdict(&program, libc::SYS_fchown, [3, uid.into(), gid.into(), 0, 0, 0]);
        for (uid, gid) in [(0, 0), (IDS - 1, u32::MAX), (u32::MAX, IDS - 1)] {
            assert_eq!(chown(uid, gid), ALLOWED);
        }
        for (uid, gid) in [(IDS, 0), (u32::MAX - 1, u32::MAX), (u32::MAX, IDS)] {
            assert_eq!(chown(uid, gid), libc::SECCOMP_RET_USER_NOTIF);
        }
        let make = |mode: u32| verdict(&program, libc::SYS_mknodat, [0, 0, mode.into(), 0, 0, 0]);
        for kind in [libc::S_IFREG, libc::S_IFIFO, libc::S_IFSOCK, 0] {
            assert_eq!(make(kind | 0o644), ALLOWED);
        }
        for kind in [libc::S_IFCHR, libc::S_IFBLK] {
            assert_eq!(make(kind | 0o644), libc::SECCOMP_RET_USER_NOTIF);
        }
        assert_eq!(verdict(&program, libc::SYS_statx, [0; 6]), ALLOWED);
        assert_eq!(verdict(&program, libc::SYS_unshare, [0; 6]), REFUSED);
    }

    #[test]
    fn the_recorder_is_asked_about_owners_and_new_files() {
        let program = filter(Tier::SingleUser);
        let flags = |flags: i32| [0, 0, flags as u64, 0, 0, 0];
        for call in [libc::SYS_fchownat, libc::SYS_mknodat] {
            assert_eq!(verdict(&program, call, [0; 6]), libc::SECCOMP_RET_USER_NOTIF);
        }
        let making = flags(libc::O_CREAT | libc::O_WRONLY);
        assert_eq!(verdict(&program, libc::SYS_openat, making), libc::SECCOMP_RET_USER_NOTIF);
        assert_eq!(verdict(&program, libc::SYS_openat, flags(libc::O_TMPFILE)), libc::SECCOMP_RET_USER_NOTIF);
        let limit = |limit: u32| verdict(&program, libc::SYS_prlimit64, [0, limit.into(), 0, 0, 0, 0]);
        assert_eq!((limit(libc::RLIMIT_LOCKS), limit(libc::RLIMIT_NOFILE)), (libc::SECCOMP_RET_USER_NOTIF, ALLOWED));
        for others in [libc::O_WRONLY, libc::O_DIRECTORY] {
            assert_eq!(verdict(&program, libc::SYS_openat, flags(others)), ALLOWED);
        }
        assert_eq!(verdict(&program, libc::SYS_unshare, [0; 6]), REFUSED);
    }
}
