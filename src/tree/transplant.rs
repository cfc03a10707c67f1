//! Whether a layer that was made on one tree means the same on another.

use std::fmt;

use crate::entry::{Kind, Metadata};
use crate::path::ImagePath;
use crate::tree::changeset::Changeset;
use crate::tree::merge::Tree;
use crate::tree::node::Node;

/// A path at which a layer does something else on another tree than on the one that it was made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    pub path: ImagePath,
    pub kind: MisfitKind,
}

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MisfitKind {
    /// The layer's entry, of the kind `here`, would take away what has its name, a `there`, which the old tree did not
    /// have: a directory in the place of a link to one, or anything in the place of a directory.
    Replaces { here: &'static str, there: &'static str },
    /// The layer removes a directory where the old tree had something else.
    RemovesDirectory,
    /// The layer has the directory as it was in the old tree, and the new one has it with another mode, owner or attributes.
    OtherMetadata { old: Box<Metadata>, new: Box<Metadata> },
    /// The layer has a file or link that the new tree has otherwise than the old one, which it covers.
    Covers,
    /// The layer removes what only the old tree had.
    RemovesNothing,
}

impl MisfitKind {
    /// True if the result would lose something of the new tree that nobody meant.
    pub fn is_fatal(&self) -> bool {
        matches!(self, MisfitKind::Replaces { .. } | MisfitKind::RemovesDirectory)
    }
}

/// A sentence about the layer.
impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            MisfitKind::Replaces { here, there } => {
                write!(f, "its {here} `{path}` would replace a {there} of the new base")
            }
            MisfitKind::RemovesDirectory => {
                write!(f, "it removes `{path}`, which is a directory on the new base and was none on the old")
            }
            MisfitKind::OtherMetadata { old, new } => {
                let owner = |metadata: &Metadata| format!("{:04o} {}:{}", metadata.mode, metadata.uid, metadata.gid);
                let (old, new) = (owner(old), owner(new));
                write!(f, "its directory `{path}` is {old} as on the old base, and {new} on the new")
            }
            MisfitKind::Covers => write!(f, "it covers `{path}`, which the new base has otherwise than the old"),
            MisfitKind::RemovesNothing => write!(f, "it removes `{path}`, which the new base does not have"),
        }
    }
}

/// What `layer`, made on `old`, does otherwise on `new`, by path. Times of directories do not count.
pub fn misfits(layer: &Changeset, old: &Tree, new: &Tree) -> Vec<Misfit> {
    let entries = layer.names.iter().filter_map(|(path, slot)| {
        let kind = entry(&slot.node, old.get(path), new.get(path)?)?;
        Some(Misfit { path: path.clone(), kind })
    });
    let whiteouts = layer.whiteouts.iter().filter_map(|path| {
        let is_directory = |node: &Node| node.kind.is_directory();
        let kind = match (old.get(path), new.get(path)) {
            (Some(_), None) => MisfitKind::RemovesNothing,
            (old, Some(new)) if is_directory(new) && !old.is_some_and(is_directory) => MisfitKind::RemovesDirectory,
            _ => return None,
        };
        Some(Misfit { path: path.clone(), kind })
    });
    let mut all: Vec<Misfit> = entries.chain(whiteouts).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn entry(here: &Node, old: Option<&Node>, new: &Node) -> Option<MisfitKind> {
    let is_new = old.is_none_or(|old| old.kind.name() != new.kind.name());
    match (here.kind.is_directory(), new.kind.is_directory()) {
        (true, true) => {
            let old = old.filter(|old| old.kind.is_directory() && is_same(&old.metadata, &here.metadata))?;
            (!is_same(&old.metadata, &new.metadata)).then(|| MisfitKind::OtherMetadata {
                old: Box::new(old.metadata.clone()),
                new: Box::new(new.metadata.clone()),
            })
        }
        (false, false) => {
            let unchanged = |old: &Node| old.kind == new.kind && is_same(&old.metadata, &new.metadata);
            let wanted = here.kind == new.kind && is_same(&here.metadata, &new.metadata);
            (!wanted && !old.is_some_and(unchanged) && !matches!(here.kind, Kind::HardLink { .. }))
                .then_some(MisfitKind::Covers)
        }
        (true, false) | (false, true) => {
            is_new.then(|| MisfitKind::Replaces { here: here.kind.name(), there: new.kind.name() })
        }
    }
}

/// True if they differ in nothing but the time.
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    (a.mode, a.uid, a.gid, &a.xattrs) == (b.mode, b.uid, b.gid, &b.xattrs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sample::{directory, file, layer, link, path, tree, with_mode};

    fn kinds(changes: &Changeset, old: &Tree, new: &Tree) -> Vec<(String, MisfitKind)> {
        misfits(changes, old, new).into_iter().map(|misfit| (misfit.path.to_string(), misfit.kind)).collect()
    }

    #[test]
    fn a_layer_fits_where_nothing_that_it_touches_differs() {
        let old = tree([directory("etc"), file("etc/a", "1"), file("etc/b", "1")]);
        let new = tree([directory("etc"), file("etc/a", "1"), file("etc/b", "2"), directory("new")]);
        let changes = layer([directory("etc"), file("etc/a", "app"), file("etc/app", "x")]);
        assert_eq!(kinds(&changes, &old, &new), []);
    }

    #[test]
    fn each_misfit_is_found() {
        let old = tree([directory("lib"), directory("etc"), file("etc/a", "1"), file("gone", ""), file("cache", "")]);
        let new = tree([
            link("lib", "usr/lib"),
            directory("usr"),
            directory("usr/lib"),
            with_mode(0o700, directory("etc")),
            file("etc/a", "2"),
            directory("cache"),
            directory("opt"),
        ]);
        let mut changes =
            layer([directory("lib"), file("lib/x", ""), directory("etc"), file("etc/a", "app"), file("opt", "")]);
        changes.whiteout(path("gone")).unwrap();
        changes.whiteout(path("cache")).unwrap();
        let found = kinds(&changes, &old, &new);
        let fatal: Vec<&str> =
            found.iter().filter(|(_, kind)| kind.is_fatal()).map(|(path, _)| path.as_str()).collect();
        assert_eq!(fatal, ["/cache", "/lib", "/opt"]);
        assert!(
            matches!(&found[..], [
            (_, MisfitKind::RemovesDirectory),
            (etc, MisfitKind::OtherMetadata { new, .. }),
            (a, MisfitKind::Covers),
            (gone, MisfitKind::RemovesNothing),
            (_, MisfitKind::Replaces { .. }),
            (_, MisfitKind::Replaces { .. }),
        ] if etc == "/etc" && new.mode == 0o700 && a == "/etc/a" && gone == "/gone"),
            "{found:?}"
        );
    }
}
