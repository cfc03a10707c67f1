//! The users that processes believe to be.

use std::io;

use libc::c_long;

use super::super::super::kernel::{self, Answer};
use super::super::super::request::User;
use super::calls::give;
use super::tracee::Tracee;

/// Real, effective, saved and file-system number.
type Numbers = [u32; 4];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    users: Numbers,
    groups: Numbers,
    supplementary: Vec<u32>,
}

impl Identity {
    /// To whom a file belongs that the process makes.
    pub(super) fn file_user(&self) -> u32 {
        self.users[3]
    }

    /// As [`Identity::file_user`], the group.
    pub(super) fn file_group(&self) -> u32 {
        self.groups[3]
    }

    /// True if the process may make files in a directory of this owner and with this mode.
    pub(super) fn may_write(&self, (uid, gid): (u32, u32), mode: u32) -> bool {
        let bits = match () {
            () if self.users[3] == 0 => return true,
            () if self.users[3] == uid => mode >> 6,
            () if self.is_in(gid) => mode >> 3,
            () => mode,
        };
        bits & 0o3 == 0o3
    }

    /// True if the process may give a file of this user to `group`, where it may not give it to another user.
    pub(super) fn may_give(&self, owner: u32, user: Option<u32>, group: Option<u32>) -> bool {
        let is_own = self.users[3] == owner && user.is_none_or(|user| user == owner);
        self.users[1] == 0 || is_own && group.is_none_or(|group| self.is_in(group))
    }

    fn is_in(&self, group: u32) -> bool {
        self.groups[3] == group || self.supplementary.contains(&group)
    }
}

/// In place of a number: stays as it is.
const UNCHANGED: u32 = u32::MAX;
/// The two numbers of a limit that is none.
const NO_LIMIT: [u8; 16] = [0xff; 16];
/// As many groups a process may have (NGROUPS_MAX of limits.h).
const MAX_GROUPS: u64 = 65_536;

/// So many identities are kept apart.
const MOST: usize = 4096;

/// Which processes are who, as far as they know.
///
/// A new process is who its parent is then, whatever becomes of that. To be right about it in time, the recorder would have to
/// be asked about each; but the kernel hands something on that it does not use, the limit of file locks. In a process that
/// became another user, that is a number of this list.
pub(super) struct Users {
    /// What the step began as; `None` for root.
    first: Option<Identity>,
    known: Vec<Identity>,
}

impl Users {
    /// All processes are `user` until they become another.
    pub(super) fn beginning_as(user: &User) -> Self {
        let User { uid, gid, groups } = user.clone();
        let identity = Identity { users: [uid; 4], groups: [gid; 4], supplementary: groups };
        Users { first: Some(identity).filter(|_| *user != User::default()), known: Vec::new() }
    }

    /// What the process is, if it is not root in all.
    pub(super) fn maker(&self, tracee: &Tracee) -> io::Result<Option<&Identity>> {
        let identity = self.identity(tracee)?;
        Ok(identity.filter(|identity| (identity.users[3], identity.groups[3]) != (0, 0)))
    }

    /// True if the process may do what only root may.
    pub(super) fn is_root(&self, tracee: &Tracee) -> io::Result<bool> {
        Ok(self.identity(tracee)?.is_none_or(|identity| identity.users[1] == 0))
    }

