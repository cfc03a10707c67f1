//! What a layer is put on, asked name by name: a tree, or what is known of one that was not read.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::entry::{Entry, Kind};
use crate::path::ImagePath;
use crate::tree::changeset::Changeset;
use crate::tree::error::TreeError;
use crate::tree::merge::Tree;
use crate::tree::names::prefixes;
use crate::tree::node::Node;
use crate::tree::placement::is_removed_above;
use crate::tree::walk::walk;

/// What lies below a layer.
pub trait Below {
    /// What is at `path` itself, the bytes of an [`ImagePath`].
    fn node(&self, path: &[u8]) -> Option<&Arc<Node>>;

    /// True if something lies below `directory`, at any depth.
    fn has_below(&self, directory: &ImagePath) -> bool;

    /// How large it is, for the limits of a tree.
    fn size(&self) -> TreeSize;

    /// What is at `path` itself, without following links.
    fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.node(path.as_bytes()).map(|node| &**node)
    }

    /// The path that `path` leads to, with every link followed inside the root, the last one too.
    ///
    /// # Errors
    /// [`TreeError::NotFound`], [`TreeError::SymlinkLoop`], or [`TreeError::ParentNotDirectory`].
    fn resolve(&self, path: &ImagePath) -> Result<ImagePath, TreeError> {
        let found = self.follow(path)?;
        match found.is_root() || self.get(&found).is_some() {
            true => Ok(found),
            false => Err(TreeError::NotFound { path: path.clone() }),
        }
    }

    /// Where an entry that is put at `path` comes to lie: the links on the way are followed inside the root, a link at
    /// the last component is not. Nothing of it need exist.
    ///
    /// # Errors
    /// [`TreeError::SymlinkLoop`] or [`TreeError::ParentNotDirectory`].
    fn locate(&self, path: &ImagePath) -> Result<ImagePath, TreeError> {
        walk(|path| kind(self, path), path, false)
    }

    /// As [`Below::locate`], with a link at the last component followed too.
    ///
    /// # Errors
    /// As [`Below::locate`].
    fn follow(&self, path: &ImagePath) -> Result<ImagePath, TreeError> {
        walk(|path| kind(self, path), path, true)
    }
}

/// The number of a tree's entries, and of the bytes of all their paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeSize {
    pub entries: usize,
    pub bytes: usize,
}

pub(super) fn kind<'a>(below: &'a (impl Below + ?Sized), path: &[u8]) -> Option<&'a Kind> {
    below.node(path).map(|node| &node.kind)
}

/// Checks that a tree with `layer` on it, whose paths are where they come to lie, is not too large with all the directories
/// that are made on the way. What the layer's marks remove counts all the same.
///
/// # Errors
/// [`TreeError::TooLarge`].
pub(super) fn check_size(below: &impl Below, layer: &Changeset) -> Result<(), TreeError> {
    let TreeSize { mut entries, mut bytes } = below.size();
    entries += layer.names.len();
    bytes += layer.names.bytes();
    let mut last: &[u8] = b"";
    for (path, _) in layer.names.iter() {
        // What lies above a name that is there, or above the path before, is there or was counted.
        let is_counted = |parent: &[u8]| {
            last.strip_prefix(parent).is_some_and(|rest| rest.first() == Some(&b'/'))
                || layer.names.get(parent).is_some()
                || below.node(parent).is_some()
        };
        for parent in prefixes(path.as_bytes()).rev().take_while(|parent| !is_counted(parent)) {
            entries += 1;
            bytes += parent.len();
        }
        if entries > Tree::MAX_ENTRIES || bytes > Tree::MAX_BYTES {
            return Err(TreeError::TooLarge { path: path.clone() });
        }
        last = path.as_bytes();
    }
    Ok(())
}

/// What is left of a tree once the marks of a layer have acted, which lead where they are.
pub(super) struct Unmarked<'a, B> {
    pub below: &'a B,
    pub layer: &'a Changeset,
}

impl<'a, B: Below> Unmarked<'a, B> {
    pub fn node(&self, path: &[u8]) -> Option<&'a Arc<Node>> {
        let is_removed = self.layer.whiteouts.contains(path) || is_removed_above(self.layer, path);
        if is_removed { None } else { self.below.node(path) }
    }

    pub fn kind(&self, path: &[u8]) -> Option<&'a Kind> {
        self.node(path).map(|node| &node.kind)
    }
}

/// What is known of a tree: of some names what is there, or that nothing is.
#[derive(Clone, Debug)]
pub struct Glimpse {
    size: TreeSize,
    names: BTreeMap<ImagePath, Option<Arc<Node>>>,
}

impl Glimpse {
    /// More names than this are not worth to be remembered: then the tree is read as soon.
    pub const MOST: usize = 1024;

    /// Of a tree of this size, these entries, of which none is a hard link, and the names at which nothing is.
    pub fn new(size: TreeSize, there: Vec<Entry>, absent: Vec<ImagePath>) -> Self {
        let there =
            there.into_iter().map(|Entry { path, metadata, kind }| (path, Some(Node { metadata, kind }.into())));
        Glimpse { size, names: there.chain(absent.into_iter().map(|path| (path, None))).collect() }
    }

