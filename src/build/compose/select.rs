//! Part of a tree under new names: what `copy` and `archive` have in common.

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
    /// The path in the tree and the new path of each entry that is taken, as often as it is.
    places: Vec<(ImagePath, ImagePath)>,
}

impl<'a> Selection<'a> {
    /// Nothing of `tree` yet.
    pub(super) fn of(tree: &'a Tree) -> Self {
        Selection { tree, places: Vec::new() }
    }

    /// Takes the entry at `path` to `place`.
    pub(super) fn take(&mut self, path: ImagePath, place: ImagePath) {
        self.places.push((path, place));
    }

    /// The selected entries under their new paths. Names of one file stay names of one file as far as they are selected. Times
    /// later than the epoch become the epoch.
    pub(super) fn entries(
        mut self,
        owner: Option<&Owner>,
        mode: Option<Mode>,
        composition: &Composition,
    ) -> Result<Vec<Entry>, Diagnostic> {
        let owner = owner.map(|owner| Owners::of(composition).resolve(owner)).transpose()?;
        // Of one entry, the places stay in the order in which they came.
        self.places.sort_by(|(a, _), (b, _)| a.cmp(b));
        let (mut wanted, mut placed) = (Places(&self.places), Places(&self.places));
        let mut entries = Vec::with_capacity(self.places.len());
        for Entry { path, mut metadata, kind } in
            self.tree.below(&ImagePath::root(), |path| !wanted.of(path).is_empty())
        {
            metadata.mtime = metadata.mtime.min(composition.epoch);
            if let Some((uid, gid)) = owner {
                (metadata.uid, metadata.gid) = (uid, gid);
            }
            if let (Some(mode), Kind::File { .. } | Kind::HardLink { .. }) = (mode, &kind) {
                metadata.mode = mode.0;
            }
            let kind = match kind {
                Kind::HardLink { target } => {
                    let first = self.places.partition_point(|(from, _)| *from < target);
                    Kind::HardLink { target: self.places[first].1.clone() }
                }
                kind => kind,
            };
            for (_, place) in placed.of(&path).iter().filter(|(_, place)| !place.is_root()) {
                entries.push(Entry { path: place.clone(), metadata: metadata.clone(), kind: kind.clone() });
            }
        }
        Ok(entries)
    }
}

/// What is left of the sorted places.
struct Places<'a>(&'a [(ImagePath, ImagePath)]);

impl<'a> Places<'a> {
    /// Where the entry at `path` goes. Whoever asks does so in bytewise order.
    fn of(&mut self, path: &ImagePath) -> &'a [(ImagePath, ImagePath)] {
        let begin = self.0.iter().take_while(|(from, _)| from < path).count();
        self.0 = &self.0[begin..];
        let count = self.0.iter().take_while(|(from, _)| from == path).count();
        &self.0[..count]
    }
}
