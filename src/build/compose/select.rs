//! Part of a tree under new names: what `copy` and `archive` have in common.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::entry::{Entry, Kind};
use crate::path::ImagePath;
use crate::target::{Mode, Owner};
use crate::tree::Tree;

use super::Composition;
use super::owner::Owners;

/// Which entries of a tree are taken, where each goes, and what the call says about owner and mode.
pub(super) struct Selection<'a> {
    tree: &'a Tree,
    /// The new paths of each entry that is taken, by its path in the tree.
    places: BTreeMap<ImagePath, Vec<ImagePath>>,
}

impl<'a> Selection<'a> {
    /// Nothing of `tree` yet.
    pub(super) fn of(tree: &'a Tree) -> Self {
        Selection { tree, places: BTreeMap::new() }
    }

    /// Takes the entry at `path` to `place`.
    pub(super) fn take(&mut self, path: ImagePath, place: ImagePath) {
        self.places.entry(path).or_default().push(place);
    }

    /// The selected entries under their new paths. Names of one file stay names of one file as far as they are selected. Times
    /// later than the epoch become the epoch.
    pub(super) fn entries(
        &self,
        owner: Option<&Owner>,
        mode: Option<Mode>,
        composition: &Composition,
    ) -> Result<Vec<Entry>, Diagnostic> {
        let owner = owner.map(|owner| Owners::of(composition).resolve(owner)).transpose()?;
        let mut entries = Vec::new();
        for Entry { path, mut metadata, kind } in
            self.tree.below(&ImagePath::root(), |path| self.places.contains_key(path))
        {
            metadata.mtime = metadata.mtime.min(composition.epoch);
            if let Some((uid, gid)) = owner {
                (metadata.uid, metadata.gid) = (uid, gid);
            }
            if let (Some(mode), Kind::File { .. } | Kind::HardLink { .. }) = (mode, &kind) {
                metadata.mode = mode.0;
            }
            let kind = match kind {
                Kind::HardLink { target } => Kind::HardLink { target: self.places[&target][0].clone() },
                kind => kind,
            };
            for place in self.places[&path].iter().filter(|place| !place.is_root()) {
                entries.push(Entry { path: place.clone(), metadata: metadata.clone(), kind: kind.clone() });
            }
        }
        Ok(entries)
    }
}
