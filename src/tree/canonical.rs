//! The form of a layer that goes into an archive.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::Entry;
use crate::path::ImagePath;
use crate::tree::below::{Below, Unmarked, check_size};
use crate::tree::changeset::Changeset;
use crate::tree::error::TreeError;
use crate::tree::names::{Slot, prefixes};
use crate::tree::node::Node;
use crate::tree::placement::is_removed_above;
use crate::tree::whiteout::{Mark, entry_of};

impl Changeset {
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

    /// Adds each directory on the way to an entry or a mark that the layer does not have yet: as it is in the tree below
    /// where it is there and not removed, else with mode 0755, owner 0:0 and `mtime`. Call [`Changeset::redirect`]
    /// first. Marks that remove nothing from `below` are dropped, as they would need parents that nobody has.
    ///
    /// # Errors
    /// [`TreeError::ParentNotDirectory`]; [`TreeError::TooLarge`].
    pub fn add_parents(&mut self, below: &impl Below, mtime: i64) -> Result<(), TreeError> {
        check_size(below, self)?;
        self.whiteouts.retain(|path| below.get(path).is_some());
        self.opaque.retain(|directory| below.has_below(directory));
        let base = Unmarked { below, layer: self };
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
                let here = self.names.get(parent.as_bytes()).map(|slot| &slot.node);
                let there = base.node(parent.as_bytes());
                match here.or(there) {
                    Some(node) if !node.kind.is_directory() => {
                        let kind = node.kind.name();
                        return Err(TreeError::ParentNotDirectory { path: path.clone(), parent, kind });
                    }
                    _ if here.is_some() => {}
                    Some(node) => drop(missing.insert(parent, Slot { node: node.clone(), group: None })),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Metadata;
    use crate::tree::sample::{directory, file, layer, merged_usr, path, paths};

    #[test]
    fn parents_keep_the_metadata_they_have_below() {
        let mut added = layer([file("tmp/a", ""), file("new/dir/b", ""), file("root/c", "")]);
        added.add_parents(&merged_usr(), 5).unwrap();
        let modes: Vec<_> = added
            .entries(0)
            .into_iter()
            .filter(|entry| entry.kind.is_directory())
            .map(|entry| (entry.path.to_string(), entry.metadata.mode, entry.metadata.mtime))
            .collect();
        let expected = [("/new", 0o755, 5), ("/new/dir", 0o755, 5), ("/root", 0o700, 0), ("/tmp", 0o1777, 0)];
        assert_eq!(modes, expected.map(|(path, mode, mtime)| (path.to_owned(), mode, mtime)));
    }

    #[test]
    fn a_parent_that_the_layer_removes_is_made_anew() {
        let mut added = layer([file("tmp/a", ""), file(".wh.tmp", "")]);
        added.add_parents(&merged_usr(), 5).unwrap();
        assert_eq!(paths(added.entries(0)), ["/tmp", "/tmp/.wh..wh..opq", "/tmp/a"]);
        assert_eq!(added.get(&path("tmp")).unwrap().metadata.mode, 0o755);
    }

    #[test]
    fn a_parent_that_is_a_file_below_is_an_error() {
        let mut added = layer([file("etc/os-release/x", "")]);
        let error = TreeError::ParentNotDirectory {
            path: path("etc/os-release/x"),
            parent: path("etc/os-release"),
            kind: "file",
        };
        assert_eq!(added.add_parents(&merged_usr(), 0), Err(error));
    }

    #[test]
    fn marks_need_parents_only_where_they_remove_something() {
        let mut added =
            layer([file("etc/.wh.os-release", ""), file("no/where/.wh.x", ""), file("usr/.wh..wh..opq", "")]);
        added.add_parents(&merged_usr(), 0).unwrap();
        assert_eq!(paths(added.entries(0)), ["/etc", "/etc/.wh.os-release", "/usr", "/usr/.wh..wh..opq"]);
    }

    #[test]
    fn marks_look_as_docker_and_containerd_write_them() {
        let mut removal = Changeset::new();
        removal.whiteout(path("a/b")).unwrap();
        assert_eq!(removal.entries(9)[0].metadata, Metadata::root_owned(0, 9));
        assert_eq!(removal.entries(9)[0].path, path("a/.wh.b"));
        assert!(removal.whiteout(path(&"x/".repeat(2047))).is_err(), "its mark would be too long");
    }

    #[test]
    fn a_directory_that_replaces_one_below_is_opaque() {
        let removal = layer([file(".wh.d", ""), directory("d"), file("d/new", ""), file("d/.wh.old", "")]);
        assert_eq!(paths(removal.entries(0)), ["/d", "/d/.wh..wh..opq", "/d/new"]);
    }
}
