//! An image on disk, for steps to run in: in one directory, or in several that are stacked.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::entry::{Entry, Kind};
use crate::path::ImagePath;
use crate::tree::{SkippedPart, Stratum, Tree, extract_for_step};

use super::error::SandboxError;
use super::launch::helped;
use super::request::{CAPABILITY, Job, Owned, Request};
use super::subordinate::{IDS, Mapping};
use super::tier::Tier;

/// The root of a step, which the step cannot change: whatever it writes to is copied before.
pub struct Root<'a> {
    /// In which the step runs, and for which [`extract`] has put the image on disk.
    pub tier: Tier,
    /// The directories in which it lies, lowest first; at most [`Root::MOST`], and none for an empty image.
    pub paths: Vec<&'a Path>,
    pub hidden: &'a Hidden,
}

impl Root<'_> {
    /// A root may have so many directories: their names together must fit into an option of overlayfs, which has at most 255 bytes.
    pub const MOST: usize = 40;
}

/// Extended attributes of an image that are not on disk, by path and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden(pub(super) BTreeSet<(ImagePath, String)>);

impl Hidden {
    /// What is hidden of an image of which `above`, of which this is hidden, is the uppermost directory.
    #[must_use]
    pub fn under(mut self, hidden: Hidden, above: &Tree) -> Hidden {
        self.0.retain(|(path, _)| above.get(path).is_none());
        self.0.extend(hidden.0);
        self
    }
}

/// Puts an image, or what one directory of its root holds, on disk, in the directory `destination`, which does not exist.
///
/// # Errors
/// The disk refuses, or a content cannot be read or is not what its digest says. With subordinate ids, also those of
/// the sandbox.
pub fn extract(stratum: &Stratum, tier: Tier, destination: &Path) -> Result<Hidden, SandboxError> {
    let skipped = extract_for_step(stratum, destination)?;
    let attribute = |part| match part {
        SkippedPart::Xattr(name) => Some(name),
        _ => None,
    };
    let attributes = skipped.into_iter().filter_map(|skipped| Some((skipped.path, attribute(skipped.part)?)));
    let mut hidden: BTreeSet<(ImagePath, String)> = attributes.collect();
    if tier == Tier::SubordinateIds {
        let files: Vec<Owned> = stratum.tree.entries().filter_map(owned).collect();
        hidden.retain(|(path, name)| name != CAPABILITY || !files.iter().any(|owned| owned.path == *path));
        let (Some(place), Some(tree)) = (destination.parent(), destination.file_name().and_then(|name| name.to_str()))
        else {
            return Err(SandboxError::Place(std::io::ErrorKind::InvalidInput.into()));
        };
        if !files.is_empty() {
            let mapping = Mapping::of_user()?;
            helped(&Job::<Request>::Give { mapping, tree: tree.to_owned(), files }, place)?;
        }
    }
    Ok(Hidden(hidden))
}

/// What of an entry is not as it should be after an ordinary user has extracted it.
fn owned(entry: Entry) -> Option<Owned> {
    let mut metadata = entry.metadata;
    let is_on_disk = matches!(entry.kind, Kind::File { .. } | Kind::Directory | Kind::Symlink { .. });
    let capability = metadata.xattrs.remove(CAPABILITY);
    let mode = (!matches!(entry.kind, Kind::Symlink { .. })).then_some(metadata.mode & 0o7777);
    let is_owned = is_on_disk && ((metadata.uid, metadata.gid) != (0, 0) || capability.is_some());
    is_owned.then_some(Owned { path: entry.path, uid: metadata.uid, gid: metadata.gid, mode, capability })
}

impl Tier {
    /// The tier for steps in an image: subordinate ids only if all owners are among them.
    #[must_use]
    pub fn for_image(self, image: &Tree) -> Tier {
        let fits = |entry: Entry| {
            let (uid, gid) = (entry.metadata.uid, entry.metadata.gid);
            // The root of the image is what changes lie in, which the build makes.
            if entry.path.is_root() { (uid, gid) == (0, 0) } else { uid.max(gid) < IDS }
        };
        if self == Tier::SubordinateIds && !image.entries().all(fits) { Tier::SingleUser } else { self }
    }
}

/// Removes a directory with files that belong to subordinate ids. What cannot be removed is left.
pub fn remove(directory: &Path) {
    let (Some(place), Some(name)) = (directory.parent(), directory.file_name()) else { return };
    let Ok(mapping) = Mapping::of_user() else { return };
    let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
    // Whoever looks sees that it is there.
    let _ = helped(&Job::<Request>::Remove { mapping, name: name.into() }, place);
}
