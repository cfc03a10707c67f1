//! The layer that makes one tree of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::path::ImagePath;
use crate::tree::changeset::Changeset;
use crate::tree::error::TreeError;
use crate::tree::merge::Tree;
use crate::tree::names::Slot;

/// The smallest layer with which `lower` becomes `upper`: what is new or differs in anything, and one whiteout for each
/// topmost path that is gone. Parents that stay the same are not in it (see [`Changeset::add_parents`]).
///
/// There are no opaque marks: a whiteout for each child of an emptied directory says the same and every engine knows it.
/// Hard links to a node are written all or none, so that no link leads out of the layer; none are if they are still
/// linked to each other as below, even when some of their siblings are gone. The root's metadata cannot be removed: if
/// only `lower` describes the root, it stays.
///
/// # Errors
/// A path that is gone is too long for a whiteout (some 4,080 bytes).
pub fn diff(lower: &Tree, upper: &Tree) -> Result<Changeset, TreeError> {
    let mut layer = Changeset::new();
    layer.groups = upper.groups();
    let mut groups: BTreeMap<u64, Vec<&ImagePath>> = BTreeMap::new();
    for (path, slot) in upper.names().iter() {
        if let Some(group) = slot.group {
            groups.entry(group).or_default().push(path);
        }
    }
    let mut kept = Kept { lower, lower_groups: BTreeSet::new() };
    let mut decided: BTreeMap<u64, bool> = BTreeMap::new();
    for (path, slot) in upper.names().iter() {
        let is_kept = match slot.group {
            None => kept.keep(&[path], slot),
            Some(group) => *decided.entry(group).or_insert_with(|| kept.keep(&groups[&group], slot)),
        };
        if !is_kept {
            layer.names.replace(path.clone(), slot.clone());
        }
    }
    for (path, _) in lower.names().iter().filter(|(path, _)| upper.get(path).is_none()) {
        let stays =
            |parent: ImagePath| parent.is_root() || upper.get(&parent).is_some_and(|node| node.kind.is_directory());
        if path.parent().is_some_and(stays) {
            layer.whiteout(path.clone())?;
        }
    }
    Ok(layer)
}

/// Which nodes of the upper tree are those of the lower one.
struct Kept<'a> {
    lower: &'a Tree,
    /// The groups of the lower tree that have become one of the upper; a second one must be written anew, or the two
    /// would still be linked.
    lower_groups: BTreeSet<u64>,
}

impl Kept<'_> {
    /// True if `names`, all that `slot` has in the upper tree, need not be written.
    fn keep(&mut self, names: &[&ImagePath], slot: &Slot) -> bool {
        let old = |path: &&ImagePath| self.lower.names().get(path.as_bytes());
        let Some(first) = names.first().and_then(old) else { return false };
        let is_same_node = Arc::ptr_eq(&first.node, &slot.node) || first.node == slot.node;
        match first.group {
            None => is_same_node && names.len() == 1,
            Some(group) => {
                is_same_node
                    && names.iter().all(|path| old(path).is_some_and(|old| old.group == Some(group)))
                    && self.lower_groups.insert(group)
            }
        }
    }
}
