//! One call that waits for an answer.

use std::io;
use std::os::fd::OwnedFd;

use libc::{c_long, seccomp_notif};

use super::super::super::kernel::{self, Answer};
use super::create::{self, Make};
use super::journal::Journal;
use super::tracee::Tracee;
use super::users::Users;
use super::{device, owner, status};

/// Says "the present working directory" in place of a descriptor.
const HERE: i32 = libc::AT_FDCWD;

/// A call as the kernel tells of it.
pub(super) struct Call<'a> {
    pub(super) notification: &'a seccomp_notif,
    pub(super) listener: &'a OwnedFd,
}

/// Which file a call is about.
pub(super) enum Which {
    Descriptor(i32),
    Path { directory: i32, address: u64, follow: bool, may_be_empty: bool },
}

impl Call<'_> {
    /// What the process is answered. What is an error here is one to the process.
    pub(super) fn answer(&self, journal: &mut Journal, users: &mut Users) -> io::Result<Answer> {
        let arguments = self.notification.data.args;
        let tracee = Tracee::new(self.notification.pid);
        let number = c_long::from(self.notification.data.nr);
        if let Some(file) = self.owned(number) {
            let change = match number {
                libc::SYS_fchownat => (arguments[2], arguments[3]),
                _ => (arguments[1], arguments[2]),
            };
            return owner::change(self, &tracee, &file, (change.0 as u32, change.1 as u32), journal, users);
        }
        if let Some((file, reply)) = self.asked(number) {
            return status::answer(self, &tracee, &file, &reply, journal);
        }
        if let Some((place, make)) = self.made(number) {
            return match users.maker(&tracee)? {
                Some(maker) => create::make(self, &tracee, place, &make, maker, journal),
                None => Ok(Answer::Continue),
            };
        }
        match number {
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mknod if !users.is_root(&tracee)? => Ok(Answer::Error(libc::EPERM)),
            libc::SYS_mknodat if !users.is_root(&tracee)? => Ok(Answer::Error(libc::EPERM)),
            libc::SYS_mknodat => device::make(
                self,
                &tracee,
                (arguments[0] as i32, arguments[1]),
                arguments[2] as u32,
                arguments[3],
                journal,
            ),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mknod => {
                device::make(self, &tracee, (HERE, arguments[0]), arguments[1] as u32, arguments[2], journal)
            }
            // Its flags lie in memory. Programs have another way, as older kernels do not know it.
            libc::SYS_openat2 => Ok(users.maker(&tracee)?.map_or(Answer::Continue, |_| Answer::Error(libc::ENOSYS))),
            _ => users.answer(number, &arguments, &tracee),
        }
    }

    /// The process still waits: what was read of it was its own.
    pub(super) fn check(&self) -> io::Result<()> {
        if kernel::is_waiting(self.listener, self.notification.id) {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    }

    /// Answers with a descriptor for `file`, which is closed on exec or not.
    pub(super) fn give_descriptor(&self, file: &OwnedFd, is_closed: bool) -> io::Result<Answer> {
        kernel::give_descriptor(self.listener, self.notification.id, file, is_closed).map(|()| Answer::Given)
    }

    /// The file whose owner the call changes.
    fn owned(&self, number: c_long) -> Option<Which> {
        let arguments = &self.notification.data.args;
        Some(match number {
            libc::SYS_fchown => Which::Descriptor(arguments[0] as i32),
            libc::SYS_fchownat => Which::at(arguments[0], arguments[1], arguments[4]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chown => Which::named(arguments[0], true),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_lchown => Which::named(arguments[0], false),
            _ => return None,
        })
    }

    /// Where the call makes a file, and which; `None` for devices too.
    fn made(&self, number: c_long) -> Option<((i32, u64), Make)> {
        let arguments = &self.notification.data.args;
        let at = (arguments[0] as i32, arguments[1]);
        let node = |mode: u64| {
            let mode = mode as u32;
            (!matches!(mode & libc::S_IFMT, libc::S_IFCHR | libc::S_IFBLK)).then_some(Make::Node { mode })
        };
        #[cfg(target_arch = "x86_64")]
        let here = (HERE, arguments[0]);
        Some(match number {
            libc::SYS_openat => (at, Make::File { flags: arguments[2], mode: arguments[3] as u32 }),
            libc::SYS_mkdirat => (at, Make::Directory { mode: arguments[2] as u32 }),
            libc::SYS_mknodat => (at, node(arguments[2])?),
            libc::SYS_symlinkat => ((arguments[1] as i32, arguments[2]), Make::Symlink { target: arguments[0] }),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => (here, Make::File { flags: arguments[1], mode: arguments[2] as u32 }),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_creat => {
                let flags = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64;
                (here, Make::File { flags, mode: arguments[1] as u32 })
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mkdir => (here, Make::Directory { mode: arguments[1] as u32 }),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mknod => (here, node(arguments[1])?),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_symlink => ((HERE, arguments[1]), Make::Symlink { target: arguments[0] }),
            _ => return None,
        })
    }

    /// The file that the call asks about, and where the reply goes.
    fn asked(&self, number: c_long) -> Option<(Which, status::Reply)> {
        let arguments = &self.notification.data.args;
        let stat = |address| status::Reply::Stat { address };
        Some(match number {
            libc::SYS_fstat => (Which::Descriptor(arguments[0] as i32), stat(arguments[1])),
            libc::SYS_newfstatat => (Which::at(arguments[0], arguments[1], arguments[3]), stat(arguments[2])),
            libc::SYS_statx => {
                let reply = status::Reply::Statx {
                    address: arguments[4],
                    flags: arguments[2] as i32 & libc::AT_STATX_SYNC_TYPE,
                    mask: arguments[3] as u32,
                };
                (Which::at(arguments[0], arguments[1], arguments[2]), reply)
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_stat => (Which::named(arguments[0], true), stat(arguments[1])),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_lstat => (Which::named(arguments[0], false), stat(arguments[1])),
            _ => return None,
        })
    }
}

impl Which {
    fn at(directory: u64, address: u64, flags: u64) -> Self {
        let flags = flags as i32;
        let (follow, may_be_empty) = (flags & libc::AT_SYMLINK_NOFOLLOW == 0, flags & libc::AT_EMPTY_PATH != 0);
        Which::Path { directory: directory as i32, address, follow, may_be_empty }
    }

    #[cfg(target_arch = "x86_64")]
    fn named(address: u64, follow: bool) -> Self {
        Which::Path { directory: HERE, address, follow, may_be_empty: false }
    }
}

/// Writes into the process's memory.
pub(super) fn give(tracee: &Tracee, address: u64, bytes: &[u8]) -> io::Result<Answer> {
    kernel::write_memory(tracee.pid(), address, bytes)?;
    Ok(Answer::Value(0))
}
