//! Where the paths of a layer come to lie on top of a tree.

use std::collections::BTreeSet;

use crate::entry::Kind;
use crate::path::ImagePath;
use crate::tree::below::{Below, Unmarked, kind};
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
pub(super) fn place(layer: &Changeset, below: &impl Below, links: Links) -> Result<Changeset, TreeError> {
    let mut placed = layer.emptied();
    place_marks(layer, below, links, &mut placed)?;
    // Marks are where they lead, and no later step adds any.
    let marks = placed.clone();
    let base = Unmarked { below, layer: &marks };
    let through_links = place_direct(layer, &base, links, &mut placed);
    place_through_links(through_links, &base, links, &mut placed)?;
    place_hard_links(&base, &mut placed)?;
    Ok(placed)
}

/// True if a mark above `path` removes it from the tree below, whatever a mark on itself says.
pub(super) fn is_removed_above(layer: &Changeset, path: &[u8]) -> bool {
    (layer.opaque.contains(&b""[..]) && !path.is_empty())
        || prefixes(path).any(|parent| layer.whiteouts.contains(parent) || layer.opaque.contains(parent))
}

/// Marks act before the layer's own entries, so only the tree below says where they lead.
fn place_marks(layer: &Changeset, below: &impl Below, links: Links, placed: &mut Changeset) -> Result<(), TreeError> {
    // What this layer puts in the place of a link or a file below begins empty: a mark in it removes nothing.
    let begins_empty = |path: &[u8]| match (layer.names.kind(path), kind(below, path)) {
        (Some(Kind::Directory), Some(there)) => links == Links::Replace && !there.is_directory(),
        (here, _) => here.is_some_and(|kind| !kind.is_directory()),
    };
    let lead = |path: &ImagePath, follow_last| {
        if prefixes(path.as_bytes()).any(begins_empty) || (follow_last && begins_empty(path.as_bytes())) {
            return Ok(None);
        }
        match walk(|path| kind(below, path), path, follow_last) {
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
    let is_removed = |path: &ImagePath| layer.whiteouts.contains(path) || is_removed_above(layer, path.as_bytes());
    for directory in layer.opaque.iter().filter(|path| !is_removed(path)) {
        if let Some(found) = lead(directory, true)?.filter(|found| below.has_below(found)) {
            placed.opaque(found)?;
        }
    }
    Ok(())
}

/// Places the names to which no link leads, and returns the others. Errors are left to the second pass, which knows
/// where everything is.
fn place_direct(
    layer: &Changeset,
    base: &Unmarked<impl Below>,
    links: Links,
    placed: &mut Changeset,
) -> Vec<(ImagePath, Slot)> {
    let mut through_links = Vec::new();
    let mut last_parent: Option<(ImagePath, bool)> = None;
    for (path, slot) in layer.names.iter() {
        let is_direct = {
            let look = |path: &[u8]| match (layer.names.kind(path), base.kind(path)) {
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
    base: &Unmarked<impl Below>,
    links: Links,
    placed: &mut Changeset,
) -> Result<(), TreeError> {
    for (path, slot) in names {
        let look = |path: &[u8]| kind_at(placed, base, path);
        let follow = links == Links::Follow && slot.node.kind.is_directory();
        let found = walk(look, &path, follow)?;
        if let Some(kind) = look(found.as_bytes()).filter(|kind| follow && !kind.is_directory()) {
            return Err(TreeError::ParentNotDirectory { path, parent: found, kind: kind.name() });
        }
        placed.put(found, slot);
        if placed.names.bytes() > Tree::MAX_BYTES {
            return Err(TreeError::TooLarge { path });
        }
    }
    Ok(())
}

/// Finds what the hard links stand for whose target was not a name of the layer as it was written.
fn place_hard_links(base: &Unmarked<impl Below>, placed: &mut Changeset) -> Result<(), TreeError> {
    let links: Vec<ImagePath> = placed.waiting_links().map(|(path, _)| path.clone()).collect();
    let mut below = BTreeSet::new();
    for link in links {
        place_hard_link(link, base, placed, &mut below)?;
    }
    Ok(())
}

/// Finds what `link` stands for, and before it every hard link that it needs: one that it is a link to, or one to a
/// symbolic link on the way to its target. `below` has the paths of those found to be links to the tree below.
fn place_hard_link(
    link: ImagePath,
    base: &Unmarked<impl Below>,
    placed: &mut Changeset,
    below: &mut BTreeSet<ImagePath>,
) -> Result<(), TreeError> {
    // Each needs the next. What was found stays found, so a long way is not gone again for each link on it.
    let mut way = vec![link];
    let mut on_way: BTreeSet<ImagePath> = way.iter().cloned().collect();
    while let Some(path) = way.last().cloned() {
        let node = &placed.names.get(path.as_bytes()).expect("every step of the way is a name of the layer").node;
        let needed = match &node.kind {
            Kind::HardLink { target } if !below.contains(&path) => {
                match target_of(&path, target, base, placed, below)? {
                    Target::Needs(needed) => Some(needed),
                    Target::Layer(found) => {
                        let slot = placed.names.get_mut(found.as_bytes()).expect("it was found there");
                        let slot = slot.share(&mut placed.groups);
                        placed.names.replace(path, slot);
                        None
                    }
                    Target::Below(found) => {
                        let node = Node { metadata: node.metadata.clone(), kind: Kind::HardLink { target: found } };
                        below.insert(path.clone());
                        placed.names.replace(path, Slot::new(node));
                        None
                    }
                }
            }
            _ => None,
        };
        match needed {
            Some(needed) if !on_way.insert(needed.clone()) => return Err(TreeError::LinkToItself { path: needed }),
            Some(needed) => way.push(needed),
            None => drop(way.pop()),
        }
    }
    Ok(())
}

/// Where the target of a hard link is.
enum Target {
    /// A name of the layer.
    Layer(ImagePath),
    /// A name of the tree below, which stays.
    Below(ImagePath),
    /// That is known only when this hard link of the layer is placed.
    Needs(ImagePath),
}

/// The name that the hard link at `path` is to.
fn target_of(
    path: &ImagePath,
    target: &ImagePath,
    base: &Unmarked<impl Below>,
    placed: &Changeset,
    below: &BTreeSet<ImagePath>,
) -> Result<Target, TreeError> {
    let missing = |target: &ImagePath| TreeError::LinkMissing { path: path.clone(), target: target.clone() };
    // A placed hard link is what it is a link to: a symbolic link is followed under each of its names.
    let look = |path: &[u8]| match kind_at(placed, base, path) {
        Some(Kind::HardLink { target }) if below.contains(path) => base.kind(target.as_bytes()),
        kind => kind,
    };
    let is_waiting = |path: &ImagePath| matches!(look(path.as_bytes()), Some(Kind::HardLink { .. }));
    let found = match walk(look, target, false) {
        Ok(found) if found == *path => return Err(TreeError::LinkToItself { path: found }),
        Ok(found) => found,
        // The way to the target cannot lead through the name that the link itself takes.
        Err(TreeError::ParentNotDirectory { parent, .. }) if parent != *path && is_waiting(&parent) => {
            return Ok(Target::Needs(parent));
        }
        Err(TreeError::ParentNotDirectory { .. }) => return Err(missing(target)),
        Err(error) => return Err(error),
    };
    let is_implied_directory = || found.is_root() || placed.names.below(&found).next().is_some();
    match (look(found.as_bytes()), placed.names.kind(found.as_bytes())) {
        (Some(Kind::HardLink { .. }), _) => Ok(Target::Needs(found)),
        (Some(kind), Some(Kind::HardLink { target })) if !kind.is_directory() => Ok(Target::Below(target.clone())),
        (Some(kind), Some(_)) if !kind.is_directory() => Ok(Target::Layer(found)),
        (Some(kind), None) if !kind.is_directory() => Ok(Target::Below(found)),
        (None, _) if !is_implied_directory() => Err(missing(&found)),
        _ => Err(TreeError::LinkToDirectory { path: path.clone(), target: found }),
    }
}

/// What is at `path`: the layer's own, else what its marks left of the tree below.
fn kind_at<'a>(placed: &'a Changeset, base: &Unmarked<'a, impl Below>, path: &[u8]) -> Option<&'a Kind> {
    placed.names.kind(path).or_else(|| base.kind(path))
}
