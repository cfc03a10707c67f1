//! System calls that neither std nor rustix wraps. All unsafe code of the sandbox is here.

use std::ffi::{CStr, CString, c_int, c_long, c_ulong, c_void};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::mount::MountAttrFlags;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Splits this process in two; `None` in the new one. The process has one thread: the helper starts none.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: there is no other thread that could hold a lock.
    let pid = checked(unsafe { libc::fork() }.into())?;
    Ok(Pid::from_raw(pid as i32))
}

/// New namespaces for this process, or with `NEWPID` for its next child.
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: no descriptor table is shared with another thread, as there is none.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Becomes another program; returns only why not.
pub(super) fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end with a null pointer and outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Sends SIGKILL to every process of the pid namespace but its first, which calls this.
pub(super) fn kill_all() {
    // SAFETY: kill touches no memory.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// Blocks SIGCHLD and returns a descriptor that is readable when it is pending.
pub(super) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before it is read; a new descriptor has no other owner.
    unsafe {
        let set = child_signal_set();
        checked(libc::sigprocmask(libc::SIG_BLOCK, &set, ptr::null_mut()).into())?;
        let fd = checked(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Undoes the blocking of [`child_signals`], and lets SIGPIPE, which the Rust runtime ignores, do what it does in other
/// programs.
pub(super) fn reset_signals() {
    // SAFETY: as in `child_signals`; the default action is no function.
    unsafe {
        libc::sigprocmask(libc::SIG_UNBLOCK, &child_signal_set(), ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Has the kernel bury children of which nobody wants to know how they ended.
pub(super) fn ignore_children() {
    // SAFETY: to be ignored is no function.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// Undoes [`ignore_children`], with which nobody can wait for a child.
pub(super) fn await_children() {
    // SAFETY: the default action is no function.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

fn child_signal_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        set.assume_init()
    }
}

/// Another descriptor for the same, with this number, which is closed when a program is executed.
pub(super) fn duplicate_to(file: BorrowedFd, number: RawFd) -> io::Result<OwnedFd> {
    // By way of a higher one: `file` may have the number itself.
    let high = rustix::io::fcntl_dupfd_cloexec(file, number + 1)?;
    // SAFETY: the new descriptor has no other owner: whatever had its number is closed.
    unsafe {
        let fd = checked(libc::dup3(high.as_raw_fd(), number, libc::O_CLOEXEC).into())?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Closes every descriptor from `first` on.
pub(super) fn close_from(first: RawFd) {
    // SAFETY: called before this process becomes another program, which uses none of them.
    unsafe { libc::syscall(libc::SYS_close_range, first as libc::c_uint, libc::c_uint::MAX, 0) };
}

/// The far end of a new terminal, to which no path need lead.
pub(super) fn far_end(near: &OwnedFd) -> io::Result<OwnedFd> {
    let unlocked: c_int = 0;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the kernel reads a number; a new descriptor has no other owner.
    unsafe {
        checked(libc::ioctl(near.as_raw_fd(), libc::TIOCSPTLCK as _, &unlocked).into())?;
        let fd = checked(libc::ioctl(near.as_raw_fd(), libc::TIOCGPTPEER as _, flags).into())?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Memory is laid out in the same way in every run of a program.
pub(super) fn fix_memory_layout() -> io::Result<()> {
    // SAFETY: personality touches no memory.
    checked(unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as c_ulong) }.into()).map(drop)
}

/// Switches on the loopback interface of this process's network namespace.
pub(super) fn raise_loopback() -> io::Result<()> {
    // SAFETY: the request is a plain structure, zeroed, with a name that ends with NUL; the descriptor is new.
    unsafe {
        let socket = checked(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).into())?;
        let socket = OwnedFd::from_raw_fd(socket as RawFd);
        let mut request: libc::ifreq = mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        checked(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request).into()).map(drop)
    }
}

/// The version of Landlock's interface; 0 if the kernel has none (landlock(7)).
fn landlock_version() -> c_long {
    const VERSION: c_long = 1;
    // SAFETY: asked in this way, the kernel reads and writes no memory.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<c_void>(), 0, VERSION) }.max(0)
}

/// True if the kernel can keep a process from sockets with abstract names that others made, since Linux 6.12.
pub(super) fn can_scope_abstract_sockets() -> bool {
    landlock_version() >= 6
}

/// Keeps this process and its children from sockets with abstract names that others made, where the kernel can do so.
pub(super) fn scope_abstract_sockets() -> io::Result<()> {
    const ABSTRACT_UNIX_SOCKETS: u64 = 1;
    if !can_scope_abstract_sockets() {
        return Ok(());
    }
    // What is handled of files and of ports, and what is scoped.
    let rules: [u64; 3] = [0, 0, ABSTRACT_UNIX_SOCKETS];
    // SAFETY: the kernel reads as many bytes as it is told; the descriptor is new.
    unsafe {
        let rules = libc::syscall(libc::SYS_landlock_create_ruleset, &rules, size_of_val(&rules), 0);
        let rules = OwnedFd::from_raw_fd(checked(rules)? as RawFd);
        checked(libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0)).map(drop)
    }
}

/// Applies a seccomp filter to this process and its children. With `listen`, a descriptor is returned on which the filter's
/// notifications arrive.
pub(super) fn install_filter(program: &[libc::sock_filter], listen: bool) -> io::Result<Option<OwnedFd>> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    let install = |flags: c_ulong| {
        // SAFETY: the program outlives the call, and the kernel only reads it.
        checked(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program) })
    };
    if !listen {
        return install(0).map(|_| None);
    }
    // Without the second flag, which Linux has since 5.19, a signal may have a call begun twice.
    let listener = install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
        .or_else(|_| install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER))?;
    // SAFETY: the descriptor is new.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(listener as RawFd) }))
}

/// Has the kernel go straight to whoever listens and back, on one processor. It is faster, and Linux has it since 6.6.
pub(super) fn wake_at_once(listener: &OwnedFd) {
    const SYNC_WAKE_UP: u64 = 1;
    // SAFETY: the argument is a number. Without it, all is as before.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS as _, SYNC_WAKE_UP) };
}

/// Takes rights away from a mount; `flags` are added to those that it has.
pub(super) fn restrict_mount(mount: &OwnedFd, flags: MountAttrFlags) -> io::Result<()> {
    set_mount(mount, 0, (flags, MountAttrFlags::empty()))
}

/// As [`restrict_mount`], and of all that is mounted in it.
pub(super) fn restrict_mounts(mount: &OwnedFd, flags: MountAttrFlags) -> io::Result<()> {
    set_mount(mount, libc::AT_RECURSIVE, (flags, MountAttrFlags::empty()))
}

/// Gives a mount, but none that is mounted in it, the rights back that [`restrict_mounts`] has taken.
pub(super) fn free_mount(mount: &OwnedFd, flags: MountAttrFlags) -> io::Result<()> {
    set_mount(mount, 0, (MountAttrFlags::empty(), flags))
}

fn set_mount(mount: &OwnedFd, reach: c_int, (set, clear): (MountAttrFlags, MountAttrFlags)) -> io::Result<()> {
    let (attr_set, attr_clr) = (set.bits().into(), clear.bits().into());
    let attributes = libc::mount_attr { attr_set, attr_clr, propagation: 0, userns_fd: 0 };
    let (path, flags, size) = (c"".as_ptr(), libc::AT_EMPTY_PATH | reach, size_of::<libc::mount_attr>());
    // SAFETY: the kernel reads the text and the structure, whose size it is told.
    let result = unsafe { libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), path, flags, &attributes, size) };
    checked(result).map(drop)
}