    /// The size of the tree.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// What is there, sorted.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.names.iter().filter_map(|(path, node)| {
            let Node { metadata, kind } = Node::clone(node.as_ref()?);
            Some(Entry { path: path.clone(), metadata, kind })
        })
    }

    /// The names at which nothing is, sorted.
    pub fn absent(&self) -> impl Iterator<Item = &ImagePath> {
        self.names.iter().filter(|(_, node)| node.is_none()).map(|(path, _)| path)
    }

    /// What both know; if that is too much, what `newer` knows.
    #[must_use]
    pub fn with(&self, mut newer: Glimpse) -> Glimpse {
        if self.names.len() + newer.names.len() <= Self::MOST {
            newer.names.extend(self.names.iter().map(|(path, node)| (path.clone(), node.clone())));
        }
        newer
    }
}

/// A tree that is read as soon as something is asked that is not known of it.
pub struct Glimpsed<'a> {
    known: Option<&'a Glimpse>,
    read: &'a dyn Fn() -> Arc<Tree>,
    tree: OnceCell<Arc<Tree>>,
    asked: RefCell<BTreeMap<ImagePath, Option<Arc<Node>>>>,
}

impl<'a> Glimpsed<'a> {
    /// The tree that `read` reads, of which `known` is known.
    pub fn new(known: Option<&'a Glimpse>, read: &'a dyn Fn() -> Arc<Tree>) -> Self {
        Glimpsed { known, read, tree: OnceCell::new(), asked: RefCell::default() }
    }

    /// What was asked beyond what is known; `None` if that was nothing, or too much.
    pub fn learned(self) -> Option<Glimpse> {
        let (size, names) = (self.tree.get()?.size(), self.asked.into_inner());
        (!names.is_empty() && names.len() <= Glimpse::MOST).then_some(Glimpse { size, names })
    }

    fn tree(&self) -> &Tree {
        self.tree.get_or_init(self.read)
    }
}

impl Below for Glimpsed<'_> {
    fn node(&self, path: &[u8]) -> Option<&Arc<Node>> {
        if let Some(known) = self.known.and_then(|known| known.names.get(path)) {
            return known.as_ref();
        }
        let node = self.tree().node(path);
        let mut asked = self.asked.borrow_mut();
        if asked.len() <= Glimpse::MOST
            && !asked.contains_key(path)
            && let Ok(path) = ImagePath::parse(path)
        {
            asked.insert(path, node.cloned());
        }
        node
    }

    fn has_below(&self, directory: &ImagePath) -> bool {
        self.tree().has_below(directory)
    }

    fn size(&self) -> TreeSize {
        self.known.map_or_else(|| self.tree().size(), |known| known.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sample::{directory, file, layer, link, merged_usr, path};

    /// What a layer becomes on the base; also what was learned.
    fn placed(known: Option<&Glimpse>, read: &dyn Fn() -> Arc<Tree>) -> (Vec<Entry>, Option<Glimpse>) {
        let below = Glimpsed::new(known, read);
        let added =
            layer([file("lib/x/y", ""), directory("usr/lib"), link("var/run/here", "x"), file("new/dir/f", "")]);
        let mut added = added.redirect(&below).unwrap();
        added.add_parents(&below, 7).unwrap();
        (added.entries(0), below.learned())
    }

    #[test]
    fn a_second_time_nothing_is_read() {
        let tree = Arc::new(merged_usr());
        let (first, learned) = placed(None, &|| tree.clone());
        let learned = learned.expect("the tree was read");
        let absent = learned.absent().cloned().collect();
        let kept = Glimpse::new(learned.size(), learned.entries().collect(), absent);
        let (second, nothing) = placed(Some(&kept), &|| panic!("all that is asked is known"));
        assert_eq!(first, second);
        assert!(nothing.is_none());
        let mut on_tree =
            layer([file("lib/x/y", ""), directory("usr/lib"), link("var/run/here", "x"), file("new/dir/f", "")])
                .redirect(&*tree)
                .unwrap();
        on_tree.add_parents(&*tree, 7).unwrap();
        assert_eq!(first, on_tree.entries(0));
    }

    #[test]
    fn what_is_not_known_is_read_and_learned() {
        let tree = Arc::new(merged_usr());
        let (_, learned) = placed(None, &|| tree.clone());
        let learned = learned.unwrap();
        let read = || tree.clone();
        let below = Glimpsed::new(Some(&learned), &read);
        assert_eq!(below.get(&path("usr")), tree.get(&path("usr")));
        assert_eq!(below.get(&path("elsewhere")), None);
        let more = below.learned().expect("a name was not known");
        assert_eq!(more.absent().collect::<Vec<_>>(), [&path("elsewhere")]);
        let both = learned.with(more);
        assert_eq!(both.absent().count(), learned.absent().count() + 1);
        assert_eq!(both.entries().count(), learned.entries().count());
    }

    #[test]
    fn too_much_is_forgotten() {
        let absent = |from: usize, to: usize| (from..to).map(|n| path(&format!("{n:05}"))).collect::<Vec<_>>();
        let glimpse = |from, to| Glimpse::new(TreeSize::default(), Vec::new(), absent(from, to));
        assert_eq!(glimpse(0, 1000).with(glimpse(1000, 1024)).absent().count(), 1024);
        assert_eq!(glimpse(0, 1000).with(glimpse(1000, 1025)).absent().count(), 25);
        let tree = Arc::new(Tree::new());
        let learned = |names: usize| {
            let read = || tree.clone();
            let below = Glimpsed::new(None, &read);
            absent(0, names).iter().for_each(|path| assert_eq!(below.get(path), None));
            below.learned().map(|learned| learned.absent().count())
        };
        assert_eq!([0, 1024, 1025].map(learned), [None, Some(1024), None]);
    }
}
