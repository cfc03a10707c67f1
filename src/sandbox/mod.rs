//! Runs one process in a sandbox, and finds out what it changed.
//!
//! The process sees the image as its root, a minimal /dev, /proc and /sys, and nothing of the machine: it has namespaces of
//! its own, with no network but a loopback interface, no descriptor but its output, a fixed environment, and one
//! processor unless it asks for more. What it changes is kept apart by overlayfs and becomes a layer.
//!
//! There are two tiers: root, and an ordinary user, for whom a *recorder* (`inside::recorder`) writes down the changes of
//! owners that the kernel refuses. Both give the same layer. docs/design/sandbox.md has the reasons.
//!
//! This program is its own helper: [`helper`] is what `main` calls first.

mod changes;
mod error;
mod inside;
mod kernel;
mod launch;
mod request;
mod root;
mod step;

pub use error::{SandboxError, Stage};
pub use launch::check;
pub use request::{Ending, User};
pub use root::{Hidden, Root, extract};
pub use step::{Step, run};

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

/// The version of all that a step can notice of the sandbox and of how its changes are read. Another version is another
/// key.
pub const VERSION: u32 = 1;

/// The argument that makes this program the helper.
const HELPER: &str = "--sandbox-helper";

/// By what right the sandbox is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// By root's.
    Root,
    /// By that of a user namespace in which there is a single user.
    SingleUser,
}

impl Tier {
    /// The tier that this process has.
    pub fn of_process() -> Self {
        let may_mount =
            || rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
        if rustix::process::geteuid().is_root() && may_mount() { Tier::Root } else { Tier::SingleUser }
    }
}

/// Does the work of the helper if this process was started as one. Call it before anything starts a thread.
pub fn helper(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    (arguments.nth(1).as_deref() == Some(OsStr::new(HELPER))).then(inside::main)
}
