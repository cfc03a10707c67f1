//! Why a step could not be run, or failed.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use signal_hook::low_level::signal_name;

use crate::path::ImagePath;
use crate::tree::{ExtractError, TreeError};

use super::request::{Ending, LARGEST_FILE};
use super::subordinate::NoIds;

/// Why there are no changes of a step.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox cannot be made: {stage} failed")]
    Refused { stage: Stage, source: io::Error },
    #[error("the directory for the step cannot be prepared")]
    Place(#[source] io::Error),
    #[error("there are no subordinate ids for the step")]
    NoIds(#[from] NoIds),
    #[error("the image below the step cannot be put on disk")]
    Extract(#[from] ExtractError),
    #[error("the helper process cannot be started")]
    Start(#[source] io::Error),
    #[error("the helper process ended before it was done")]
    Lost,
    #[error("what the step changed cannot be read")]
    Read(#[source] io::Error),
    #[error("what the step left behind cannot be in a layer")]
    Changes(#[from] TreeError),
    /// Nothing can be mounted there.
    #[error("nothing can be mounted on `{target}`: {reason}")]
    Target { target: ImagePath, reason: String },
    #[error("the step {ending}")]
    Failed {
        ending: Ending,
        /// The end of what the step wrote.
        output: String,
    },
}

impl SandboxError {
    /// True if subordinate ids do not do for the step, whatever the machine: it makes a device, or needs more users than
    /// there are ids. The tier of a single user has everything.
    pub fn needs_recorder(&self) -> bool {
        matches!(self, SandboxError::Refused { stage: Stage::Recorder | Stage::Owners | Stage::User, .. })
    }

    /// True if there are subordinate ids, but they cannot be used here.
    pub fn refuses_ids(&self) -> bool {
        matches!(self, SandboxError::Refused { stage: Stage::Mapping, .. })
    }

    /// The error with what the step wrote as it may be shown.
    #[must_use]
    pub fn shown(self, shown: impl Fn(&str) -> String) -> Self {
        match self {
            SandboxError::Failed { ending, output } => SandboxError::Failed { ending, output: shown(&output) },
            error => error,
        }
    }
}

/// What the helper was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Request,
    UserNamespace,
    Mapping,
    Owners,
    Recorder,
    Namespaces,
    Network,
    Overlay,
    Proc,
    Devices,
    Sys,
    Root,
    Mounts,
    Emulator,
    Filter,
    Limits,
    Workdir,
    User,
    Program,
    Watch,
    Changes,
}

impl Stage {
    /// What a person can do about it.
    pub fn help(self, error: &io::Error) -> &'static str {
        match (self, error.raw_os_error()) {
            (Stage::UserNamespace, _) => {
                "let users make user namespaces (sysctl user.max_user_namespaces above 0, and \
                kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0 where they exist), \
                or run ocify as root; `ocify doctor` says more"
            }
            (Stage::Mapping, _) => {
                "newuidmap and newgidmap must be setuid root or have capabilities, and the ranges in /etc/subuid and \
                /etc/subgid must not overlap; `--sandbox single-user` does without them"
            }
            (Stage::Namespaces | Stage::Root | Stage::Proc | Stage::Devices, _) => {
                "in a container, allow it mounts and namespaces (as `--privileged` does); `ocify doctor` says more"
            }
            (Stage::Overlay, _) => {
                "the store must lie on a file system that overlayfs takes, with extended attributes, such as ext4, xfs \
                or btrfs, and Linux must be at least 5.11; put the store elsewhere with --store"
            }
            (Stage::Watch, Some(libc::EMFILE)) => {
                "for an ordinary user, each file of the image that does not belong to root is kept open: raise the limit of \
                open files (`ulimit -Hn`), or run ocify as root"
            }
            (Stage::Mounts, _) => {
                "the targets of mounts must not lead, by links, to the root or into /dev, /proc and /sys, and in another mount \
                they must be of the same kind"
            }
            (Stage::Workdir, _) => "make the directory in a layer below, or choose another `workdir`",
            (Stage::Program, Some(libc::ENOENT)) => {
                "the image below must have the program, and the interpreter and libraries that it needs; a command that \
                is one string needs /bin/sh"
            }
            (Stage::Program, _) => "see that the program is a file that may be executed",
            _ => "`ocify doctor` shows what the kernel allows",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Request => "reading the request",
            Stage::UserNamespace => "making a user namespace",
            Stage::Mapping => "mapping subordinate ids",
            Stage::Owners => "giving files to their owners",
            Stage::Recorder => "doing without the recorder",
            Stage::Namespaces => "making namespaces",
            Stage::Network => "setting up the network namespace",
            Stage::Overlay => "mounting an overlay",
            Stage::Proc => "mounting /proc",
            Stage::Devices => "setting up /dev",
            Stage::Sys => "setting up /sys",
            Stage::Root => "changing the root",
            Stage::Mounts => "mounting what the step asks for",
            Stage::Emulator => "registering an emulator",
            Stage::Filter => "filtering system calls",
            Stage::Limits => "setting limits",
            Stage::Workdir => "entering the working directory",
            Stage::User => "becoming the step's user",
            Stage::Program => "starting the program",
            Stage::Watch => "watching the step",
            Stage::Changes => "reading the changes",
        })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "ended with exit code {code}"),
            Ending::Killed(libc::SIGXFSZ) => {
                write!(f, "was ended, as a file became larger than {} GiB", LARGEST_FILE >> 30)
            }
            Ending::Killed(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "was ended by signal {signal} ({name})"),
                None => write!(f, "was ended by signal {signal}"),
            },
            Ending::TimedOut => f.write_str("took longer than its `timeout`"),
            Ending::DiskFull => {
                f.write_str("was ended, as it had almost filled the file system on which the store lies")
            }
        }
    }
}
