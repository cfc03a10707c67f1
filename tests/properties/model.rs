//! A second, plain implementation of layers: a recursive map that is changed step by step, as a disk would be. It is
//! slow and follows the words of image-spec, so that `ocify::tree` can be held against it.

use std::collections::BTreeMap;
use std::rc::Rc;

use ocify::entry::{Entry, Kind, Metadata};
use ocify::path::ImagePath;

/// A path as its components.
pub type Names = Vec<Vec<u8>>;

#[derive(Clone, Debug)]
pub enum Item {
    Directory(Metadata, BTreeMap<Vec<u8>, Item>),
    /// Hard links are clones of one `Rc`.
    Leaf(Rc<(Metadata, Kind)>),
}

/// What the model does not judge, because the words leave it open, or what is an error.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Error,
    /// A path leads through a file.
    NotADirectory,
    TwoEntriesOfOneLayerAtOnePath,
}

#[derive(Clone, Debug)]
pub struct Disk(Item);

impl Disk {
    pub fn new() -> Self {
        Disk(undescribed())
    }

    /// Applies a layer as a set: marks, then the entries that no link leads to, then the others, then the hard links to
    /// what is not among them.
    pub fn apply_set(&mut self, layer: &[Entry]) -> Result<(), Refusal> {
        let own_directory =
            |path: &[Vec<u8>]| layer.iter().any(|entry| entry.kind.is_directory() && names(&entry.path) == path);
        let own_other = |path: &[Vec<u8>]| {
            layer.iter().any(|entry| !entry.kind.is_directory() && mark(entry).is_none() && names(&entry.path) == path)
        };
        let below = self.clone();
        for entry in layer.iter().filter(|entry| mark(entry).is_some()) {
            let (parent, removed) = mark(entry).unwrap();
            let is_removed_above = layer.iter().filter_map(mark).any(|(above, name)| match name {
                Some(name) => parent.starts_with(&[above, vec![name]].concat()),
                None => parent.starts_with(&above) && (parent != above || removed.is_some()),
            });
            if is_removed_above {
                continue;
            }
            let begins_empty = (1..=parent.len()).any(|len| {
                own_other(&parent[..len])
                    || own_directory(&parent[..len])
                        && !matches!(below.literal(&parent[..len]), None | Some(Item::Directory(..)))
            });
            if !begins_empty {
                let Some(parent) = below.existing(&parent)? else { continue };
                self.remove(&parent, removed.as_deref());
            }
        }
        let not_direct = |disk: &Disk, entry: &Entry| {
            let path = names(&entry.path);
            (1..path.len())
                .any(|len| !own_directory(&path[..len]) && matches!(disk.literal(&path[..len]), Some(Item::Leaf(_))))
        };
        // Bytewise, as a set has no other order: engines would go by that of the archive.
        let mut ordinary: Vec<&Entry> = layer.iter().filter(|entry| mark(entry).is_none()).collect();
        ordinary.sort_by_key(|entry| &entry.path);
        let (later, first): (Vec<_>, Vec<_>) = ordinary.into_iter().partition(|entry| not_direct(self, entry));
        let (mut written, mut links): (Vec<Names>, Vec<Names>) = (Vec::new(), Vec::new());
        let mut nodes = BTreeMap::new();
        for entry in first.into_iter().chain(later) {
            let path = self.place(&names(&entry.path))?;
            if written
                .iter()
                .any(|other| other.starts_with(&path) && (other.len() == path.len() || !entry.kind.is_directory()))
            {
                return Err(Refusal::TwoEntriesOfOneLayerAtOnePath);
            }
            match &entry.kind {
                Kind::Directory => self.put(&path, entry),
                _ => {
                    let own = own_name(layer, entry)?;
                    let node = || Rc::new((own.metadata.clone(), own.kind.clone()));
                    let leaf = nodes.entry(names(&own.path)).or_insert_with(node).clone();
                    links.extend(matches!(leaf.1, Kind::HardLink { .. }).then(|| path.clone()));
                    *self.slot(&path) = Item::Leaf(leaf);
                }
            }
            written.push(path);
        }
        // Whichever of them can be made is made, so the order in which they were written decides nothing.
        while !links.is_empty() {
            let Some((link, leaf)) = links.iter().find_map(|link| Some((link.clone(), self.linked(link)?))) else {
                return Err(Refusal::Error);
            };
            *self.slot(&link) = Item::Leaf(leaf);
            links.retain(|other| *other != link);
        }
        Ok(())
    }

