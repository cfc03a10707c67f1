//! Namespaces of the step's own.

use std::fs;

use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

use super::super::Tier;
use super::super::error::Stage;
use super::super::kernel;
use super::{Failure, In};

/// Enters new namespaces, of networks too unless the machine's is shared, but for the pid namespace, in which only the next child will be.
pub(super) fn enter(tier: Tier, network: bool) -> Result<(), Failure> {
    match tier {
        Tier::Root => {}
        Tier::SingleUser => {
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
    if !network {
        kernel::unshare(UnshareFlags::NEWNET).during(Stage::Namespaces)?;
        kernel::raise_loopback().during(Stage::Network)?;
    }
    rustix::system::sethostname(b"ocify").during(Stage::Namespaces)
}
