//! What one directory of an overlay holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::ImagePath;
use crate::tree::diff::diff;
use crate::tree::error::TreeError;
use crate::tree::merge::Tree;
use crate::tree::names::{Names, Slot};

/// What one directory of an overlay holds. Laid over directories that show one tree, it makes another of it, as it lies on
/// disk: without devices and FIFOs.
///
/// Source: Linux, Documentation/filesystems/overlayfs.rst, "Upper and Lower" and "whiteouts and opaque directories".
#[derive(Clone, Debug, Default)]
pub struct Stratum {
    /// What lies in it, with all directories on the way as they are in the whole.
    pub tree: Tree,
    /// The names of which it hides what lies below. All are in directories of `tree`.
    pub removed: BTreeSet<ImagePath>,
}

impl Stratum {
    /// What makes `above` of `below`: what [`diff`] has. Of hard links to a file it has all or none, as a link cannot lead from one
    /// directory to another; and all also if there were more of them below, as their number shows.
    ///
    /// # Errors
    /// Those of [`diff`].
    pub fn between(below: &Tree, above: &Tree) -> Result<Self, TreeError> {
        let mut layer = diff(below, above)?;
        let (old, new) = (Links::of(below.names()), Links::of(above.names()));
        for (path, there) in below.names().iter().filter(|(_, slot)| slot.group.is_some()) {
            let here = above.names().get(path.as_bytes());
            if let Some(slot) = here.filter(|slot| old.count(there) != new.count(slot)) {
                layer.names.replace(path.clone(), slot.clone());
            }
        }
        let mut removed = std::mem::take(&mut layer.whiteouts);
        let hides_only = |(path, slot): &(&ImagePath, &Slot)| slot.node.kind.is_special() && below.get(path).is_some();
        removed.extend(layer.names.iter().filter(hides_only).map(|(path, _)| path.clone()));
        let described: Vec<ImagePath> = layer.names.iter().map(|(path, _)| path).chain(&removed).cloned().collect();
        for path in described {
            let mut directory = path.parent();
            while let Some(path) =
                directory.filter(|path| !path.is_root() && layer.names.get(path.as_bytes()).is_none())
            {
                let Some(slot) = above.names().get(path.as_bytes()) else { break };
                directory = path.parent();
                layer.names.replace(path, slot.clone());
            }
        }
        Ok(Stratum { tree: Tree::of_layer(layer)?, removed })
    }

    /// True if it makes nothing else of what lies below.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty() && self.removed.is_empty()
    }

    /// True if what a directory below has at `path` does not show, nor would if it had something.
    pub fn hides(&self, path: &ImagePath) -> bool {
        let is_hidden = |path: &ImagePath| {
            self.removed.contains(path) || self.tree.get(path).is_some_and(|node| !node.kind.is_directory())
        };
        path.ancestors().any(|above| is_hidden(&above)) || is_hidden(path)
    }
}

/// The whole tree, with nothing below.
impl From<Tree> for Stratum {
    fn from(tree: Tree) -> Self {
        Stratum { tree, removed: BTreeSet::new() }
    }
}

/// How many names the hard links of a tree have.
struct Links(BTreeMap<u64, usize>);

impl Links {
    fn of(names: &Names) -> Self {
        let mut links = BTreeMap::new();
        names.iter().filter_map(|(_, slot)| slot.group).for_each(|group| *links.entry(group).or_default() += 1);
        Links(links)
    }

    fn count(&self, slot: &Slot) -> usize {
        slot.group.and_then(|group| self.0.get(&group).copied()).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, Kind};
    use crate::tree::sample::{directory, entry, file, hard_link, path, paths, tree, with_mode};

    /// What lies in it, and what it removes.
    fn stratum(below: &[Entry], above: &[Entry]) -> (Vec<String>, Vec<String>) {
        let made = Stratum::between(&tree(below.to_vec()), &tree(above.to_vec())).unwrap();
        (paths(made.tree.entries()), made.removed.iter().map(ToString::to_string).collect())
    }

    fn device(path: &str) -> Entry {
        entry(path, Kind::CharDevice { major: 0, minor: 0 })
    }

    #[test]
    fn it_has_what_differs_with_the_directories_on_the_way() {
        let below = [with_mode(0o700, directory("a")), file("a/b/f", "1"), file("a/b/g", "1"), file("c/d/e", "")];
        let above = [with_mode(0o700, directory("a")), file("a/b/f", "2"), file("a/b/g", "1"), directory("c")];
        let made = Stratum::between(&tree(below), &tree(above)).unwrap();
        assert_eq!(
            made.tree.entries().collect::<Vec<_>>(),
            [with_mode(0o700, directory("a")), directory("a/b"), file("a/b/f", "2"), directory("c")]
        );
        assert_eq!(made.removed, [path("c/d")].into());
        let same = tree([file("a/b", "")]);
        assert!(Stratum::between(&same, &same.clone()).unwrap().is_empty());
    }

    #[test]
    fn hard_links_are_in_it_together() {
        let three = [file("d/a", "x"), hard_link("e/b", "d/a"), hard_link("f/c", "d/a"), file("g", "")];
        let two = [file("d/a", "x"), hard_link("e/b", "d/a"), directory("f"), file("g", "")];
        let all = ["/d", "/d/a", "/e", "/e/b"];
        let (lies, removed) = stratum(&three, &two);
        assert_eq!((lies[..4].to_vec(), removed), (all.map(String::from).to_vec(), vec!["/f/c".to_owned()]));
        let (lies, _) = stratum(&two, &three);
        assert_eq!(lies, ["/d", "/d/a", "/e", "/e/b", "/f", "/f/c"]);
        let changed = [with_mode(0o600, file("d/a", "x")), hard_link("e/b", "d/a"), directory("f"), file("g", "")];
        assert_eq!(stratum(&two, &changed).0, all);
        assert_eq!(stratum(&three, &[file("d/a", "x"), file("g", "")]).0, ["/d", "/d/a"]);
    }

    #[test]
    fn a_device_hides_what_was_there_as_it_is_not_on_disk() {
        assert_eq!(stratum(&[file("d/f", "")], &[device("d/f"), device("d/g")]).1, ["/d/f"]);
        assert_eq!(stratum(&[file("d/f", "")], &[device("d")]).1, ["/d"]);
    }

    #[test]
    fn what_is_behind_a_removed_name_or_a_file_is_hidden() {
        let below = tree([file("a/b/c", ""), file("f/x", ""), file("k/l", "")]);
        let made = Stratum::between(&below, &tree([directory("a"), file("f", ""), file("k/l", "2")])).unwrap();
        let hidden = ["a", "a/b", "a/b/c/d", "a/e", "f", "f/y", "k", "k/l", "k/m"].map(|text| made.hides(&path(text)));
        assert_eq!(hidden, [false, true, true, false, true, true, false, true, false]);
    }
}