    /// Applies an archive as docker and containerd do it: one entry after the other, where a whiteout removes whatever
    /// is there and an opaque mark what this archive has not written.
    pub fn apply_in_order(&mut self, layer: &[Entry]) -> Result<(), Refusal> {
        let mut written: Vec<Names> = Vec::new();
        for entry in layer {
            if let Some((parent, removed)) = mark(entry) {
                let parent = self.place_directory(&parent)?;
                match removed {
                    Some(name) => self.remove(&parent, Some(&name)),
                    None => self.remove_unwritten(&parent, &written),
                }
                continue;
            }
            let path = self.place(&names(&entry.path))?;
            match &entry.kind {
                Kind::HardLink { target } => {
                    let target = self.place(&names(target))?;
                    let Some(Item::Leaf(leaf)) = self.literal(&target) else { return Err(Refusal::Error) };
                    let leaf = leaf.clone();
                    *self.slot(&path) = Item::Leaf(leaf);
                }
                _ => self.put(&path, entry),
            }
            written.push(path);
        }
        Ok(())
    }

    /// Every entry, sorted bytewise by path; of hard links the first is the file.
    pub fn entries(&self) -> Vec<Entry> {
        let mut found = Vec::new();
        collect(&self.0, Vec::new(), &mut found);
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut entries = Vec::new();
        for (path, item) in &found {
            let path = ImagePath::parse(path).unwrap();
            let (metadata, kind) = match item {
                Item::Directory(metadata, _) => (metadata.clone(), Kind::Directory),
                Item::Leaf(leaf) => {
                    let first = found.iter().find(|(_, other)| matches!(other, Item::Leaf(o) if Rc::ptr_eq(o, leaf)));
                    let first = ImagePath::parse(&first.unwrap().0).unwrap();
                    let kind = if first == path { leaf.1.clone() } else { Kind::HardLink { target: first } };
                    (leaf.0.clone(), kind)
                }
            };
            entries.push(Entry { path, metadata, kind });
        }
        entries
    }

    fn literal(&self, path: &[Vec<u8>]) -> Option<&Item> {
        path.iter().try_fold(&self.0, |item, name| match item {
            Item::Directory(_, children) => children.get(name),
            Item::Leaf(_) => None,
        })
    }

    /// Where `path` comes to lie; the last component is not followed.
    fn place(&self, path: &[Vec<u8>]) -> Result<Names, Refusal> {
        let Some((name, parent)) = path.split_last() else { return Ok(Names::new()) };
        let mut placed = self.place_directory(parent)?;
        placed.push(name.clone());
        Ok(placed)
    }

    fn place_directory(&self, path: &[Vec<u8>]) -> Result<Names, Refusal> {
        let mut links = 0;
        let (mut here, mut rest) = (Names::new(), path.to_vec());
        while !rest.is_empty() {
            let name = rest.remove(0);
            match &name[..] {
                b"" | b"." => continue,
                b".." => {
                    here.pop();
                    continue;
                }
                _ => here.push(name),
            }
            match self.literal(&here) {
                None | Some(Item::Directory(..)) => {}
                Some(item) => {
                    let target = item.link().ok_or(Refusal::NotADirectory)?;
                    links += 1;
                    if links > 40 {
                        return Err(Refusal::Error);
                    }
                    here.pop();
                    if target.starts_with(b"/") {
                        here.clear();
                    }
                    rest.splice(..0, target.split(|&b| b == b'/').map(<[u8]>::to_vec));
                }
            }
        }
        Ok(here)
    }

    /// What the hard link at `path` stands for, if that is there and no hard link itself.
    fn linked(&self, path: &[Vec<u8>]) -> Option<Rc<(Metadata, Kind)>> {
        let leaf = |path: &[Vec<u8>]| match self.literal(path) {
            Some(Item::Leaf(leaf)) => Some(leaf.clone()),
            _ => None,
        };
        let Kind::HardLink { target } = &leaf(path)?.1 else { return None };
        let target = self.place(&names(target)).ok()?;
        leaf(&target).filter(|leaf| !matches!(leaf.1, Kind::HardLink { .. }))
    }

