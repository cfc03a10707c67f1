//! Runs one process in a sandbox, and finds out what it changed.
//!
//! The process sees the image as its root, a minimal /dev, /proc and /sys, and nothing of the machine: it has namespaces of
//! its own, with no network but a loopback interface unless it shares the machine's, no descriptor but its output, a fixed environment, and one
//! processor unless it asks for more. What it changes is kept apart by overlayfs and becomes a layer.
//!
//! There are three tiers: root; an ordinary user to whom subordinate ids are assigned; and any other, for whom a *recorder*
//! (`inside::recorder`) writes down the changes of owners that the kernel refuses. All give the same layer. docs/design/sandbox.md has the reasons.
//!
//! This program is its own helper: [`helper`] is what `main` calls first.

mod cgroup;
mod changes;
mod emulator;
mod error;
mod inside;
mod kernel;
mod launch;
mod mount;
mod names;
mod passing;
mod program;
mod request;
mod root;
mod spawner;
mod step;
mod subordinate;
mod tier;
mod visit;

pub use emulator::{Emulator, Emulators, Runs};
pub use error::{SandboxError, Stage};
pub use launch::check;
pub use mount::{Mount, MountKind, stubs};
pub use names::NAMES;
pub use request::{Ending, User, Window};
pub use root::{Hidden, Root, extract, remove};
pub use step::{Step, run, visit};
pub use subordinate::NoIds;
pub use tier::Tier;
pub use visit::{LetIn, Line, OnFailure, Visitor, Wish};

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// The version of all that a step can notice of the sandbox and of how its changes are read. Another version is another
/// key.
pub const VERSION: u32 = 3;

/// The argument that makes this program the helper.
const HELPER: &str = "--sandbox-helper";

/// True if a step that has the machine's network is kept from the machine's sockets with abstract names.
pub fn keeps_abstract_sockets() -> bool {
    kernel::can_scope_abstract_sockets()
}

/// Does the work of the helper if this process was started as one. Call it before anything starts a thread.
pub fn helper(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    (arguments.nth(1).as_deref() == Some(OsStr::new(HELPER))).then(|| inside::main(arguments.next()))
}