/// The next notification; `None` if its process is gone meanwhile.
pub(super) fn receive(listener: &OwnedFd) -> io::Result<Option<libc::seccomp_notif>> {
    // SAFETY: the kernel wants a zeroed structure and fills it in.
    let mut notification: libc::seccomp_notif = unsafe { mem::zeroed() };
    // SAFETY: it is of the size that the request's number says.
    let received = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &mut notification) };
    match checked(received.into()) {
        Ok(_) => Ok(Some(notification)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// True as long as the process waits for the answer to notification `id`; until then its number is its own.
pub(super) fn is_waiting(listener: &OwnedFd, id: u64) -> bool {
    // SAFETY: the kernel reads a number.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _, &id) == 0 }
}

/// What a process is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The kernel does the call as if nobody had asked.
    Continue,
    /// The call returns this.
    Value(i64),
    /// The call fails with this number.
    Error(i32),
    /// The process has its answer.
    Given,
}

/// Answers a notification. That the process is gone meanwhile is no error.
pub(super) fn respond(listener: &OwnedFd, id: u64, answer: Answer) {
    let mut response = libc::seccomp_notif_resp { id, val: 0, error: 0, flags: 0 };
    match answer {
        Answer::Continue => response.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        Answer::Value(value) => response.val = value,
        Answer::Error(number) => response.error = -number,
        Answer::Given => return,
    }
    // SAFETY: it is of the size that the request's number says.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &response) };
}

/// Answers a notification with a descriptor for `file`.
pub(super) fn give_descriptor(listener: &OwnedFd, id: u64, file: &OwnedFd, is_closed: bool) -> io::Result<()> {
    let gift = libc::seccomp_notif_addfd {
        id,
        flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
        srcfd: file.as_raw_fd() as u32,
        newfd: 0,
        newfd_flags: if is_closed { libc::O_CLOEXEC as u32 } else { 0 },
    };
    // SAFETY: it is of the size that the request's number says.
    let given = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD as _, &gift) };
    checked(given.into()).map(drop)
}

