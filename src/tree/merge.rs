//! The merged file tree.

use std::sync::Arc;

use crate::entry::{Entry, Kind};
use crate::path::ImagePath;
use crate::tree::changeset::Changeset;
use crate::tree::error::TreeError;
use crate::tree::names::{Names, Slot, entries};
use crate::tree::node::Node;
use crate::tree::placement::{Links, place};
use crate::tree::walk::walk;

/// A file tree: what a stack of layers amounts to. A clone is cheap until one of the two is changed.
///
/// Invariant: the parent of every path, the root excepted, is a directory of the tree. The root itself is there only if
/// some layer describes it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    names: Arc<Names>,
    /// Every group number of `names` is less.
    groups: u64,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Self {
        Tree::default()
    }

    /// The tree of these layers, lowest first.
    ///
    /// # Errors
    /// As [`Tree::apply`].
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a Changeset>) -> Result<Self, TreeError> {
        let mut tree = Tree::new();
        layers.into_iter().try_for_each(|layer| tree.apply(layer))?;
        Ok(tree)
    }

    /// Puts a layer on top; see the [module](crate::tree) for how.
    ///
    /// # Errors
    /// The layer does not fit: a path through a file or a loop of links, or a hard link to what is missing or a
    /// directory. The tree is then unchanged.
    pub fn apply(&mut self, layer: &Changeset) -> Result<(), TreeError> {
        // Everything that can fail is in here; what follows only writes.
        let layer = place(layer, self, Links::Replace)?;
        let names = Arc::make_mut(&mut self.names);
        layer.whiteouts.iter().for_each(|path| names.remove(path));
        for directory in &layer.opaque {
            names.remove_below(directory);
        }
        let mut links = Vec::new();
        for (path, slot) in layer.names.iter() {
            add_missing_parents(names, path);
            match &slot.node.kind {
                Kind::HardLink { target } => links.push((path, target)),
                _ => {
                    let group = slot.group.map(|group| group + self.groups);
                    names.replace(path.clone(), Slot { node: slot.node.clone(), group });
                }
            }
        }
        self.groups += layer.groups;
        for (path, target) in links {
            let target = names.get_mut(target.as_bytes()).expect("placement found the target in the tree below");
            let slot = target.share(&mut self.groups);
            names.replace(path.clone(), slot);
        }
        Ok(())
    }

    /// What is at `path` itself, without following links.
    pub fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.names.get(path.as_bytes()).map(|slot| &*slot.node)
    }

    /// True if nothing is in the tree.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Every entry, bytewise sorted by path. Of names that are hard links to each other, the first is the file.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.names.entries()
    }

    /// The entries below `directory` at any depth, without itself, that `keep` wants. Hard links among them point at the
    /// first of those chosen, so the choice stands on its own.
    pub fn below<'a>(
        &'a self,
        directory: &ImagePath,
        mut keep: impl FnMut(&ImagePath) -> bool + 'a,
    ) -> impl Iterator<Item = Entry> + 'a {
        let chosen: Vec<_> = self.names.below(directory).filter(|(path, _)| keep(path)).collect();
        entries(chosen.into_iter())
    }

    /// The paths directly in `directory`, bytewise sorted.
    pub fn children(&self, directory: &ImagePath) -> impl Iterator<Item = &ImagePath> {
        let skip = if directory.is_root() { 0 } else { directory.as_bytes().len() + 1 };
        self.names.below(directory).map(|(path, _)| path).filter(move |path| !path.as_bytes()[skip..].contains(&b'/'))
    }

    /// The path that `path` leads to, with every link followed inside the root, the last one too.
    ///
    /// # Errors
    /// [`TreeError::NotFound`], [`TreeError::SymlinkLoop`], or [`TreeError::ParentNotDirectory`].
    pub fn resolve(&self, path: &ImagePath) -> Result<ImagePath, TreeError> {
        let found = walk(|path| self.kind(path), path, true)?;
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
    pub fn locate(&self, path: &ImagePath) -> Result<ImagePath, TreeError> {
        walk(|path| self.kind(path), path, false)
    }

    pub(super) fn kind(&self, path: &[u8]) -> Option<&Kind> {
        self.names.kind(path)
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn groups(&self) -> u64 {
        self.groups
    }
}

/// Trees are equal when their entries are: the same names, nodes and hard links.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.entries().eq(other.entries())
    }
}

impl Eq for Tree {}

fn add_missing_parents(names: &mut Names, path: &ImagePath) {
    let missing: Vec<ImagePath> = match path.parent() {
        Some(parent) if !parent.is_root() && names.get(parent.as_bytes()).is_none() => path.ancestors().collect(),
        _ => return,
    };
    for parent in missing {
        if names.get(parent.as_bytes()).is_none() {
            names.replace(parent, Slot::new(Node::undescribed_directory(0)));
        }
    }
}
