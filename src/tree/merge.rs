//! The merged file tree.

use std::sync::Arc;

use crate::entry::{Entry, Kind};
use crate::path::ImagePath;
use crate::tree::below::{Below, TreeSize, check_size};
use crate::tree::changeset::Changeset;
use crate::tree::error::TreeError;
use crate::tree::names::{Names, Slot, entries};
use crate::tree::node::Node;
use crate::tree::placement::{Links, place};

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
    /// More entries than this no tree has: twice those of the largest archive that is read.
    pub const MAX_ENTRIES: usize = 4_000_000;
    /// More bytes than this the paths of a tree never have together. An archive's own paths are counted when it is
    /// read, but each may stand for 255 directories that no entry declares, or lie behind a link with a long text.
    // Unit tests reach a smaller one in no time.
    pub const MAX_BYTES: usize = if cfg!(test) { 8 << 20 } else { 512 << 20 };

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

    /// The tree of one layer, as [`Tree::of`].
    ///
    /// # Errors
    /// As [`Tree::apply`].
    pub fn of_layer(layer: Changeset) -> Result<Self, TreeError> {
        let mut tree = Tree::new();
        if layer.is_tree() {
            check_size(&tree, &layer)?;
            return Ok(Tree { groups: layer.groups, names: Arc::new(layer.names) });
        }
        tree.apply(&layer)?;
        Ok(tree)
    }

    /// Puts a layer on top; see the [module](crate::tree) for how.
    ///
    /// # Errors
    /// The layer does not fit: a path through a file or a loop of links, or a hard link to what is missing or a
    /// directory; or the tree would be too large. The tree is then unchanged.
    pub fn apply(&mut self, layer: &Changeset) -> Result<(), TreeError> {
        if self.is_empty() && self.groups == 0 && layer.is_tree() {
            check_size(self, layer)?;
            *self = Tree { names: Arc::new(layer.names.clone()), groups: layer.groups };
            return Ok(());
        }
        // Everything that can fail is in here; what follows only writes.
        let layer = place(layer, self, Links::Replace)?;
        check_size(self, &layer)?;
        self.remove_marked(&layer);
        let names = Arc::make_mut(&mut self.names);
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
        Below::get(self, path)
    }

    /// As [`Below::resolve`].
    ///
    /// # Errors
    /// Those of [`Below::resolve`].
    pub fn resolve(&self, path: &ImagePath) -> Result<ImagePath, TreeError> {
        Below::resolve(self, path)
    }

    /// As [`Below::locate`].
    ///
    /// # Errors
    /// Those of [`Below::locate`].
    pub fn locate(&self, path: &ImagePath) -> Result<ImagePath, TreeError> {
        Below::locate(self, path)
    }

    /// As [`Below::follow`].
    ///
    /// # Errors
    /// Those of [`Below::follow`].
    pub fn follow(&self, path: &ImagePath) -> Result<ImagePath, TreeError> {
        Below::follow(self, path)
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

    /// What lies below `directory` at any depth, without itself, bytewise sorted.
    pub fn nodes_below(&self, directory: &ImagePath) -> impl Iterator<Item = (&ImagePath, &Node)> {
        self.names.below(directory).map(|(path, slot)| (path, &*slot.node))
    }

    /// The paths directly in `directory`, bytewise sorted.
    pub fn children(&self, directory: &ImagePath) -> impl Iterator<Item = &ImagePath> {
        let skip = if directory.is_root() { 0 } else { directory.as_bytes().len() + 1 };
        self.names.below(directory).map(|(path, _)| path).filter(move |path| !path.as_bytes()[skip..].contains(&b'/'))
    }

    fn remove_marked(&mut self, layer: &Changeset) {
        if layer.whiteouts.is_empty() && layer.opaque.is_empty() {
            return;
        }
        let names = Arc::make_mut(&mut self.names);
        layer.whiteouts.iter().for_each(|path| names.remove(path));
        for directory in &layer.opaque {
            names.remove_below(directory);
        }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn groups(&self) -> u64 {
        self.groups
    }
}

impl Below for Tree {
    fn node(&self, path: &[u8]) -> Option<&Arc<Node>> {
        self.names.get(path).map(|slot| &slot.node)
    }

    fn has_below(&self, directory: &ImagePath) -> bool {
        self.names.below(directory).next().is_some()
    }

    fn size(&self) -> TreeSize {
        TreeSize { entries: self.names.len(), bytes: self.names.bytes() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sample::{directory, file, hard_link, layer, link, path, paths, tree, with_mode};

    #[test]
    fn directories_that_nobody_declares_have_a_limit() {
        let below = |name: u32| file(&format!("{name:07}/{}", ["x".repeat(15).as_str(); 255].join("/")), "");
        assert_eq!(tree([below(0)]).len(), 256);
        let many = layer((0..40).map(below));
        let mut merged = Tree::new();
        assert!(matches!(merged.apply(&many), Err(TreeError::TooLarge { .. })));
        assert!(merged.is_empty());
        assert!(matches!(many.clone().add_parents(&merged, 0), Err(TreeError::TooLarge { .. })));
    }

    #[test]
    fn paths_that_grow_through_a_link_have_a_limit() {
        let far = ["x".repeat(250).as_str(); 16].join("/");
        let through = (0..2200).map(|name| file(&format!("l/{name}"), ""));
        let many = layer([link("l", &far)].into_iter().chain(through));
        assert!(matches!(Tree::of([&many]), Err(TreeError::TooLarge { .. })));
    }

    #[test]
    fn removing_or_replacing_one_name_leaves_the_other_hard_links() {
        let mut merged = tree([file("a", "x"), hard_link("b", "a"), hard_link("c", "a")]);
        merged.apply(&layer([file(".wh.a", "")])).unwrap();
        assert_eq!(merged.entries().collect::<Vec<_>>(), [file("b", "x"), hard_link("c", "b")]);
        merged.apply(&layer([file("b", "y")])).unwrap();
        assert_eq!(merged.entries().collect::<Vec<_>>(), [file("b", "y"), file("c", "x")]);
    }

    #[test]
    fn applying_a_layer_twice_links_nothing_more() {
        let linked = layer([file("a", "x"), hard_link("b", "a")]);
        let mut merged = Tree::of([&linked, &layer([hard_link("c", "a")])]).unwrap();
        merged.apply(&linked).unwrap();
        let expected = [file("a", "x"), hard_link("b", "a"), file("c", "x")];
        assert_eq!(merged.entries().collect::<Vec<_>>(), expected, "`c` is linked to what `a` was before");
    }

    #[test]
    fn a_hard_link_may_lead_to_the_tree_below() {
        let mut merged = tree([with_mode(0o600, file("d/f", "x")), link("l", "d"), link("s", "nowhere")]);
        merged.apply(&layer([hard_link("a", "l/f"), hard_link("b", "s")])).unwrap();
        assert_eq!(merged.get(&path("a")).unwrap().metadata.mode, 0o600, "the link's own metadata is ignored");
        assert_eq!(merged.get(&path("b")), merged.get(&path("s")));
        assert!(merged.entries().any(|entry| entry == with_mode(0o600, hard_link("d/f", "a"))));
    }

    #[test]
    fn a_hard_link_may_lead_through_another_to_a_symbolic_link() {
        let below = tree([link("b/a/.x", ".."), link("b/c", "a")]);
        let links = [hard_link(".x", "b/a/.x"), hard_link("a", ".x/b/c")];
        let [first, second] = links.clone();
        for links in [links, [second, first]] {
            let mut merged = below.clone();
            merged.apply(&layer(links)).unwrap();
            let expected = [
                link(".x", ".."),
                link("a", "a"),
                directory("b"),
                directory("b/a"),
                hard_link("b/a/.x", ".x"),
                hard_link("b/c", "a"),
            ];
            assert_eq!(merged.entries().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn hard_links_that_need_each_other_are_an_error() {
        let below = tree([link("s", "d"), file("d/f", "")]);
        for links in [
            vec![hard_link("a", "b/x"), hard_link("b", "a/x")],
            vec![hard_link("a", "s/y"), hard_link("s", "a/x")],
            vec![hard_link("s", "l/f"), link("l", "s")],
            vec![hard_link("a", "b/x"), hard_link("b", "d/f")],
        ] {
            assert!(below.clone().apply(&layer(links.clone())).is_err(), "{links:?}");
        }
    }

    #[test]
    fn a_mark_behind_a_link_through_a_file_removes_nothing() {
        let below = tree([file("a", ""), link("b", "a/../../b/.")]);
        let mut merged = below.clone();
        merged.apply(&layer([file("b/.wh.a", "")])).unwrap();
        assert!(merged == below);
    }

    #[test]
    fn a_directory_over_a_directory_keeps_what_is_in_it() {
        let mut merged = tree([directory("d"), file("d/f", "")]);
        merged.apply(&layer([with_mode(0o700, directory("d"))])).unwrap();
        assert_eq!(merged.entries().collect::<Vec<_>>(), [with_mode(0o700, directory("d")), file("d/f", "")]);
        merged.apply(&layer([file("d", "")])).unwrap();
        assert_eq!(paths(merged.entries()), ["/d"]);
    }

    #[test]
    fn a_layer_that_does_not_fit_changes_nothing() {
        let mut merged = tree([file("f", ""), file("g", "")]);
        let before = merged.clone();
        assert!(merged.apply(&layer([file(".wh.g", ""), file("a", ""), file("f/x", "")])).is_err());
        assert!(merged == before);
    }

    #[test]
    fn clones_are_independent() {
        let base = tree([file("f", "")]);
        let mut changed = base.clone();
        changed.apply(&layer([file("g", "")])).unwrap();
        assert_eq!((base.len(), changed.len()), (1, 2));
    }

    #[test]
    fn children_and_what_is_below() {
        let tree =
            tree([file("a/x", "1"), file("a/x-y", ""), file("a/z/w", ""), hard_link("a/z/x", "a/x"), file("a-b", "")]);
        assert_eq!(tree.children(&path("a")).collect::<Vec<_>>(), [&path("a/x"), &path("a/x-y"), &path("a/z")]);
        assert_eq!(tree.children(&ImagePath::root()).count(), 2);
        assert_eq!(tree.below(&ImagePath::root(), |_| true).count(), tree.len());
        let chosen: Vec<_> = tree.below(&path("a/z"), |path| !path.as_bytes().ends_with(b"w")).collect();
        assert_eq!(chosen, [file("a/z/x", "1")], "a link whose target was not chosen is the file");
    }

    #[test]
    fn paths_resolve_inside_the_root() {
        let tree =
            tree([file("etc/passwd", ""), link("a", "/etc/../../etc"), link("b", "a/./passwd"), link("up", "..")]);
        assert_eq!(tree.resolve(&path("b")), Ok(path("etc/passwd")));
        assert_eq!(tree.resolve(&path("up/up/b")), Ok(path("etc/passwd")));
        assert_eq!(tree.resolve(&path("up")), Ok(ImagePath::root()));
        assert_eq!(tree.locate(&path("up/b")), Ok(path("b")));
        assert_eq!(tree.resolve(&path("a/none")), Err(TreeError::NotFound { path: path("a/none") }));
        let through_file =
            TreeError::ParentNotDirectory { path: path("b/x"), parent: path("etc/passwd"), kind: "file" };
        assert_eq!(tree.resolve(&path("b/x")), Err(through_file));
    }

    #[test]
    fn forty_links_are_followed_and_no_more() {
        let chain = (0..=40).map(|i| link(&format!("l{i}"), &format!("l{}", i + 1))).chain([file("l41", "")]);
        let tree = tree(chain);
        assert_eq!(tree.resolve(&path("l1")), Ok(path("l41")));
        assert_eq!(tree.resolve(&path("l0")), Err(TreeError::SymlinkLoop { path: path("l0") }));
    }
}
