//! One layer as a set.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{Entry, Kind, Metadata};
use crate::path::ImagePath;
use crate::tree::below::Below;
use crate::tree::error::TreeError;
use crate::tree::names::{Names, Slot, prefixes};
use crate::tree::node::Node;
use crate::tree::placement::{Links, place};
use crate::tree::whiteout::{Mark, check_markable, check_ordinary, mark_of};

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

    /// True if the names are a tree as they are: the parent of each is a directory of this layer, so none leads through a
    /// link, and nothing waits for what lies below. Of most lowest layers that is so, and it is found out sooner than where each
    /// name would come to lie.
    pub(super) fn is_tree(&self) -> bool {
        let mut last_parent = ImagePath::root();
        self.names.iter().all(|(path, slot)| {
            if matches!(slot.node.kind, Kind::HardLink { .. }) {
                return false;
            }
            match path.parent() {
                None => true,
                Some(parent) if parent.is_root() || parent == last_parent => true,
                Some(parent) => {
                    let is_directory = self.names.kind(parent.as_bytes()).is_some_and(Kind::is_directory);
                    last_parent = parent;
                    is_directory
                }
            }
        })
    }

    /// What this layer has at `path`; hard links to the tree below are [`Kind::HardLink`], others are resolved.
    pub fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.names.get(path.as_bytes()).map(|slot| &*slot.node)
    }

    /// What was odd about the entries but not wrong, in the order it was noticed.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// This layer with every path where it comes to lie on top of `below`: links on the way, below or in this layer, are
    /// followed inside the root. A declared directory whose name is a link below moves too, so no link is ever replaced
    /// by a directory; missing directories that a link leads to are made. Where two entries come to the same path, the
    /// one that came through a link wins, with a warning. Marks that remove nothing are left out.
    ///
    /// # Errors
    /// A path that leads through a file or a loop of links; a directory whose name is a link to a file; a hard link whose
    /// target is missing or a directory.
    pub fn redirect(&self, below: &impl Below) -> Result<Changeset, TreeError> {
        place(self, below, Links::Follow)
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
        // By the invariant, what is above a name that may have something below it is in order: this saves looking at
        // up to 255 directories again for each of their files.
        let directory = prefixes(path.as_bytes()).next_back().unwrap_or_default();
        if matches!(self.names.kind(directory), Some(Kind::Directory | Kind::Symlink { .. })) {
            return Ok(());
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::merge::Tree;
    use crate::tree::sample::{
        directory, entry, file, hard_link, layer, link, merged_usr, path, paths, tree, with_mode,
    };

    #[test]
    fn files_below_a_link_go_where_it_leads() {
        let base = merged_usr();
        let added = layer([directory("lib"), file("lib/x/y", ""), file("var/run/pid", "")]);
        let mut added = added.redirect(&base).unwrap();
        assert_eq!(paths(added.entries(0)), ["/run/pid", "/usr/lib", "/usr/lib/x/y"]);
        added.add_parents(&base, 7).unwrap();
        let mut merged = base.clone();
        merged.apply(&added).unwrap();
        assert_eq!(merged.get(&path("lib")), base.get(&path("lib")), "the link is still there");
        assert!(merged.get(&path("usr/lib/libc.so")).is_some());
        assert_eq!(merged.get(&path("run")).unwrap().metadata.mtime, 7, "what the dangling link leads to is made");
    }

    #[test]
    fn a_directory_whose_name_is_a_link_to_a_file_is_an_error() {
        let base = tree([file("f", ""), link("l", "f")]);
        let error = layer([directory("l")]).redirect(&base).unwrap_err();
        assert_eq!(error, TreeError::ParentNotDirectory { path: path("l"), parent: path("f"), kind: "file" });
    }

    #[test]
    fn a_declared_link_is_followed_too() {
        let added = layer([link("app", "srv/app"), file("app/main", ""), link("srv/app", "/opt")]);
        let added = added.redirect(&Tree::new()).unwrap();
        assert_eq!(paths(added.entries(0)), ["/app", "/opt/main", "/srv/app"]);
    }

    #[test]
    fn two_ways_to_one_path_leave_a_warning() {
        let added = layer([file("lib/x", "through the link"), file("usr/lib/x", "direct")]);
        let added = added.redirect(&merged_usr()).unwrap();
        assert_eq!(added.entries(0), [file("usr/lib/x", "through the link")]);
        assert_eq!(added.warnings(), ["`/usr/lib/x` appears again: the file before is replaced"]);
    }

    #[test]
    fn the_last_of_two_entries_wins_and_warns() {
        let twice =
            layer([file("a/x", ""), directory("a"), file("a", "1"), file("a", "2"), directory("b"), file("b", "")]);
        assert_eq!(twice.entries(0), [file("a", "2"), file("b", "")]);
        assert_eq!(
            twice.warnings(),
            [
                "`/a` appears again: the directory before is replaced",
                "`/a` is no longer a directory: 1 entries below it are dropped",
                "`/a` appears again: the file before is replaced",
                "`/b` appears again: the directory before is replaced",
            ]
        );
        let many = layer((0..1000).map(|_| file("f", "")));
        assert_eq!(many.warnings().len(), 101);
    }

    #[test]
    fn a_hard_link_keeps_the_node_that_its_target_had() {
        let replaced = layer([file("a", "old"), hard_link("b", "a"), hard_link("c", "b"), file("a", "new")]);
        assert_eq!(replaced.entries(0), [file("a", "new"), file("b", "old"), hard_link("c", "b")]);
    }

    #[test]
    fn an_archive_stands_on_its_own() {
        let missing = Changeset::from_archive(vec![hard_link("h", "f")]).unwrap_err();
        assert_eq!(missing, TreeError::LinkMissing { path: path("h"), target: path("f") });
        assert!(Changeset::from_archive(vec![file("f", ""), hard_link("h", "f")]).is_ok());
    }

    #[test]
    fn hard_links_may_be_inserted_before_their_targets() {
        let mut built = Changeset::new();
        for entry in [hard_link("a", "b"), hard_link("b", "c"), file("c", "x")] {
            built.insert(entry).unwrap();
        }
        assert_eq!(built.entries(0), [file("a", "x"), hard_link("b", "a"), hard_link("c", "a")]);
        assert!(matches!(built.insert(hard_link("c", "c")), Err(TreeError::LinkToItself { .. })));
    }

    #[test]
    fn hard_links_in_a_circle_are_an_error() {
        let mut built = Changeset::new();
        built.insert(hard_link("a", "b")).unwrap();
        assert_eq!(built.insert(hard_link("b", "a")), Err(TreeError::LinkToItself { path: path("b") }));

        let base = tree([link("l", "d"), directory("d")]);
        let circle = layer([hard_link("d/a", "l/b"), hard_link("d/b", "l/a")]);
        let error = circle.redirect(&base).unwrap_err();
        assert!(matches!(error, TreeError::LinkToItself { .. }), "{error}");
    }

    #[test]
    fn long_ways_over_hard_links_are_gone_once() {
        let base = tree([link("l", "d"), file("f", "")]);
        let mut way = layer([]);
        way.insert(hard_link("d/20000", "f")).unwrap();
        for i in 0..20_000 {
            way.insert(hard_link(&format!("d/{i}"), &format!("l/{}", i + 1))).unwrap();
        }
        let mut merged = base.clone();
        merged.apply(&way).unwrap();
        assert_eq!(merged.entries().filter(|entry| entry.kind == hard_link("x", "d/0").kind).count(), 20_001);
    }

    #[test]
    fn the_root_may_be_described() {
        let root = with_mode(0o700, entry("", Kind::Directory));
        let described = layer([root.clone(), file("f", "")]);
        assert_eq!(described.entries(0), [root, file("f", "")]);
    }
}
