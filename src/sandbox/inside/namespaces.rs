//! Namespaces of the step's own.

use std::fs;
use std::io;
use std::process::{self, Command};

use rustix::process::{WaitOptions, getegid, geteuid, getpid, waitpid};
use rustix::thread::{UnshareFlags, set_thread_groups};

use super::super::error::Stage;
use super::super::kernel;
use super::super::request::Request;
use super::super::subordinate::{Map, Mapping};
use super::super::tier::Tier;
use super::{Failure, In};

/// Enters new namespaces, of networks too unless the machine's is shared, but for the pid namespace, in which only the next child will be.
pub(super) fn enter(request: &Request) -> Result<(), Failure> {
    match (request.tier, &request.mapping) {
        (Tier::Root, _) => {}
        (Tier::SubordinateIds, Some(mapping)) => enter_mapped(mapping)?,
        (Tier::SingleUser | Tier::SubordinateIds, _) => {
            let (user, group) = (geteuid().as_raw(), getegid().as_raw());
            kernel::unshare(UnshareFlags::NEWUSER).during(Stage::UserNamespace)?;
            // The kernel wants the second before the third: user_namespaces(7), "setgroups".
            fs::write("/proc/self/uid_map", format!("0 {user} 1")).during(Stage::UserNamespace)?;
            fs::write("/proc/self/setgroups", "deny").during(Stage::UserNamespace)?;
            fs::write("/proc/self/gid_map", format!("0 {group} 1")).during(Stage::UserNamespace)?;
        }
    }
    let flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    kernel::unshare(flags).during(Stage::Namespaces)?;
    if !request.network {
        kernel::unshare(UnshareFlags::NEWNET).during(Stage::Namespaces)?;
        kernel::raise_loopback().during(Stage::Network)?;
    }
    rustix::system::sethostname(b"ocify").during(Stage::Namespaces)
}

/// Enters a user namespace with subordinate ids. The programs that may map them must be outside of it, so a child starts
/// them.
pub(super) fn enter_mapped(mapping: &Mapping) -> Result<(), Failure> {
    let helper = getpid().as_raw_nonzero().to_string();
    let (entered, enter) = io::pipe().during(Stage::Mapping)?;
    let Some(mapper) = kernel::fork().during(Stage::Mapping)? else {
        drop(enter);
        // It ends when the other side is dropped.
        let _ = io::copy(&mut &entered, &mut io::sink());
        let are_mapped = [&mapping.users, &mapping.groups].into_iter().all(|map| has_mapped(map, &helper));
        process::exit(if are_mapped { 0 } else { 1 })
    };
    drop(entered);
    kernel::unshare(UnshareFlags::NEWUSER).during(Stage::UserNamespace)?;
    drop(enter);
    let status = loop {
        match waitpid(Some(mapper), WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            status => break status.during(Stage::Mapping)?,
        }
    };
    if status.and_then(|(_, status)| status.exit_status()) != Some(0) {
        return Err(Failure { stage: Stage::Mapping, error: io::Error::from_raw_os_error(libc::EPERM) });
    }
    // Groups that whoever builds is in besides are nobody's in here.
    set_thread_groups(&[]).during(Stage::Mapping)
}

fn has_mapped(map: &Map, helper: &str) -> bool {
    let numbers = map.ranges.iter().flat_map(|(inside, outside, count)| [inside, outside, count]);
    let mut program = Command::new(&map.program);
    program.arg(helper).args(numbers.map(ToString::to_string));
    program.status().is_ok_and(|status| status.success())
}
