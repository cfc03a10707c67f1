//! One layer as a set.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{Entry, Kind, Metadata};
use crate::path::ImagePath;
use crate::tree::error::TreeError;
use crate::tree::merge::Tree;
use crate::tree::names::{Names, Slot, prefixes};
use crate::tree::node::Node;
use crate::tree::placement::{Links, is_hidden, is_removed_above, place};
use crate::tree::whiteout::{Mark, check_markable, check_ordinary, entry_of, mark_of};

/// One layer: entries, and what it removes from the layers below. The order in which entries came in does not matter,
/// as long as no two have the same path.
///
/// Invariants: no name begins with `.wh.`; nothing lies below a name that is neither a directory nor a symbolic link;
/// the node of a name is [`Kind::HardLink`] only if the target is not among the names.
#[derive(Clone, Debug, Default)]
pub struct Changeset {
    pub(super) names: Names,
    pub(super) whiteouts: BTreeSet<ImagePath>,
    pub(super) opaque: BTreeSet<ImagePath>,
    /// Every group number of `names` is less.
    pub(super) groups: u64,
    /// The hard links that wait for a target, by target. A link that was replaced meanwhile may still be listed.
    waiting: BTreeMap<ImagePath, Vec<ImagePath>>,
    warnings: Vec<String>,
}

impl Changeset {
    /// More warnings than this are not kept.
    const MAX_WARNINGS: usize = 100;

    /// The layer that changes nothing.
    pub fn new() -> Self {
        Changeset::default()
    }

    /// The layer whose archive has these entries, in archive order. Names that begin with `.wh.` are whiteouts.
    ///
    /// Of entries with the same path the last wins, with a warning. A hard link whose target is not in the layer waits
    /// for the tree below, see [`Tree::apply`].
    ///
    /// # Errors
    /// As [`Changeset::insert`]; also a malformed whiteout, and a hard link before its target.
    pub fn from_layer(entries: Vec<Entry>) -> Result<Self, TreeError> {
        let mut layer = Changeset::new();
        for entry in entries {
            match mark_of(&entry)? {
                Some(Mark::Whiteout(path)) => layer.whiteout(path)?,
                Some(Mark::Opaque(directory)) => layer.opaque(directory)?,
                None => {
                    layer.check_not_awaited(&entry.path)?;
                    layer.insert(entry)?;
                }
            }
        }
        Ok(layer)
    }

    /// What an ordinary archive holds, in archive order: there are no whiteouts, and hard links stay within it.
    ///
    /// # Errors
    /// As [`Changeset::insert`]; also a hard link whose target does not come before it.
    pub fn from_archive(entries: Vec<Entry>) -> Result<Self, TreeError> {
        let mut layer = Changeset::new();
        for entry in entries {
            layer.check_not_awaited(&entry.path)?;
            layer.insert(entry)?;
        }
        if let Some((path, target)) = layer.waiting_links().next() {
            return Err(TreeError::LinkMissing { path: path.clone(), target: target.clone() });
        }
        Ok(layer)
    }

    /// Adds an entry. One with the same path is replaced, and with a directory that is replaced by something else all
    /// below it goes; both leave a warning. A hard link may come before its target.
    ///
    /// # Errors
    /// A name that begins with `.wh.`; a root that is not a directory; a path below an entry of this layer that is
    /// neither a directory nor a symbolic link; a hard link to itself or to a directory of this layer.
    pub fn insert(&mut self, entry: Entry) -> Result<(), TreeError> {
        let Entry { path, metadata, kind } = entry;
        check_ordinary(&path)?;
        if path.is_root() && !kind.is_directory() {
            return Err(TreeError::RootNotDirectory { kind: kind.name() });
        }
        self.check_parents(&path)?;
        let slot = match kind {
            Kind::HardLink { target } => self.linked(&path, &target, metadata)?,
            kind => Slot::new(Node { metadata, kind }),
        };
        let slot = self.join_waiting(&path, slot)?;
        self.put(path, slot);
        Ok(())
    }

    /// Removes `path`, with all below it, from the layers below. What this layer itself has there stays.
    ///
    /// # Errors
    /// The root; a name that begins with `.wh.`; a path too long to be marked.
    pub fn whiteout(&mut self, path: ImagePath) -> Result<(), TreeError> {
        if path.is_root() {
            return Err(TreeError::Whiteout { path, reason: "would remove the root; make the root opaque instead" });
        }
        check_markable(&path)?;
        self.whiteouts.insert(path);
        Ok(())
    }

    /// Removes all that the layers below have in `directory`, but not the directory.
    ///
    /// # Errors
    /// A name that begins with `.wh.`; a path too long to be marked.
    pub fn opaque(&mut self, directory: ImagePath) -> Result<(), TreeError> {
        check_markable(&directory)?;
        self.opaque.insert(directory);
        Ok(())
    }

