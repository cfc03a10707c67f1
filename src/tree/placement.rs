//! Where the paths of a layer come to lie on top of a tree.

use crate::entry::Kind;
use crate::path::ImagePath;
use crate::tree::changeset::Changeset;
use crate::tree::error::TreeError;
use crate::tree::merge::Tree;
use crate::tree::names::{Slot, prefixes};
use crate::tree::node::Node;
use crate::tree::walk::walk;

/// What a directory does whose name is a symbolic link in the tree below.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// It replaces the link, as engines do with a layer.
    Replace,
    /// It is the directory where the link leads, as a person means it who adds files below `/lib`.
    Follow,
}

/// `layer` with every path where it comes to lie on top of `below`: no component but the last is a link, in the layer or
/// below it. The hard links left over have a target that exists below and stays.
///
/// # Errors
/// A path through a file or a loop of links; a hard link to what is missing, to itself, or to a directory.
pub(super) fn place(layer: &Changeset, below: &Tree, links: Links) -> Result<Changeset, TreeError> {
    let mut placed = layer.emptied();
    place_marks(layer, below, links, &mut placed)?;
    let through_links = place_direct(layer, below, links, &mut placed);
    place_through_links(through_links, below, links, &mut placed)?;
    place_hard_links(below, &mut placed)?;
    Ok(placed)
}

/// True if a mark of the layer removes `path` from the tree below.
pub(super) fn is_hidden(layer: &Changeset, path: &[u8]) -> bool {
    if layer.whiteouts.is_empty() && layer.opaque.is_empty() {
        return false;
    }
    layer.whiteouts.contains(path) || is_removed_above(layer, path)
}

/// True if a mark above `path` removes it from the tree below, whatever a mark on itself says.
pub(super) fn is_removed_above(layer: &Changeset, path: &[u8]) -> bool {
    (layer.opaque.contains(&b""[..]) && !path.is_empty())
        || prefixes(path).any(|parent| layer.whiteouts.contains(parent) || layer.opaque.contains(parent))
}

