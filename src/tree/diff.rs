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
    // Side by side, as both are sorted, and most nodes are the very same.
    let mut old = lower.names().iter().peekable();
    let mut gone: Vec<&ImagePath> = Vec::new();
    for (path, slot) in upper.names().iter() {
        while let Some((path, _)) = old.next_if(|(other, _)| *other < path) {
            gone.push(path);
        }
        let there = old.next_if(|(other, _)| *other == path).map(|(_, there)| there);
        let is_same = |there: &Slot| (there.group, slot.group) == (None, None) && Arc::ptr_eq(&there.node, &slot.node);
        let is_kept = match slot.group {
            _ if there.is_some_and(is_same) => true,
            None => kept.keep(&[path], slot),
            Some(group) => *decided.entry(group).or_insert_with(|| kept.keep(&groups[&group], slot)),
        };
        if !is_kept {
            layer.names.replace(path.clone(), slot.clone());
        }
    }
    gone.extend(old.map(|(path, _)| path));
    for path in gone {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;
    use crate::tree::sample::{directory, file, hard_link, link, paths, tree, with_mode};

    fn difference(lower: &[Entry], upper: &[Entry]) -> Vec<Entry> {
        diff(&tree(lower.to_vec()), &tree(upper.to_vec())).unwrap().entries(0)
    }

    #[test]
    fn only_what_differs_is_in_it() {
        let lower = [directory("d"), file("d/f", "1"), file("d/g", "1"), link("l", "a")];
        let upper = [directory("d"), file("d/f", "1"), with_mode(0o600, file("d/g", "1")), link("l", "b")];
        assert_eq!(difference(&lower, &upper), [with_mode(0o600, file("d/g", "1")), link("l", "b")]);
    }

    #[test]
    fn only_the_topmost_path_is_whited_out() {
        let lower = [file("a/b/c", ""), file("a/b/d/e", ""), file("a/k", ""), file("f/x", ""), file("g", "")];
        let upper = [file("a/k", ""), file("f", ""), file("g/x", "")];
        assert_eq!(paths(difference(&lower, &upper)), ["/a/.wh.b", "/f", "/g", "/g/x"]);
    }

    #[test]
    fn hard_links_that_are_still_linked_are_not_written() {
        let group = [file("a", "x"), hard_link("b", "a"), hard_link("c", "a")];
        assert_eq!(paths(difference(&group, &group[..2])), ["/.wh.c"]);
        assert_eq!(paths(difference(&group, &group[..1])), ["/.wh.b", "/.wh.c"]);
    }

    #[test]
    fn hard_links_that_changed_are_written_whole() {
        let (two, apart) = ([file("a", "x"), hard_link("b", "a")], [file("a", "x"), file("b", "x")]);
        let three = [file("a", "x"), hard_link("b", "a"), hard_link("c", "a")];
        assert_eq!(difference(&two, &three), three, "no link may lead out of the layer");
        assert_eq!(difference(&apart, &two), two);
        assert_eq!(difference(&two, &apart), [file("b", "x")], "one of the two is enough");
        let changed = [file("a", "y"), hard_link("b", "a")];
        assert_eq!(difference(&two, &changed), changed);
        assert_eq!(
            difference(&three, &[file("a", "x"), file("b", "x"), hard_link("c", "b")]),
            [file("b", "x"), hard_link("c", "b")]
        );
    }
}