/// The limit of file locks of another process, which the kernel hands on to children and does not heed (getrlimit(2),
/// "RLIMIT_LOCKS").
pub(super) fn lock_limit(pid: u32) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills in the structure.
    checked(unsafe { libc::prlimit(pid as i32, libc::RLIMIT_LOCKS, ptr::null(), &mut limit) }.into())?;
    Ok(limit)
}

/// Sets what [`lock_limit`] says.
pub(super) fn set_lock_limit(pid: u32, limit: libc::rlimit) -> io::Result<()> {
    // SAFETY: the kernel reads the structure.
    checked(unsafe { libc::prlimit(pid as i32, libc::RLIMIT_LOCKS, &limit, ptr::null_mut()) }.into()).map(drop)
}

/// Reads memory of another process, as much as there is; returns how many bytes.
pub(super) fn read_memory(pid: u32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: buffer.len() };
    // SAFETY: `local` is the buffer; `remote` is checked by the kernel.
    checked(unsafe { libc::process_vm_readv(pid as i32, &local, 1, &remote, 1, 0) } as c_long).map(|n| n as usize)
}

/// Writes all of `bytes` into memory of another process.
pub(super) fn write_memory(pid: u32, address: u64, bytes: &[u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
    // SAFETY: `local` is only read; `remote` is checked by the kernel.
    let written = checked(unsafe { libc::process_vm_writev(pid as i32, &local, 1, &remote, 1, 0) } as c_long)?;
    if written as usize == bytes.len() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EFAULT)) }
}

/// What `stat` says of an open file.
pub(super) fn stat(file: BorrowedFd) -> io::Result<libc::stat> {
    let mut stat = MaybeUninit::uninit();
    let fd = file.as_raw_fd();
    // SAFETY: the kernel fills in the structure, or the call fails.
    unsafe {
        checked(libc::fstatat(fd, c"".as_ptr(), stat.as_mut_ptr(), libc::AT_EMPTY_PATH).into())?;
        Ok(stat.assume_init())
    }
}

/// What `statx` says of an open file.
pub(super) fn statx(file: BorrowedFd, flags: c_int, mask: u32) -> io::Result<libc::statx> {
    let mut stat = MaybeUninit::uninit();
    let fd = file.as_raw_fd();
    // SAFETY: the kernel fills in the structure, or the call fails.
    unsafe {
        checked(libc::statx(fd, c"".as_ptr(), flags | libc::AT_EMPTY_PATH, mask, stat.as_mut_ptr()).into())?;
        Ok(stat.assume_init())
    }
}

/// The bytes of a plain structure that the kernel wrote.
pub(super) fn bytes_of<T: Copy>(value: &T) -> &[u8] {
    // SAFETY: used for `stat` and `statx`, which were zeroed or written by the kernel to their end.
    unsafe { std::slice::from_raw_parts(ptr::from_ref(value).cast(), size_of::<T>()) }
}

fn checked(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
