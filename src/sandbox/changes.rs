//! From the files in the upper directory to a layer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};

use crate::digest::HashingReader;
use crate::entry::{Content, DiskFile, Entry, Kind, Metadata, Origin, Stamp};
use crate::path::ImagePath;
use crate::tree::{Changeset, Tree, diff};

use super::error::SandboxError;
use super::request::{CAPABILITY, Found};
use super::root::Hidden;

/// The image below a step.
pub(super) struct Below<'a> {
    pub tree: &'a Tree,
    /// The entries to which [`Found::fact`] refers.
    pub facts: Vec<ImagePath>,
    /// Extended attributes that are not on disk.
    pub hidden: &'a Hidden,
    /// Directories that were made below the image, to mount in.
    pub stubs: BTreeSet<ImagePath>,
}

/// The layer that the files in `upper` are. `during` is the time of the step, in nanoseconds: what has a time in it was
/// given that by the clock, and gets `epoch`, and so does what is newer than that.
///
/// What overlayfs copied and nobody changed is not in it. Nor is a directory of which only the time changed by the clock, as
/// it does whenever something is made in it. Sockets are left out: a layer cannot hold them.
pub(super) fn changes(
    mut found: Vec<Found>,
    below: &Below,
    upper: &Path,
    epoch: i64,
    during: RangeInclusive<i128>,
) -> Result<Changeset, SandboxError> {
    found.sort_by(|a, b| a.path.cmp(&b.path));
    leave_out_stubs(&mut found, &below.stubs);
    let contents = contents(&found, upper)?;
    let mut changes = Changeset::new();
    let mut first_names: BTreeMap<u64, ImagePath> = BTreeMap::new();
    for (found, content) in found.into_iter().zip(contents) {
        let Found { path, opaque, .. } = &found;
        if found.is_whiteout() {
            changes.whiteout(path.clone())?;
            continue;
        }
        if *opaque {
            changes.opaque(path.clone())?;
        }
        let is_linked = found.links > 1 && !found.is(libc::S_IFDIR);
        if let Some(first) = first_names.get(&found.inode).filter(|_| is_linked) {
            let (kind, metadata) = (Kind::HardLink { target: first.clone() }, Metadata::root_owned(0, 0));
            changes.insert(Entry { path: path.clone(), metadata, kind })?;
            continue;
        }
        let Some(kind) = kind(&found, content) else { continue };
        let (metadata, by_clock) = metadata(&found, &kind, below, epoch, &during);
        if is_linked {
            first_names.insert(found.inode, path.clone());
        } else if !opaque && is_unchanged(path, &metadata, &kind, by_clock, below.tree) {
            continue;
        }
        changes.insert(Entry { path: path.clone(), metadata, kind })?;
    }
    let mut above = below.tree.clone();
    above.apply(&changes)?;
    Ok(diff(below.tree, &above)?)
}

/// Takes away the directories that were made to mount in, if the step left them as they were and made nothing in them. Overlayfs
/// has copied those in which something was made and removed again.
fn leave_out_stubs(found: &mut Vec<Found>, stubs: &BTreeSet<ImagePath>) {
    for stub in stubs.iter().rev() {
        let Ok(at) = found.binary_search_by(|found| found.path.cmp(stub)) else { continue };
        let Found { mode, uid, gid, xattrs, opaque, .. } = &found[at];
        let is_as_made = *mode == libc::S_IFDIR | 0o755 && (*uid, *gid) == (0, 0) && xattrs.is_empty() && !opaque;
        // Not all names that begin with its own lie in it.
        if is_as_made && !found[at + 1..].iter().any(|other| other.path.starts_with(stub)) {
            found.remove(at);
        }
    }
}

impl Found {
    fn is(&self, kind: u32) -> bool {
        self.mode & libc::S_IFMT == kind
    }

    fn is_whiteout(&self) -> bool {
        self.is(libc::S_IFCHR) && self.device == (0, 0)
    }
}

/// The contents of the files, each in its place.
fn contents(found: &[Found], upper: &Path) -> Result<Vec<Option<Content>>, SandboxError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(upper, flags, Mode::empty()).map_err(|error| SandboxError::Read(error.into()))?;
    let content = |found: &Found| match found.is(libc::S_IFREG) {
        false => Ok(None),
        true => content(&directory, upper, &found.path).map(Some),
    };
    found.par_iter().map(content).collect::<io::Result<_>>().map_err(SandboxError::Read)
}

