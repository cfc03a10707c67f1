//! Takes out of what a command changed what differs between two runs though nobody reads it.
//!
//! It works on the list of changes, after the command has ended: a file that is noise is as it was below, or not there; of
//! some files only a part is noise, and that part gets a fixed value. What a command removed stays removed.

mod bytecode;
mod noise;
mod shadow;

use std::io;

use crate::entry::{Content, Entry, Kind};
use crate::path::ImagePath;
use crate::target::{Scrub, Scrubber};
use crate::tree::{Changeset, Node, Tree, TreeError, diff};

use self::noise::Noise;

/// Larger files of accounts are left as they are.
const LARGEST: u64 = 1 << 20;

/// Why changes cannot be scrubbed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScrubError {
    #[error("`{path}` cannot be read")]
    Read { path: ImagePath, source: io::Error },
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// What becomes of a path that changed.
enum Fate {
    /// It is as it was below.
    AsBelow,
    /// It is not there.
    Gone,
    /// It has another content.
    Holds(Vec<u8>),
}

/// The image below a command and the image with its changes, whose contents can be read.
struct Images<'a> {
    below: &'a Tree,
    above: &'a Tree,
    /// Seconds since 1970.
    epoch: i64,
}

/// True for a file of the image below whose content [`scrub`] reads, if the command changed it or one like it.
pub(super) fn reads(path: &ImagePath) -> bool {
    shadow::is_read(path)
}

/// `changes` without the noise that `scrub` names. Contents of the changes can be read, and of `below` those that [`reads`] names.
pub(super) fn scrub(changes: Changeset, below: &Tree, scrub: &Scrub, epoch: i64) -> Result<Changeset, ScrubError> {
    let mut above = below.clone();
    above.apply(&changes)?;
    let changed: Vec<ImagePath> = changes.entries(epoch).into_iter().map(|entry| entry.path).collect();
    let images = Images { below, above: &above, epoch };
    let mut corrections = Changeset::new();
    for (path, fate) in fates(&changed, scrub, &images)? {
        match (fate, below.get(&path)) {
            (Fate::AsBelow, Some(Node { metadata, kind })) => {
                corrections.insert(Entry { path, metadata: metadata.clone(), kind: kind.clone() })?;
            }
            (Fate::AsBelow | Fate::Gone, _) => corrections.whiteout(path)?,
            (Fate::Holds(bytes), _) => {
                let Some(Node { metadata, .. }) = above.get(&path).cloned() else { continue };
                corrections.insert(Entry { path, metadata, kind: Kind::File { content: Content::inline(bytes) } })?;
            }
        }
    }
    if corrections.is_empty() {
        return Ok(changes);
    }
    let mut scrubbed = above.clone();
    scrubbed.apply(&corrections)?;
    Ok(diff(below, &scrubbed)?)
}

/// What becomes of those paths that do not stay as they are.
fn fates(changed: &[ImagePath], scrub: &Scrub, images: &Images) -> Result<Vec<(ImagePath, Fate)>, ScrubError> {
    let noise = Noise::of(scrub);
    let mut fates = Vec::new();
    for path in changed {
        let Some(node) = images.above.get(path) else { continue };
        if noise.is(path) {
            fates.push((path.clone(), Fate::AsBelow));
            continue;
        }
        for scrubber in scrub.iter() {
            let holds = match scrubber {
                Scrubber::Pyc => bytecode::alone(path, images),
                Scrubber::MachineId => machine_id(path, node, images),
                Scrubber::ShadowLastchange => shadow::scrubbed(path, node, images),
                _ => Ok(None),
            };
            let holds = holds.map_err(|source| ScrubError::Read { path: path.clone(), source })?;
            fates.extend(holds.map(|bytes| (path.clone(), Fate::Holds(bytes))));
        }
    }
    if scrub.iter().any(|scrubber| scrubber == Scrubber::Pyc) {
        fates.extend(bytecode::stale(changed, images)?.into_iter().map(|path| (path, Fate::Gone)));
    }
    Ok(fates)
}

/// An empty `/etc/machine-id` in place of one that the command made: machine-id(5), "Initialization", wants that of images, and
/// that the file is there.
fn machine_id(path: &ImagePath, node: &Node, images: &Images) -> io::Result<Option<Vec<u8>>> {
    let Kind::File { content } = &node.kind else { return Ok(None) };
    let was_there = images.below.get(path).is_some_and(|old| old.kind == node.kind);
    let is_id = path.as_bytes() == b"etc/machine-id" && !was_there && (1..=LARGEST).contains(&content.size);
    Ok((is_id && content.read_all(LARGEST)?.trim_ascii_end() != b"uninitialized").then(Vec::new))
}
