//! What a build asks of the helper, and what the helper tells: JSON over a socket, which is the helper's stdin.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::path::ImagePath;

use super::emulator::Emulator;
use super::error::Stage;
use super::subordinate::Mapping;
use super::tier::Tier;

/// What is in the directory in which the helper starts, beside links to the directories of the image below, which are called `0`
/// and so on, the lowest first: what the step changes, and what overlayfs needs. On the first, the helper mounts the step's root; on
/// the second, a directory for files in memory.
pub(super) const UPPER: &str = "upper";
pub(super) const WORK: &str = "work";
/// Names on which something is mounted, for images that do not have them. It lies below the image, so nothing of it gets
/// into the layer.
pub(super) const STUBS: &str = "stubs";

/// No file that a step writes may be larger, in bytes.
pub(super) const LARGEST_FILE: u64 = 16 << 30;
/// An extended attribute that only root can set.
pub(super) const CAPABILITY: &str = "security.capability";

/// What the helper is to do in its working directory.
#[derive(Serialize, Deserialize)]
pub(super) enum Job<R> {
    Step(R),
    /// To give files of the tree of this name to users of the namespace.
    Give {
        mapping: Mapping,
        tree: String,
        files: Vec<Owned>,
    },
    /// To remove the directory of this name.
    Remove {
        mapping: Mapping,
        name: PathBuf,
    },
}

/// To whom an entry of a tree belongs, and what a change of its owner takes away.
#[derive(Serialize, Deserialize)]
pub(super) struct Owned {
    pub path: ImagePath,
    pub uid: u32,
    pub gid: u32,
    /// That of a file or directory.
    pub mode: Option<u32>,
    pub capability: Option<Vec<u8>>,
}

/// One step.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub tier: Tier,
    /// For the tier of subordinate ids.
    pub mapping: Option<Mapping>,
    /// In how many directories the image below lies.
    pub directories: usize,
    /// `None` if only a visitor comes, or to find out whether there can be a sandbox.
    pub command: Option<Command>,
    /// It has the machine's network.
    pub network: bool,
    /// The processors on which it runs.
    pub cpus: Vec<usize>,
    /// Milliseconds after which everything is killed.
    pub timeout: u64,
    /// How many bytes of data each process may have, where the processes together cannot be bounded.
    pub memory: Option<u64>,
    /// What is in the image below, but could not be put on disk.
    pub facts: Vec<Fact>,
    /// What is mounted in the root, each before what lies in it.
    pub mounts: Vec<Mount>,
    /// For programs of the image's processor, where they are not the machine's own.
    pub emulator: Option<Emulator>,
    /// Stdout of the helper is the desk at which a visitor may come: a byte with stdin, stdout and stderr of the program, unless
    /// it gets a terminal, and [`Visiting`]; or the end of the stream if nobody does. Where there is a command, after it has
    /// failed.
    pub desk: bool,
}

/// What a visitor wants.
#[derive(Serialize, Deserialize)]
pub(super) struct Visiting {
    pub command: Command,
    /// With a terminal of this size, the near end of which is given back.
    pub window: Option<Window>,
}

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub rows: u16,
    pub columns: u16,
}

/// Something that is mounted in the step's root.
#[derive(Serialize, Deserialize)]
pub(super) struct Mount {
    pub target: ImagePath,
    pub what: What,
    pub writable: bool,
    /// The owner of whatever in it has none on record, where the disk cannot say.
    pub owner: (u32, u32),
}

/// What is mounted.
#[derive(Serialize, Deserialize)]
pub(super) enum What {
    /// A directory, file or socket that the build made, by its path from the directory in which the helper starts.
    Bind {
        source: PathBuf,
        is_directory: bool,
        /// What of it could not be put on disk.
        facts: Vec<Fact>,
    },
    /// A new directory in memory, of at most so many bytes.
    Memory { size: Option<u64> },
    /// A file in memory.
    File { bytes: Vec<u8>, mode: u32 },
}

/// A program with its arguments.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Command {
    /// At least one; the first is looked for in `PATH` if it has no slash.
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub workdir: String,
    pub user: User,
}

/// As whom a step runs; by default root, in no further group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// The owner of an entry of the image below.
#[derive(Serialize, Deserialize)]
pub(super) struct Fact {
    pub path: ImagePath,
    pub uid: u32,
    pub gid: u32,
}

/// A line from the helper. `Failed` is the last one, or else `Ended`, `Found` for each file if the step succeeded, `Ended` of a
/// visit, and `Complete`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    Failed { stage: Stage, errno: i32 },
    Ended(Ending),
    Found(Box<Found>),
    Complete,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It was killed, as its time was over.
    TimedOut,
    /// It was killed, as it had almost filled the file system of the store.
    DiskFull,
}

/// A file in the overlay's upper directory, as it lies there.
#[derive(Serialize, Deserialize)]
pub(super) struct Found {
    pub path: ImagePath,
    /// As in `st_mode`: permissions and type. That of a device that was recorded is the device's.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i128,
    pub inode: u64,
    pub links: u32,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// The text of a symbolic link.
    pub target: Vec<u8>,
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// A directory that hides what is below it.
    pub opaque: bool,
    /// The fact about the entry of the image below of which this is a copy.
    pub fact: Option<usize>,
    /// The step changed the owner.
    pub chowned: bool,
}