    /// True if the layer changes nothing.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.whiteouts.is_empty() && self.opaque.is_empty()
    }

    /// What this layer has at `path`; hard links to the tree below are [`Kind::HardLink`], others are resolved.
    pub fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.names.get(path.as_bytes()).map(|slot| &*slot.node)
    }

    /// What was odd about the entries but not wrong, in the order it was noticed.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The entries of the layer's archive, bytewise sorted, as `archive::write` takes them. Hard links point at the
    /// bytewise first name in the layer; those whose target lies in the tree below stay as they were inserted, which no
    /// canonical archive can hold.
    ///
    /// Marks are empty files with mode 0 and owner 0:0, as docker and containerd write them, with time `mark_mtime`. As
    /// engines apply them in archive order, none has the name of an entry of the same layer: a directory that replaces
    /// one below is opaque, any other entry needs no mark. Marks that others make needless are left out.
    pub fn entries(&self, mark_mtime: i64) -> Vec<Entry> {
        let marks = self.canonical_marks();
        let whiteouts = marks.whiteouts.into_iter().map(|path| entry_of(&Mark::Whiteout(path.clone()), mark_mtime));
        let opaque = marks.opaque.into_iter().map(|directory| entry_of(&Mark::Opaque(directory.clone()), mark_mtime));
        let remade = marks.remade.into_iter().map(|path| {
            let Node { metadata, kind } = Node::undescribed_directory(mark_mtime);
            Entry { path: path.clone(), metadata, kind }
        });
        let mut entries: Vec<Entry> = self.names.entries().chain(whiteouts).chain(opaque).chain(remade).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    /// This layer with every path where it comes to lie on top of `below`: links on the way, below or in this layer, are
    /// followed inside the root. A declared directory whose name is a link below moves too, so no link is ever replaced
    /// by a directory; missing directories that a link leads to are made. Where two entries come to the same path, the
    /// one that came through a link wins, with a warning. Marks that remove nothing are left out.
    ///
    /// # Errors
    /// A path that leads through a file or a loop of links; a directory whose name is a link to a file; a hard link whose
    /// target is missing or a directory.
    pub fn redirect(&self, below: &Tree) -> Result<Changeset, TreeError> {
        place(self, below, Links::Follow)
    }

    /// Adds each directory on the way to an entry or a mark that the layer does not have yet: as it is in the tree below
    /// where it is there and not removed, else with mode 0755, owner 0:0 and `mtime`. Call [`Changeset::redirect`]
    /// first. Marks that remove nothing from `below` are dropped, as they would need parents that nobody has.
    ///
    /// # Errors
    /// [`TreeError::ParentNotDirectory`].
    pub fn add_parents(&mut self, below: &Tree, mtime: i64) -> Result<(), TreeError> {
        self.whiteouts.retain(|path| below.get(path).is_some());
        self.opaque.retain(|directory| below.names().below(directory).next().is_some());
        let mut missing: BTreeMap<ImagePath, Slot> = BTreeMap::new();
        let marks = self.canonical_marks();
        let described = self.names.iter().map(|(path, _)| path).chain(marks.whiteouts);
        let directories = described.filter_map(|path| Some((path, path.parent()?)));
        let directories = directories.chain(marks.opaque.into_iter().map(|directory| (directory, directory.clone())));
        let mut last = ImagePath::root();
        for (path, directory) in directories {
            if directory == last {
                continue;
            }
            for parent in directory.ancestors().chain([directory.clone()]).filter(|parent| !parent.is_root()) {
                let here = self.names.get(parent.as_bytes());
                let there = below.names().get(parent.as_bytes()).filter(|_| !is_hidden(self, parent.as_bytes()));
                match here.or(there) {
                    Some(slot) if !slot.node.kind.is_directory() => {
                        let kind = slot.node.kind.name();
                        return Err(TreeError::ParentNotDirectory { path: path.clone(), parent, kind });
                    }
                    _ if here.is_some() => {}
                    Some(slot) => drop(missing.insert(parent, slot.clone())),
                    None => drop(missing.insert(parent, Slot::new(Node::undescribed_directory(mtime)))),
                }
            }
            last = directory;
        }
        for (path, slot) in missing {
            self.names.replace(path, slot);
        }
        Ok(())
    }

    /// Sets a name, with warnings for what goes.
    pub(super) fn put(&mut self, path: ImagePath, slot: Slot) {
        if let Some(old) = self.names.get(path.as_bytes()) {
            self.warn(format!("`{path}` appears again: the {} before is replaced", old.node.kind.name()));
        }
        let gone = self.names.replace(path.clone(), slot);
        if gone > 0 {
            self.warn(format!("`{path}` is no longer a directory: {gone} entries below it are dropped"));
        }
    }

    /// The hard links whose target is not in this layer, with their targets.
    pub(super) fn waiting_links(&self) -> impl Iterator<Item = (&ImagePath, &ImagePath)> {
        self.names.iter().filter_map(|(path, slot)| match &slot.node.kind {
            Kind::HardLink { target } => Some((path, target)),
            _ => None,
        })
    }

    /// A layer without names and marks that carries on this one's group numbers and warnings.
    pub(super) fn emptied(&self) -> Changeset {
        Changeset { groups: self.groups, warnings: self.warnings.clone(), ..Changeset::default() }
    }

    fn warn(&mut self, text: String) {
        match self.warnings.len() {
            n if n < Self::MAX_WARNINGS => self.warnings.push(text),
            Self::MAX_WARNINGS => self.warnings.push("there are more warnings of this kind".into()),
            _ => {}
        }
    }

    fn check_parents(&self, path: &ImagePath) -> Result<(), TreeError> {
        for parent in prefixes(path.as_bytes()) {
            match self.names.kind(parent) {
                None | Some(Kind::Directory | Kind::Symlink { .. }) => {}
                Some(kind) => {
                    let (parent, kind) = (ImagePath::parse(parent)?, kind.name());
                    return Err(TreeError::ParentNotDirectory { path: path.clone(), parent, kind });
                }
            }
        }
        Ok(())
    }

    fn check_not_awaited(&self, target: &ImagePath) -> Result<(), TreeError> {
        match self.waiting_for(target.as_bytes()).next() {
            Some(path) => Err(TreeError::LinkBeforeTarget { path: path.clone(), target: target.clone() }),
            None => Ok(()),
        }
    }

    /// The hard links that wait for `target`.
    fn waiting_for<'a>(&'a self, target: &'a [u8]) -> impl Iterator<Item = &'a ImagePath> {
        let links = self.waiting.get(target).into_iter().flatten();
        links.filter(move |link| match self.names.kind(link.as_bytes()) {
            Some(Kind::HardLink { target: wanted }) => wanted.as_bytes() == target,
            _ => false,
        })
    }

    /// What a hard link at `path` stands for: a node that this layer has, or a target to wait for.
    fn linked(&mut self, path: &ImagePath, target: &ImagePath, metadata: Metadata) -> Result<Slot, TreeError> {
        check_ordinary(target)?;
        let (path, target) = (path.clone(), target.clone());
        if target == path {
            return Err(TreeError::LinkToItself { path });
        }
        if target.starts_with(&path) {
            // The link would take the place of the directory in which its target lies.
            return Err(TreeError::LinkMissing { path, target });
        }
        match self.names.get_mut(target.as_bytes()) {
            Some(slot) => match &slot.node.kind {
                Kind::Directory => Err(TreeError::LinkToDirectory { path, target }),
                Kind::HardLink { target: further } if *further == path => Err(TreeError::LinkToItself { path }),
                Kind::HardLink { target: further } if further.starts_with(&path) => {
                    Err(TreeError::LinkMissing { path, target: further.clone() })
                }
                Kind::HardLink { target: further } => {
                    self.waiting.entry(further.clone()).or_default().push(path);
                    Ok(slot.clone())
                }
                _ => Ok(slot.share(&mut self.groups)),
            },
            None if target.is_root() => Err(TreeError::LinkToDirectory { path, target }),
            None => {
                self.waiting.entry(target.clone()).or_default().push(path);
                Ok(Slot::new(Node { metadata, kind: Kind::HardLink { target } }))
            }
        }
    }

    /// Lets the hard links that wait for `path` have the node that comes there.
    fn join_waiting(&mut self, path: &ImagePath, mut slot: Slot) -> Result<Slot, TreeError> {
        let links: Vec<ImagePath> = self.waiting_for(path.as_bytes()).cloned().collect();
        self.waiting.remove(path);
        if let (Kind::Directory, Some(link)) = (&slot.node.kind, links.first()) {
            return Err(TreeError::LinkToDirectory { path: link.clone(), target: path.clone() });
        }
        for link in links {
            if let Kind::HardLink { target } = &slot.node.kind {
                if target.starts_with(&link) {
                    return Err(TreeError::LinkMissing { path: link, target: target.clone() });
                }
                self.waiting.entry(target.clone()).or_default().push(link.clone());
                self.names.replace(link, slot.clone());
            } else {
                self.names.replace(link, slot.share(&mut self.groups));
            }
        }
        Ok(slot)
    }

    /// The marks that an archive of this layer needs.
    fn canonical_marks(&self) -> CanonicalMarks<'_> {
        let mut marks = CanonicalMarks::default();
        let is_needless = |path: &ImagePath| {
            let covered = |at| self.names.kind(at).is_some_and(|kind| !kind.is_directory());
            is_removed_above(self, path.as_bytes())
                || covered(path.as_bytes())
                || prefixes(path.as_bytes()).any(covered)
        };
        for path in self.whiteouts.iter().filter(|path| !is_needless(path)) {
            let is_described = self.names.get(path.as_bytes()).is_some();
            if !is_described && self.names.below(path).next().is_none() {
                marks.whiteouts.insert(path);
                continue;
            }
            marks.opaque.insert(path);
            if !is_described {
                marks.remade.insert(path);
            }
        }
        for path in self.opaque.iter().filter(|path| !is_needless(path)) {
            if !self.whiteouts.contains(path) {
                marks.opaque.insert(path);
            }
        }
        marks
    }
}

#[derive(Default)]
struct CanonicalMarks<'a> {
    whiteouts: BTreeSet<&'a ImagePath>,
    opaque: BTreeSet<&'a ImagePath>,
    /// Directories that are removed and, as something lies below them, made again.
    remade: BTreeSet<&'a ImagePath>,
}
