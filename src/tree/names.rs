//! The sorted map of names that trees and changesets are made of.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::entry::{Entry, Kind};
use crate::path::ImagePath;
use crate::tree::node::Node;

/// What a name stands for, and whether it shares that with other names.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub node: Arc<Node>,
    /// Names of one map with the same number are hard links to each other; `None` while nothing links here. Being
    /// explicit, it lets trees and changesets share nodes without becoming linked.
    pub group: Option<u64>,
}

impl Slot {
    /// A node with a single name.
    pub fn new(node: Node) -> Self {
        Slot { node: Arc::new(node), group: None }
    }

    /// The slot of a further name of this node. `groups` is the map's next group number.
    pub fn share(&mut self, groups: &mut u64) -> Slot {
        if self.group.is_none() {
            self.group = Some(*groups);
            *groups += 1;
        }
        self.clone()
    }
}

/// Names in bytewise order.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    slots: BTreeMap<ImagePath, Slot>,
    /// Bytes of all paths together.
    bytes: usize,
}

impl Names {
    pub fn get(&self, path: &[u8]) -> Option<&Slot> {
        // Most names come in bytewise order, and for a new one a look at the last tells.
        if self.is_after_all(path) { None } else { self.slots.get(path) }
    }

    pub fn get_mut(&mut self, path: &[u8]) -> Option<&mut Slot> {
        self.slots.get_mut(path)
    }

    pub fn kind(&self, path: &[u8]) -> Option<&Kind> {
        self.get(path).map(|slot| &slot.node.kind)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&ImagePath, &Slot)> + Clone {
        self.slots.iter()
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of all paths together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What lies below `directory` at any depth, without itself.
    pub fn below(&self, directory: &ImagePath) -> impl Iterator<Item = (&ImagePath, &Slot)> + Clone {
        let (start, end) = bounds_below(directory);
        self.slots.range::<[u8], _>((as_slice(&start), as_slice(&end)))
    }

    /// Sets a name. What lies below it goes unless it is, and stays, a directory. Returns how many names went, the
    /// name's own former node not counted.
    pub fn replace(&mut self, path: ImagePath, slot: Slot) -> usize {
        let gone = if slot.node.kind.is_directory() { 0 } else { self.remove_below(&path) };
        let len = path.as_bytes().len();
        if self.slots.insert(path, slot).is_none() {
            self.bytes += len;
        }
        gone
    }

    /// Removes a name and all below it.
    pub fn remove(&mut self, path: &ImagePath) {
        self.remove_one(path);
        self.remove_below(path);
    }

    /// Removes what lies below `directory` and returns how many names that were.
    pub fn remove_below(&mut self, directory: &ImagePath) -> usize {
        if self.has_none_below(directory) {
            return 0;
        }
        let gone: Vec<ImagePath> = self.below(directory).map(|(path, _)| path.clone()).collect();
        gone.iter().for_each(|path| self.remove_one(path));
        gone.len()
    }

    /// True if surely nothing lies below `directory`: the names that begin with its text follow it directly.
    fn has_none_below(&self, directory: &ImagePath) -> bool {
        let path = directory.as_bytes();
        let next = || self.slots.range::<[u8], _>((Bound::Excluded(path), Bound::Unbounded)).next();
        self.is_after_all(path) || next().is_none_or(|(next, _)| !next.as_bytes().starts_with(path))
    }

    fn is_after_all(&self, path: &[u8]) -> bool {
        self.slots.last_key_value().is_none_or(|(last, _)| last.as_bytes() < path)
    }

    fn remove_one(&mut self, path: &ImagePath) {
        if self.slots.remove(path).is_some() {
            self.bytes -= path.as_bytes().len();
        }
    }

    /// Every name as an entry, in bytewise order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        entries(self.iter())
    }
}

/// Names as entries. Of names that are hard links to each other, the first to come is the file and the others are links
/// to it, so a selection of names stands on its own.
pub(super) fn entries<'a>(
    names: impl Iterator<Item = (&'a ImagePath, &'a Slot)> + 'a,
) -> impl Iterator<Item = Entry> + 'a {
    let mut first_names: BTreeMap<u64, &ImagePath> = BTreeMap::new();
    names.map(move |(path, slot)| {
        let first = slot.group.map_or(path, |group| *first_names.entry(group).or_insert(path));
        let kind = if first == path { slot.node.kind.clone() } else { Kind::HardLink { target: first.clone() } };
        Entry { path: path.clone(), metadata: slot.node.metadata.clone(), kind }
    })
}

/// The directories above `path`, outermost first, without the root and without the path itself.
pub(super) fn prefixes(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(end, _)| &path[..end])
}

/// All below `d` lies between `d/` and `d0`, as `0` is the byte after the slash.
fn bounds_below(directory: &ImagePath) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    if directory.is_root() {
        return (Bound::Excluded(Vec::new()), Bound::Unbounded);
    }
    let with = |byte: u8| [directory.as_bytes(), &[byte]].concat();
    (Bound::Excluded(with(b'/')), Bound::Excluded(with(b'/' + 1)))
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}
