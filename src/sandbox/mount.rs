//! What a step sees beside the image, made ready to be mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::entry::Kind;
use crate::path::ImagePath;
use crate::tree::{Tree, TreeError};

use super::error::SandboxError;
use super::names;
use super::request::{self, STUBS, What};
use super::root::{Hidden, extract};
use super::step::facts;
use super::tier::Tier;

/// What the sandbox mounts itself.
pub(super) const OWN: [&str; 3] = ["dev", "proc", "sys"];

/// Something that a step sees at `target`.
pub struct Mount<'a> {
    /// Not the root, and not in what the sandbox mounts itself.
    pub target: ImagePath,
    pub kind: MountKind<'a>,
}

/// What it is.
pub enum MountKind<'a> {
    /// A tree, or with `file` a file at its root of this name. What is written there is lost.
    Files { tree: &'a Tree, file: Option<ImagePath>, writable: bool },
    /// The same, as [`extract`](super::extract) has put it into the directory `path`. Nothing is written there, so no other mount's target
    /// may lie in it.
    Kept { tree: &'a Tree, file: Option<ImagePath>, path: &'a Path, hidden: &'a Hidden },
    /// A directory of this machine; an absolute path. Where there is a single user, what is in it belongs to `owner`.
    Directory { path: &'a Path, writable: bool, owner: (u32, u32) },
    /// An empty directory in memory, of at most so many bytes.
    Memory { size: Option<u64> },
    /// A file that is only in memory and cannot be written.
    File { bytes: &'a [u8], mode: u32, owner: (u32, u32) },
    /// A socket of this machine; an absolute path.
    Socket { path: &'a Path, owner: (u32, u32) },
}

/// What the helper is told, and what was made for it.
pub(super) struct Prepared {
    pub requests: Vec<request::Mount>,
    /// Directories that are not in the image.
    pub stubs: BTreeSet<ImagePath>,
}

/// What `below` lacks of all on which something is mounted for a step that has `targets`, `network` and `hosts`. If a directory of its
/// root [hides](crate::tree::Stratum::hides) any of it, nothing can be mounted there.
///
/// # Errors
/// The machine's /etc/resolv.conf cannot be read.
pub fn stubs<'a>(
    below: &Tree,
    targets: impl Iterator<Item = &'a ImagePath>,
    network: bool,
    hosts: &[(String, IpAddr)],
) -> Result<Vec<ImagePath>, SandboxError> {
    let files = names::files(network, hosts).map_err(SandboxError::Place)?;
    let own = OWN.map(|name| ImagePath::parse(name).expect("a plain name"));
    let targets = targets.cloned().chain(files.into_iter().map(|(target, _)| target)).chain(own);
    // One that leads nowhere is an error when it is mounted.
    let found = targets.filter_map(|target| below.follow(&target).ok());
    Ok(found.filter(|path| below.get(path).is_none()).collect())
}

/// Extracts into `place` what is mounted, and makes there what the image lacks to be mounted on.
///
/// # Errors
/// Something cannot be mounted where it should; a tree cannot be extracted.
pub(super) fn prepare(
    mounts: &[&Mount],
    below: &Tree,
    tier: Tier,
    place: &Path,
    epoch: i64,
) -> Result<Prepared, SandboxError> {
    let mut sorted: BTreeMap<ImagePath, &Mount> = BTreeMap::new();
    for &mount in mounts {
        let misplaced = |error: TreeError| mount.misplaced(error.to_string());
        let found = below.follow(&mount.target).map_err(misplaced)?;
        if found.is_root() || is_own(&found) {
            return Err(mount.misplaced(format!("it leads to `{found}`")));
        }
        if sorted.insert(found.clone(), mount).is_some() {
            return Err(mount.misplaced(format!("there is another mount at `{found}`")));
        }
    }
    let mut prepared = Prepared { requests: Vec::new(), stubs: BTreeSet::new() };
    for (number, (found, mount)) in sorted.iter().enumerate() {
        let node = below.get(found).map(|node| &node.kind);
        let in_another = found.ancestors().any(|above| sorted.contains_key(&above));
        match (node, mount.is_directory()) {
            // What is in another mount is not known, and made there if it is missing.
            _ if in_another => {}
            (None, is_directory) => prepared.stub(found, is_directory, below, place, epoch)?,
            (Some(Kind::Directory), true) => {}
            (Some(Kind::Directory), false) => return Err(mount.misplaced("it is a directory of the image".into())),
            (Some(_), true) => return Err(mount.misplaced("it is no directory of the image".into())),
            (Some(_), false) => {}
        }
        prepared.requests.push(mount.request(number, tier, place)?);
    }
    Ok(prepared)
}

/// True for what the sandbox mounts itself, and what is in it.
fn is_own(path: &ImagePath) -> bool {
    path.components().next().is_some_and(|first| OWN.iter().any(|own| own.as_bytes() == first))
}

impl Mount<'_> {
    fn misplaced(&self, reason: String) -> SandboxError {
        SandboxError::Target { target: self.target.clone(), reason }
    }

    fn is_directory(&self) -> bool {
        match &self.kind {
            MountKind::Files { file, .. } | MountKind::Kept { file, .. } => file.is_none(),
            MountKind::Directory { .. } | MountKind::Memory { .. } => true,
            MountKind::File { .. } | MountKind::Socket { .. } => false,
        }
    }

    fn request(&self, number: usize, tier: Tier, place: &Path) -> Result<request::Mount, SandboxError> {
        let bind = |source: &Path, is_directory| What::Bind { source: source.into(), is_directory, facts: Vec::new() };
        let (what, writable, owner) = match &self.kind {
            MountKind::Files { tree, file, writable } => {
                let directory = PathBuf::from(format!("mount-{number}"));
                let hidden = extract(&Tree::clone(tree).into(), tier, &place.join(&directory))?;
                (self.files((tree, file.as_ref()), tier, directory, &hidden)?, *writable, (0, 0))
            }
            MountKind::Kept { tree, file, path, hidden } => {
                (self.files((tree, file.as_ref()), tier, path.into(), hidden)?, false, (0, 0))
            }
            MountKind::Directory { path, writable, owner } => (bind(path, true), *writable, *owner),
            MountKind::Memory { size } => (What::Memory { size: *size }, true, (0, 0)),
            MountKind::File { bytes, mode, owner } => {
                (What::File { bytes: bytes.to_vec(), mode: *mode }, false, *owner)
            }
            MountKind::Socket { path, owner } => (bind(path, false), true, *owner),
        };
        Ok(request::Mount { target: self.target.clone(), what, writable, owner })
    }

    /// A tree, or a file of it, that lies in a directory.
    fn files(
        &self,
        (tree, file): (&Tree, Option<&ImagePath>),
        tier: Tier,
        directory: PathBuf,
        hidden: &Hidden,
    ) -> Result<What, SandboxError> {
        let mut facts = facts(tree, tier, hidden);
        let Some(file) = file else { return Ok(What::Bind { source: directory, is_directory: true, facts }) };
        if tree.get(file).is_some_and(|node| node.kind.is_special()) {
            return Err(self.misplaced("devices and FIFOs cannot be mounted".into()));
        }
        facts.retain(|fact| fact.path == *file);
        facts.iter_mut().for_each(|fact| fact.path = ImagePath::root());
        let source = directory.join(std::ffi::OsStr::from_bytes(file.as_bytes()));
        Ok(What::Bind { source, is_directory: false, facts })
    }
}

impl Prepared {
    /// Makes something empty to mount on, and the directories above it that the image lacks. All have the epoch as their time,
    /// so that the clock is not in what the step sees.
    fn stub(
        &mut self,
        path: &ImagePath,
        is_directory: bool,
        below: &Tree,
        place: &Path,
        epoch: i64,
    ) -> Result<(), SandboxError> {
        let stubs = place.join(STUBS);
        let on_disk = |path: &ImagePath| stubs.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
        let mut make = || {
            for above in path.ancestors().filter(|above| !above.is_root()) {
                make_directory(&on_disk(&above))?;
                if below.get(&above).is_none() {
                    self.stubs.insert(above);
                }
            }
            if is_directory {
                make_directory(&on_disk(path))?;
                self.stubs.insert(path.clone());
            } else {
                fs::write(on_disk(path), "")?;
                fs::set_permissions(on_disk(path), Permissions::from_mode(0o644))?;
            }
            let time = rustix::fs::Timespec { tv_sec: epoch, tv_nsec: 0 };
            let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
            for made in [path.clone()].into_iter().chain(path.ancestors()) {
                rustix::fs::utimensat(rustix::fs::CWD, on_disk(&made), &times, rustix::fs::AtFlags::empty())?;
            }
            Ok(())
        };
        make().map_err(SandboxError::Place)
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        // Whatever the umask is.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o755)),
    }
}