    /// The directory that `path` leads to, if there is one.
    fn existing(&self, path: &[Vec<u8>]) -> Result<Option<Names>, Refusal> {
        let found = match self.place_directory(path) {
            // A file on the way means that nothing is there, wherever the rest would have led: the kernel stops at the
            // file. A loop is an error all the same.
            Err(Refusal::NotADirectory) => return Ok(None),
            found => found?,
        };
        Ok(matches!(self.literal(&found), Some(Item::Directory(..))).then_some(found))
    }

    fn remove(&mut self, parent: &[Vec<u8>], name: Option<&[u8]>) {
        if let Some(Item::Directory(..)) = self.literal(parent)
            && let Item::Directory(_, children) = self.slot(parent)
        {
            match name {
                Some(name) => drop(children.remove(name)),
                None => children.clear(),
            }
        }
    }

    fn remove_unwritten(&mut self, directory: &[Vec<u8>], written: &[Names]) {
        let mut found = Vec::new();
        let Some(item @ Item::Directory(..)) = self.literal(directory) else { return };
        collect(item, Vec::new(), &mut found);
        for (path, _) in found {
            let path = [directory, &split(&path)].concat();
            if path.len() > directory.len() && !written.iter().any(|other| other.starts_with(&path)) {
                let (name, parent) = path.split_last().unwrap();
                self.remove(parent, Some(name));
            }
        }
    }

    fn put(&mut self, path: &[Vec<u8>], entry: &Entry) {
        let slot = self.slot(path);
        let metadata = entry.metadata.clone();
        match (slot, &entry.kind) {
            (Item::Directory(old, _), Kind::Directory) => *old = metadata,
            (slot, Kind::Directory) => *slot = Item::Directory(metadata, BTreeMap::new()),
            (slot, kind) => *slot = Item::Leaf(Rc::new((metadata, kind.clone()))),
        }
    }

    fn slot(&mut self, path: &[Vec<u8>]) -> &mut Item {
        path.iter().fold(&mut self.0, |item, name| match item {
            Item::Directory(_, children) => children.entry(name.clone()).or_insert_with(undescribed),
            Item::Leaf(_) => panic!("a parent was placed, so it is a directory"),
        })
    }
}

impl Item {
    fn link(&self) -> Option<&[u8]> {
        match self {
            Item::Leaf(leaf) => match &leaf.1 {
                Kind::Symlink { target } => Some(target),
                _ => None,
            },
            Item::Directory(..) => None,
        }
    }
}

fn undescribed() -> Item {
    Item::Directory(Metadata::root_owned(0o755, 0), BTreeMap::new())
}

fn names(path: &ImagePath) -> Names {
    split(path.as_bytes())
}

fn split(path: &[u8]) -> Names {
    path.split(|&b| b == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The entry of the layer that `entry` is, if need be by hard links to names that the layer has: the last of them is what
/// it stands for, wherever links lead.
fn own_name<'a>(layer: &'a [Entry], entry: &'a Entry) -> Result<&'a Entry, Refusal> {
    let mut own = entry;
    for _ in 0..layer.len() {
        let Kind::HardLink { target } = &own.kind else { return Ok(own) };
        match layer.iter().find(|other| other.path == *target) {
            Some(other) if other.kind.is_directory() => return Err(Refusal::Error),
            Some(other) => own = other,
            None => return Ok(own),
        }
    }
    Err(Refusal::Error)
}

/// The directory in which a mark removes a name, or everything.
fn mark(entry: &Entry) -> Option<(Names, Option<Vec<u8>>)> {
    let mut path = names(&entry.path);
    let name = path.pop()?;
    let removed = name.strip_prefix(b".wh.")?.to_vec();
    Some((path, (name != b".wh..wh..opq").then_some(removed)))
}

fn collect(item: &Item, path: Vec<u8>, found: &mut Vec<(Vec<u8>, Item)>) {
    if let Item::Directory(_, children) = item {
        for (name, child) in children {
            let below = if path.is_empty() { name.clone() } else { [&path[..], b"/", name].concat() };
            found.push((below.clone(), child.clone()));
            collect(child, below, found);
        }
    }
}
