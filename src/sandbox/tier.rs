//! By what right a sandbox is made.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use super::subordinate::Mapping;

/// By what right a sandbox is made. The layer is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// By root's.
    Root,
    /// By that of a user namespace in which there are 65,536 users, with ids that were assigned to whoever builds.
    SubordinateIds,
    /// By that of a user namespace in which there is a single user.
    SingleUser,
}

/// It was found out that subordinate ids cannot be used.
static ARE_REFUSED: AtomicBool = AtomicBool::new(false);

impl Tier {
    pub const ALL: [Tier; 3] = [Tier::Root, Tier::SubordinateIds, Tier::SingleUser];

    /// The first tier that this process seems to have.
    pub fn of_process() -> Self {
        let may_mount =
            || rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
        if rustix::process::geteuid().is_root() && may_mount() {
            Tier::Root
        } else if !ARE_REFUSED.load(Ordering::Relaxed) && Mapping::of_user().is_ok() {
            Tier::SubordinateIds
        } else {
            Tier::SingleUser
        }
    }

    /// Has [`Tier::of_process`] leave out the subordinate ids from now on, as the kernel or the system refused them.
    pub(super) fn refuse_subordinate_ids() {
        ARE_REFUSED.store(true, Ordering::Relaxed);
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::Root => "root",
            Tier::SubordinateIds => "subordinate-ids",
            Tier::SingleUser => "single-user",
        })
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Tier::ALL.into_iter().find(|tier| tier.to_string() == text);
        known.ok_or_else(|| "it is root, subordinate-ids or single-user".to_owned())
    }
}