    /// Answers a call that asks for users or groups, or changes them.
    pub(super) fn answer(&mut self, call: c_long, arguments: &[u64; 6], tracee: &Tracee) -> io::Result<Answer> {
        let known = self.identity(tracee)?.cloned();
        let numbers = arguments.map(|argument| argument as u32);
        if let Some(answer) = asked(call, arguments, known.as_ref(), tracee)? {
            return Ok(answer);
        }
        let mut identity = known.unwrap_or_default();
        let is_root = identity.users[1] == 0;
        let changed = match call {
            libc::SYS_setuid => set_one(&mut identity.users, numbers[0], is_root),
            libc::SYS_setgid => set_one(&mut identity.groups, numbers[0], is_root),
            libc::SYS_setreuid => set_two(&mut identity.users, numbers[0], numbers[1], is_root),
            libc::SYS_setregid => set_two(&mut identity.groups, numbers[0], numbers[1], is_root),
            libc::SYS_setresuid => set_three(&mut identity.users, [numbers[0], numbers[1], numbers[2]], is_root),
            libc::SYS_setresgid => set_three(&mut identity.groups, [numbers[0], numbers[1], numbers[2]], is_root),
            libc::SYS_setfsuid => return self.set_file_system(tracee, identity, numbers[0], |it| &mut it.users),
            libc::SYS_setfsgid => return self.set_file_system(tracee, identity, numbers[0], |it| &mut it.groups),
            libc::SYS_setgroups if !is_root => false,
            libc::SYS_setgroups if arguments[0] > MAX_GROUPS => return Ok(Answer::Error(libc::EINVAL)),
            libc::SYS_setgroups => {
                let mut bytes = vec![0; arguments[0] as usize * 4];
                let read = kernel::read_memory(tracee.pid(), arguments[1], &mut bytes);
                if !bytes.is_empty() && read? != bytes.len() {
                    return Ok(Answer::Error(libc::EFAULT));
                }
                let number = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                identity.supplementary = bytes.chunks_exact(4).map(number).collect();
                true
            }
            _ => return Ok(Answer::Continue),
        };
        if changed {
            self.remember(tracee, identity)?;
        }
        Ok(if changed { Answer::Value(0) } else { Answer::Error(libc::EPERM) })
    }

    /// The kernel answers with the number before, whether it changes or not.
    fn set_file_system(
        &mut self,
        tracee: &Tracee,
        mut identity: Identity,
        number: u32,
        of: impl Fn(&mut Identity) -> &mut Numbers,
    ) -> io::Result<Answer> {
        let is_root = identity.users[1] == 0;
        let numbers = of(&mut identity);
        let before = numbers[3];
        if number != UNCHANGED && (is_root || numbers.contains(&number)) {
            numbers[3] = number;
            self.remember(tracee, identity)?;
        }
        Ok(Answer::Value(i64::from(before)))
    }

    fn remember(&mut self, tracee: &Tracee, identity: Identity) -> io::Result<()> {
        let limit = kernel::lock_limit(tracee.pid())?;
        let at = self.known.iter().position(|known| *known == identity).unwrap_or(self.known.len());
        if at == MOST || at as u64 >= limit.rlim_max {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        if at == self.known.len() {
            self.known.push(identity);
        }
        kernel::set_lock_limit(tracee.pid(), libc::rlimit { rlim_cur: at as u64, ..limit })
    }

    /// What the process is.
    fn identity(&self, tracee: &Tracee) -> io::Result<Option<&Identity>> {
        if self.known.is_empty() {
            return Ok(self.first.as_ref());
        }
        let number = usize::try_from(kernel::lock_limit(tracee.pid())?.rlim_cur).ok();
        Ok(number.and_then(|number| self.known.get(number)).or(self.first.as_ref()))
    }
}

/// The answer to a call that only asks; `None` for others.
fn asked(call: c_long, arguments: &[u64; 6], known: Option<&Identity>, tracee: &Tracee) -> io::Result<Option<Answer>> {
    let one = |of: fn(&Identity) -> u32| known.map_or(Answer::Continue, |known| Answer::Value(i64::from(of(known))));
    Ok(Some(match call {
        libc::SYS_getuid => one(|known| known.users[0]),
        libc::SYS_geteuid => one(|known| known.users[1]),
        libc::SYS_getgid => one(|known| known.groups[0]),
        libc::SYS_getegid => one(|known| known.groups[1]),
        libc::SYS_getresuid | libc::SYS_getresgid => {
            let Some(known) = known else { return Ok(Some(Answer::Continue)) };
            let numbers = if call == libc::SYS_getresuid { known.users } else { known.groups };
            for (address, number) in arguments.iter().zip(&numbers[..3]) {
                give(tracee, *address, &number.to_ne_bytes())?;
            }
            Answer::Value(0)
        }
        libc::SYS_getgroups => {
            // What the kernel would say are the groups of whoever builds, which it cannot name in here.
            let groups = known.map_or(&[][..], |known| &known.supplementary);
            let (room, address) = (arguments[0] as usize, arguments[1]);
            match room {
                0 => {}
                room if room < groups.len() => return Ok(Some(Answer::Error(libc::EINVAL))),
                _ if groups.is_empty() => {}
                _ => {
                    let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_ne_bytes()).collect();
                    give(tracee, address, &bytes)?;
                }
            }
            Answer::Value(groups.len() as i64)
        }
        // What the limit of file locks is besides, no process is told; nothing comes of it since Linux 2.4.
        libc::SYS_prlimit64 if arguments[3] != 0 => give(tracee, arguments[3], &NO_LIMIT)?,
        libc::SYS_getrlimit => give(tracee, arguments[1], &NO_LIMIT)?,
        libc::SYS_prlimit64 | libc::SYS_setrlimit => Answer::Value(0),
        _ => return Ok(None),
    }))
}