/// Marks act before the layer's own entries, so only the tree below says where they lead.
fn place_marks(layer: &Changeset, below: &Tree, links: Links, placed: &mut Changeset) -> Result<(), TreeError> {
    // What this layer puts in the place of a link or a file below begins empty: a mark in it removes nothing.
    let begins_empty = |path: &[u8]| match (layer.names.kind(path), below.kind(path)) {
        (Some(Kind::Directory), Some(there)) => links == Links::Replace && !there.is_directory(),
        (here, _) => here.is_some_and(|kind| !kind.is_directory()),
    };
    let lead = |path: &ImagePath, follow_last| {
        if prefixes(path.as_bytes()).any(begins_empty) || (follow_last && begins_empty(path.as_bytes())) {
            return Ok(None);
        }
        match walk(|path| below.kind(path), path, follow_last) {
            Ok(found) => Ok(Some(found)),
            Err(TreeError::ParentNotDirectory { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    };
    for path in layer.whiteouts.iter().filter(|path| !is_removed_above(layer, path.as_bytes())) {
        if let Some(found) = lead(path, false)?.filter(|found| below.get(found).is_some()) {
            placed.whiteout(found)?;
        }
    }
    for directory in layer.opaque.iter().filter(|path| !is_hidden(layer, path.as_bytes())) {
        if let Some(found) = lead(directory, true)?.filter(|found| below.names().below(found).next().is_some()) {
            placed.opaque(found)?;
        }
    }
    Ok(())
}

/// Places the names to which no link leads, and returns the others. Errors are left to the second pass, which knows
/// where everything is.
fn place_direct(layer: &Changeset, below: &Tree, links: Links, placed: &mut Changeset) -> Vec<(ImagePath, Slot)> {
    let mut through_links = Vec::new();
    let mut last_parent: Option<(ImagePath, bool)> = None;
    for (path, slot) in layer.names.iter() {
        let is_direct = {
            let look_below = |path: &[u8]| below.kind(path).filter(|_| !is_hidden(placed, path));
            let look = |path: &[u8]| match (layer.names.kind(path), look_below(path)) {
                (Some(Kind::Directory), Some(link @ Kind::Symlink { .. })) if links == Links::Follow => Some(link),
                (here, there) => here.or(there),
            };
            let parent = path.parent().unwrap_or(ImagePath::root());
            let is_parent_direct = match &last_parent {
                Some((last, is_direct)) if *last == parent => *is_direct,
                _ => {
                    let is_directory = look(parent.as_bytes()).is_none_or(Kind::is_directory);
                    is_directory && walk(look, &parent, true).is_ok_and(|found| found == parent)
                }
            };
            let is_link = slot.node.kind.is_directory() && matches!(look(path.as_bytes()), Some(Kind::Symlink { .. }));
            last_parent = Some((parent, is_parent_direct));
            is_parent_direct && !is_link
        };
        match is_direct {
            true => drop(placed.names.replace(path.clone(), slot.clone())),
            false => through_links.push((path.clone(), slot.clone())),
        }
    }
    through_links
}

fn place_through_links(
    names: Vec<(ImagePath, Slot)>,
    below: &Tree,
    links: Links,
    placed: &mut Changeset,
) -> Result<(), TreeError> {
    for (path, slot) in names {
        let look = |path: &[u8]| kind_at(placed, below, path);
        let follow = links == Links::Follow && slot.node.kind.is_directory();
        let found = walk(look, &path, follow)?;
        if let Some(kind) = look(found.as_bytes()).filter(|kind| follow && !kind.is_directory()) {
            return Err(TreeError::ParentNotDirectory { path, parent: found, kind: kind.name() });
        }
        placed.put(found, slot);
    }
    Ok(())
}

/// Finds the targets of the hard links that are not to a name of the layer as it was written.
fn place_hard_links(below: &Tree, placed: &mut Changeset) -> Result<(), TreeError> {
    let links: Vec<_> = placed.waiting_links().map(|(path, target)| (path.clone(), target.clone())).collect();
    for (path, target) in &links {
        let found = follow_hard_links(path, target, below, placed, links.len())?;
        let slot = match placed.names.get_mut(found.as_bytes()) {
            Some(target) => target.share(&mut placed.groups),
            None => {
                let link = placed.names.get(path.as_bytes()).expect("the link is one of the placed names");
                Slot::new(Node { metadata: link.node.metadata.clone(), kind: Kind::HardLink { target: found } })
            }
        };
        placed.names.replace(path.clone(), slot);
    }
    Ok(())
}

/// The name, in the layer or below, of what a hard link at `path` to `target` stands for. The way there may lead over
/// other hard links of the layer, of which there are `count`.
fn follow_hard_links(
    path: &ImagePath,
    target: &ImagePath,
    below: &Tree,
    placed: &Changeset,
    count: usize,
) -> Result<ImagePath, TreeError> {
    let mut target = target;
    for _ in 0..=count {
        let found = match walk(|path| kind_at(placed, below, path), target, false) {
            Err(TreeError::ParentNotDirectory { .. }) => {
                return Err(TreeError::LinkMissing { path: path.clone(), target: target.clone() });
            }
            found => found?,
        };
        if found == *path {
            break;
        }
        let is_implied_directory = || found.is_root() || placed.names.below(&found).next().is_some();
        match kind_at(placed, below, found.as_bytes()) {
            Some(Kind::HardLink { target: further }) => target = further,
            Some(Kind::Directory) => return Err(TreeError::LinkToDirectory { path: path.clone(), target: found }),
            None if is_implied_directory() => {
                return Err(TreeError::LinkToDirectory { path: path.clone(), target: found });
            }
            None => return Err(TreeError::LinkMissing { path: path.clone(), target: found }),
            Some(_) => return Ok(found),
        }
    }
    Err(TreeError::LinkToItself { path: path.clone() })
}

/// What is at `path`: the layer's own, else what its marks leave of the tree below.
fn kind_at<'a>(placed: &'a Changeset, below: &'a Tree, path: &[u8]) -> Option<&'a Kind> {
    placed.names.kind(path).or_else(|| below.kind(path).filter(|_| !is_hidden(placed, path)))
}