/// No process of the step is left, but what it had open may be another step's by now, over a socket in a cache that they
/// share: a link in the place of a directory must not lead to a file of the machine. Whoever reads the content later, by its
/// path, finds the same file or an error.
fn content(directory: &OwnedFd, upper: &Path, path: &ImagePath) -> io::Result<Content> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = File::from(openat2(directory, path.as_bytes(), flags, Mode::empty(), resolve)?);
    let stamp = Stamp::of(&file.metadata()?);
    let disk = DiskFile::new(upper.join(std::ffi::OsStr::from_bytes(path.as_bytes())), stamp);
    let mut reader = HashingReader::new(file);
    io::copy(&mut reader.by_ref(), &mut io::sink())?;
    let (digest, size) = reader.finish();
    Ok(Content { size, digest, origin: Origin::Disk(Arc::new(disk)) })
}

fn kind(found: &Found, content: Option<Content>) -> Option<Kind> {
    let (major, minor) = found.device;
    Some(match (found.mode & libc::S_IFMT, content) {
        (libc::S_IFREG, Some(content)) => Kind::File { content },
        (libc::S_IFDIR, _) => Kind::Directory,
        (libc::S_IFLNK, _) => Kind::Symlink { target: found.target.clone().into() },
        (libc::S_IFCHR, _) => Kind::CharDevice { major, minor },
        (libc::S_IFBLK, _) => Kind::BlockDevice { major, minor },
        (libc::S_IFIFO, _) => Kind::Fifo,
        _ => return None,
    })
}

/// Metadata as the layer has it; and whether the time was set by the clock.
fn metadata(found: &Found, kind: &Kind, below: &Below, epoch: i64, during: &RangeInclusive<i128>) -> (Metadata, bool) {
    let seconds = i64::try_from(found.mtime.div_euclid(1_000_000_000)).unwrap_or(epoch);
    let there = below.tree.get(&found.path).map(|node| node.metadata.mtime);
    let by_clock = there != Some(seconds) && (seconds > epoch || during.contains(&found.mtime));
    let mut xattrs = found.xattrs.clone();
    // A copy has what its original has, also what is not on disk; the kernel takes capabilities from what is written to.
    let original = found.fact.and_then(|fact| below.facts.get(fact));
    if let Some((path, node)) = original.and_then(|path| Some((path, below.tree.get(path)?))) {
        for (name, value) in &node.metadata.xattrs {
            if below.hidden.0.contains(&(path.clone(), name.clone())) && (name != CAPABILITY || node.kind == *kind) {
                xattrs.insert(name.clone(), value.clone());
            }
        }
    }
    let mtime = if by_clock { epoch } else { seconds };
    // Links have no mode of their own: file systems differ in what they say.
    let mode = if found.is(libc::S_IFLNK) { 0o777 } else { found.mode & 0o7777 };
    (Metadata { mode, uid: found.uid, gid: found.gid, mtime, xattrs }, by_clock)
}

/// True for what is as it is below.
fn is_unchanged(path: &ImagePath, metadata: &Metadata, kind: &Kind, by_clock: bool, below: &Tree) -> bool {
    let undescribed = Metadata::root_owned(0o755, 0);
    let old = match below.get(path) {
        Some(node) if node.kind == *kind => node.metadata.clone(),
        None if path.is_root() => undescribed,
        _ => return false,
    };
    let is_kept = |name: &str| name == CAPABILITY || name.starts_with("user.") && !name.starts_with("user.overlay.");
    let mut old = old;
    old.xattrs.retain(|name, _| is_kept(name));
    if by_clock && kind.is_directory() {
        old.mtime = metadata.mtime;
    }
    old == *metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_directory_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let upper = place.path().join("upper");
        std::fs::create_dir_all(upper.join("d")).unwrap();
        std::fs::create_dir(place.path().join("outside")).unwrap();
        for directory in [upper.join("d"), place.path().join("outside")] {
            std::fs::write(directory.join("f"), "text").unwrap();
        }
        let open = || rustix::fs::open(&upper, OFlags::PATH, Mode::empty()).unwrap();
        let path = ImagePath::parse("d/f").unwrap();
        let found = content(&open(), &upper, &path).unwrap();
        assert_eq!(found.read_all(4).unwrap(), b"text");
        std::fs::rename(upper.join("d"), upper.join("e")).unwrap();
        std::os::unix::fs::symlink("../outside", upper.join("d")).unwrap();
        assert!(content(&open(), &upper, &path).is_err());
        assert!(found.read_all(4).is_err(), "it is another file");
    }
}
