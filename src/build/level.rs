//! The directories in which a tree lies for steps: one for what is merged in memory anyway, and above it one for each layer.

use std::iter::successors;
use std::sync::Arc;

use crate::action::key::digest_of;
use crate::digest::{Digest, Hasher};
use crate::entry::Entry;
use crate::path::ImagePath;
use crate::sandbox::{Root, Tier};
use crate::tree::{Stratum, Tree};

/// One directory, and those below it. What they are depends on the layers alone, so a step sees the same whatever is on disk already.
pub(super) struct Level {
    pub(super) stratum: Stratum,
    /// Of what it and all below it hold.
    pub(super) digest: Digest,
    below: Option<Arc<Level>>,
    /// How many directories there are up to this one.
    height: usize,
}

impl Level {
    /// The whole tree in one directory; none for an empty one.
    pub(super) fn whole(tree: &Tree) -> Option<Arc<Level>> {
        (!tree.is_empty()).then(|| Level::on(None, tree.clone().into()))
    }

    /// What makes the tree `above` of the tree `below`, which `level` and those below it are. If they are too many, or what is gone has
    /// a name for which there is no whiteout, it is the whole tree.
    pub(super) fn between(level: Option<&Arc<Level>>, below: &Tree, above: &Tree) -> Option<Arc<Level>> {
        match Stratum::between(below, above) {
            Ok(stratum) if stratum.is_empty() => level.cloned(),
            Ok(stratum) if level.is_none_or(|level| level.height < Root::MOST) => {
                Some(Level::on(level.cloned(), stratum))
            }
            Ok(_) | Err(_) => Level::whole(above),
        }
    }

    fn on(below: Option<Arc<Level>>, stratum: Stratum) -> Arc<Level> {
        let mut hasher = Hasher::new();
        let entries: Vec<Entry> = stratum.tree.entries().collect();
        if let Some(below) = &below {
            hasher.update(below.digest.as_bytes());
        }
        hasher.update(digest_of(&entries).as_bytes());
        for path in &stratum.removed {
            // It has no zero byte.
            hasher.update(path.as_bytes());
            hasher.update(b"\0");
        }
        let height = below.as_ref().map_or(0, |below| below.height) + 1;
        Arc::new(Level { stratum, digest: hasher.finish(), below, height })
    }

    /// This one and all below it, lowest first.
    pub(super) fn stack(self: Arc<Level>) -> Vec<Arc<Level>> {
        let mut levels: Vec<Arc<Level>> = successors(Some(self), |level| level.below.clone()).collect();
        levels.reverse();
        levels
    }

    /// True if a step of the tier can have it in a directory of its own, and `stubs`, which lie below all, show through.
    pub(super) fn suits(&self, tier: Tier, stubs: &[ImagePath]) -> bool {
        tier.for_image(&self.stratum.tree) == tier && !stubs.iter().any(|stub| self.stratum.hides(stub))
    }
}
