//! What a step may do: capabilities and limits.

use std::io;

use rustix::fs::{FileType, Gid, Uid, fchown, fstat};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::stdio::{stderr, stdout};
use rustix::thread::{
    CapabilitySet, CapabilitySets, CpuSet, clear_ambient_capability_set, remove_capability_from_bounding_set,
    sched_setaffinity, set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::super::Tier;
use super::super::request::{LARGEST_FILE, User};

/// What package managers and their scripts need: to own, mark and make files for others, to change users, to send
/// signals to them, and to `chroot`. In the single-user tier they reach only what belongs to the one user.
const CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// What of them a step of the single-user tier has that does not run as root: what lies on disk belongs to the one user, with
/// modes that are meant for others.
const OF_OTHERS: CapabilitySet = CapabilitySet::DAC_OVERRIDE;

/// How many processes and threads a step may have at once.
const PROCESSES: u64 = 4096;
/// How many files a process has open unless it asks for more, and how many it may ask for.
const OPEN_FILES: (u64, u64) = (1024, 4096);

/// Drops all capabilities but those of a step as `user`, for good.
pub(super) fn drop_capabilities(tier: Tier, user: &User) -> io::Result<()> {
    let kept = match tier {
        Tier::SingleUser if user.uid != 0 => OF_OTHERS,
        _ => CAPABILITIES,
    };
    clear_ambient_capability_set()?;
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            // The kernel knows none from here on.
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    let (effective, permitted) = (kept, kept);
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() })?;
    Ok(set_no_new_privs(true)?)
}

/// Becomes the user as whom the step runs. Any other than root has no capability from then on (capabilities(7), "Effect of user
/// ID changes on capabilities").
pub(super) fn become_user(user: &User) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    // A program that opens /dev/stdout opens the pipe anew. What a visitor brought may be another's terminal.
    for output in [stdout(), stderr()] {
        if FileType::from_raw_mode(fstat(output)?.st_mode) == FileType::Fifo {
            fchown(output, Some(uid), Some(gid))?;
        }
    }
    let groups: Vec<Gid> = user.groups.iter().map(|&group| Gid::from_raw(group)).collect();
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}

/// Sets limits that are the same on every machine, as far as it allows them. `memory` is the most that each process may have.
pub(super) fn limit(memory: Option<u64>) -> io::Result<()> {
    set(Resource::Fsize, LARGEST_FILE, LARGEST_FILE)?;
    if let Some(memory) = memory {
        set(Resource::Data, memory, memory)?;
    }
    set(Resource::Core, 0, 0)?;
    // By any other number the recorder knows who a process is.
    set(Resource::Locks, u64::MAX, u64::MAX)?;
    set(Resource::Nproc, PROCESSES, PROCESSES)?;
    set(Resource::Nofile, OPEN_FILES.0, OPEN_FILES.1)
}

/// Stays on these processors, with all that is started from now on.
pub(super) fn stay_on(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    Ok(sched_setaffinity(None, &set)?)
}

/// Limits the processes of this pid namespace. The limit that a user has does not hold for root, and this one, which does, is
/// a namespace's own only since Linux 6.14: before, it is the machine's, and left alone.
pub(super) fn limit_processes() -> io::Result<()> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (6, 14) {
        std::fs::write("/proc/sys/kernel/pid_max", PROCESSES.to_string())?;
    }
    Ok(())
}

fn set(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit { current: Some(current.min(most)), maximum: Some(maximum.min(most)) };
    Ok(setrlimit(resource, limit)?)
}