/// `setuid` (credentials(7)): root changes all numbers, others the effective one to the real or the saved.
fn set_one(numbers: &mut Numbers, number: u32, is_root: bool) -> bool {
    match is_root {
        true => *numbers = [number; 4],
        false if numbers[0] == number || numbers[2] == number => (numbers[1], numbers[3]) = (number, number),
        false => return false,
    }
    number != UNCHANGED
}

/// `setreuid`: the saved number follows the effective one, if that becomes other than the real one or that changes.
fn set_two(numbers: &mut Numbers, real: u32, effective: u32, is_root: bool) -> bool {
    let before = *numbers;
    let may = |number: u32, among: &[u32]| number == UNCHANGED || is_root || among.contains(&number);
    if !may(real, &before[..2]) || !may(effective, &before[..3]) {
        return false;
    }
    let or = |number: u32, old: u32| if number == UNCHANGED { old } else { number };
    (numbers[0], numbers[1]) = (or(real, before[0]), or(effective, before[1]));
    if real != UNCHANGED || (effective != UNCHANGED && effective != before[0]) {
        numbers[2] = numbers[1];
    }
    numbers[3] = numbers[1];
    true
}

/// `setresuid`: each of the three to one that the process has, or for root to any.
fn set_three(numbers: &mut Numbers, wanted: [u32; 3], is_root: bool) -> bool {
    let before = *numbers;
    if !wanted.iter().all(|&number| number == UNCHANGED || is_root || before[..3].contains(&number)) {
        return false;
    }
    for (number, wanted) in numbers.iter_mut().zip(wanted) {
        if wanted != UNCHANGED {
            *number = wanted;
        }
    }
    numbers[3] = numbers[1];
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gave_up_root_does_not_get_it_back() {
        let mut numbers = [0; 4];
        assert!(set_three(&mut numbers, [33, 33, 33], true));
        assert_eq!(numbers, [33; 4]);
        assert!(!set_one(&mut numbers, 0, false) && !set_two(&mut numbers, 0, 0, false));
        assert!(!set_three(&mut numbers, [UNCHANGED, 0, UNCHANGED], false));
    }

    #[test]
    fn the_saved_number_leads_back() {
        let mut numbers = [0; 4];
        assert!(set_three(&mut numbers, [UNCHANGED, 5, UNCHANGED], true));
        assert_eq!(numbers, [0, 5, 0, 5]);
        assert!(set_one(&mut numbers, 0, false));
        assert_eq!(numbers, [0; 4]);
        assert!(set_two(&mut numbers, UNCHANGED, 7, true));
        assert_eq!(numbers, [0, 7, 7, 7]);
    }
}
