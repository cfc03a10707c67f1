//! A step: the root on which it stands, its command, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Duration;

use crate::entry::{Entry, Metadata};
use crate::path::ImagePath;
use crate::tree::{Changeset, Tree};

use super::changes::{Below, changes};
use super::emulator::Emulator;
use super::error::SandboxError;
use super::launch::{Launched, choose_cpus, prepare};
use super::mount::{self, Mount, MountKind};
use super::names;
use super::request::{Command, Fact, Request, UPPER, User, WORK};
use super::root::{Hidden, Root};
use super::subordinate::Mapping;
use super::tier::Tier;
use super::visit::{Guests, OnFailure, Visitor};

/// What is run.
pub struct Step<'a> {
    /// The image's files.
    pub below: &'a Tree,
    /// The program and its arguments. The program is looked for in the `PATH` of `env` unless it has a slash.
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// An absolute path of the image.
    pub workdir: String,
    pub user: User,
    /// It has the machine's network instead of one of its own, in which there is nothing.
    pub network: bool,
    /// What it finds in /etc/hosts.
    pub hosts: Vec<(String, IpAddr)>,
    /// How many processors it may use; at least 1.
    pub cpus: usize,
    /// After this time it is killed with all that it started.
    pub timeout: Duration,
    /// How many bytes of memory all its processes may have together; where the machine cannot bound that, each of them.
    pub memory: Option<u64>,
    /// What it sees beside the image.
    pub mounts: Vec<Mount<'a>>,
    /// What runs programs of the image's platform. Root has no list of emulators of its own, and needs `None`.
    pub emulator: Option<Emulator>,
    /// Seconds since 1970: the time of what it makes, and the latest time that it may set.
    pub epoch: i64,
}

/// Runs a step on its root, which is `step.below` on disk, in the empty directory `place`, on whose file system overlayfs must work; what it changed is returned as a
/// layer whose contents lie in there. `output` gets what the step writes, as it comes.
///
/// # Errors
/// The sandbox is refused; the step ends with another exit code than 0, by a signal, or not in time; what it leaves behind
/// cannot be in a layer.
pub fn run(
    step: &Step,
    root: &Root,
    place: &Path,
    output: &mut (dyn FnMut(&[u8]) + Send),
    on_failure: Option<OnFailure>,
) -> Result<Changeset, SandboxError> {
    let guests = on_failure.map_or(Guests::Nobody, Guests::OnFailure);
    let mut helper = Launched::new(place, !matches!(guests, Guests::Nobody))?;
    let (request, below) = set_up(step, root, place, true)?;
    let begun = now(place)?;
    let found = helper.ask(request, output, (&command(step), guests)).inspect_err(|error| {
        if error.refuses_ids() {
            Tier::refuse_subordinate_ids();
        }
    })?;
    let ended = now(place)?;
    changes(found, &below, &place.join(UPPER), step.epoch, begun..=ended)
}

/// Lets a visitor look around, in the empty directory `place`, as [`run`] would run the step, whose program and time do not
/// count.
///
/// # Errors
/// The sandbox is refused. How the visitor's program ends, the visitor is told.
pub fn visit(step: &Step, root: &Root, place: &Path, visitor: &mut dyn Visitor) -> Result<(), SandboxError> {
    let (request, _) = set_up(step, root, place, false)?;
    Launched::new(place, true)?.ask(request, &mut |_| (), (&command(step), Guests::Now(visitor))).map(drop)
}

/// Makes the step's root in `place`, and what is asked of the helper: to run the step, or nothing.
fn set_up<'a>(step: &'a Step, root: &Root<'a>, place: &Path, runs: bool) -> Result<(Request, Below<'a>), SandboxError> {
    let Root { tier, hidden, .. } = *root;
    let mapping = if tier == Tier::SubordinateIds { Some(Mapping::of_user()?) } else { None };
    for (number, path) in root.paths.iter().enumerate() {
        symlink(path, place.join(number.to_string())).map_err(SandboxError::Place)?;
    }
    prepare(place, step.below)?;
    make_upper(step.below, tier, &place.join(UPPER))?;
    let names = names::files(step.network, &step.hosts).map_err(SandboxError::Place)?;
    let own = names.iter().map(|(target, bytes)| Mount {
        target: target.clone(),
        kind: MountKind::File { bytes, mode: 0o644, owner: (0, 0) },
    });
    // The step's own files win.
    let own: Vec<Mount> = own.filter(|own| step.mounts.iter().all(|mount| mount.target != own.target)).collect();
    let mounts: Vec<&Mount> = step.mounts.iter().chain(&own).collect();
    let mounts = mount::prepare(&mounts, step.below, tier, place, step.epoch)?;
    let stubs = mounts.stubs;
    let facts = facts(step.below, tier, hidden);
    let below = Below { tree: step.below, facts: facts.iter().map(|fact| fact.path.clone()).collect(), hidden, stubs };
    let timeout = u64::try_from(step.timeout.as_millis()).unwrap_or(u64::MAX);
    let (command, network, cpus) = (runs.then(|| command(step)), step.network, choose_cpus(step.cpus));
    let (memory, mounts, emulator) = (step.memory, mounts.requests, step.emulator.clone());
    let (directories, desk) = (root.paths.len(), false);
    let request =
        Request { tier, mapping, directories, command, network, cpus, timeout, memory, facts, mounts, emulator, desk };
    Ok((request, below))
}

fn command(step: &Step) -> Command {
    let Step { argv, env, workdir, user, .. } = step;
    Command { argv: argv.clone(), env: env.clone(), workdir: workdir.clone(), user: user.clone() }
}

/// The directory whose metadata the step's root has.
fn make_upper(below: &Tree, tier: Tier, upper: &Path) -> Result<(), SandboxError> {
    let root = below.get(&ImagePath::root()).map(|node| node.metadata.clone());
    let Metadata { mode, uid, gid, mtime, .. } = root.unwrap_or(Metadata::root_owned(0o755, 0));
    let make = || {
        DirBuilder::new().mode(0o700).create(upper)?;
        if tier == Tier::Root {
            chown(upper, Some(uid), Some(gid))?;
        }
        fs::set_permissions(upper, Permissions::from_mode(mode))?;
        let time = rustix::fs::Timespec { tv_sec: mtime, tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        Ok(rustix::fs::utimensat(rustix::fs::CWD, upper, &times, rustix::fs::AtFlags::empty())?)
    };
    make().map_err(SandboxError::Place)
}

/// What of the image below is not on disk. Root puts everything there that can be in a layer, and so does who has
/// subordinate ids.
pub(super) fn facts(below: &Tree, tier: Tier, hidden: &Hidden) -> Vec<Fact> {
    if tier != Tier::SingleUser {
        return Vec::new();
    }
    let with_hidden: BTreeSet<&ImagePath> = hidden.0.iter().map(|(path, _)| path).collect();
    // What is made in such a directory gets its group, and must be told from what was there.
    let gives_group = |path: &ImagePath| {
        let directory = path.parent().and_then(|parent| below.get(&parent));
        directory.is_some_and(|node| node.metadata.mode & libc::S_ISGID != 0 && node.metadata.gid != 0)
    };
    let fact = |entry: Entry| {
        let Metadata { uid, gid, .. } = entry.metadata;
        let is_fact = (uid, gid) != (0, 0) || with_hidden.contains(&entry.path) || gives_group(&entry.path);
        is_fact.then_some(Fact { path: entry.path, uid, gid })
    };
    below.entries().filter_map(fact).collect()
}

/// What the clock of the file system says, in nanoseconds since 1970.
fn now(place: &Path) -> Result<i128, SandboxError> {
    let work = place.join(WORK);
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    let look = || {
        rustix::fs::utimensat(rustix::fs::CWD, &work, &times, rustix::fs::AtFlags::empty())?;
        fs::metadata(&work)
    };
    let metadata = look().map_err(SandboxError::Place)?;
    Ok(i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()))
}
