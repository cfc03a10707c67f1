//! Images on disk, in which commands run.

use crate::action::key::digest_of;
use crate::diagnostic::Diagnostic;
use crate::digest::{CacheKey, Digest};
use crate::entry::Entry;
use crate::path::ImagePath;
use crate::sandbox::{self, Hidden, SandboxError, Tier};
use crate::store::{Store, StoreError, StoredRoot, TREE};
use crate::tree::{Changeset, Tree};

use super::execute::unwritable;
use super::filesystem::FileSystem;
use super::listing::content;

/// The form in which trees are extracted. Another version is another name.
const VERSION: &str = "1";

impl FileSystem {
    /// These files on disk for steps of a tier, as the store has them from an earlier step, else extracted now; or why the
    /// tier cannot have them.
    ///
    /// # Errors
    /// The store cannot be written, or a layer cannot be read.
    pub(super) fn on_disk(
        &self,
        store: &Store,
        tier: Tier,
    ) -> Result<Result<StoredRoot<Hidden>, SandboxError>, Diagnostic> {
        let entries: Vec<Entry> = self.tree(store)?.entries().collect();
        let name = name(&entries, tier);
        let unreadable = |error: StoreError| Diagnostic::failure("the store cannot be read").caused_by(error);
        let unwritable = |error: StoreError| unwritable().caused_by(error);
        if let Some(root) = store.root_tree(&name).map_err(unreadable)? {
            return Ok(Ok(root));
        }
        // One extracts, the others wait. Whoever holds this claim waits at most for one to bring a blob.
        let _claim = store.claim(&CacheKey(name), || ()).map_err(unwritable)?;
        if let Some(root) = store.root_tree(&name).map_err(unreadable)? {
            return Ok(Ok(root));
        }
        let tree = self.readable(store, |_| true)?;
        let place = store.workplace().map_err(unwritable)?;
        match sandbox::extract(&tree, tier, &place.path().join(TREE)) {
            Ok(hidden) => store.keep_root_tree(&name, place, hidden).map(Ok).map_err(unwritable),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The tree, in which the contents of the files that are wanted can be read.
    pub(super) fn readable(&self, store: &Store, wanted: impl Fn(&ImagePath) -> bool) -> Result<Tree, Diagnostic> {
        let mut entries: Vec<Entry> = self.tree(store)?.entries().collect();
        let files = entries.iter_mut().filter(|entry| wanted(&entry.path));
        self.layers.make_readable(store, &mut files.filter_map(content).collect::<Vec<_>>())?;
        let mut files = Changeset::new();
        entries.into_iter().try_for_each(|entry| files.insert(entry)).map_err(|error| unfit().caused_by(error))?;
        Tree::of_layer(files).map_err(|error| unfit().caused_by(error))
    }
}

/// The name in the store.
fn name(entries: &[Entry], tier: Tier) -> Digest {
    Digest::of(format!("{VERSION} {tier} {}", digest_of(entries)).as_bytes())
}

fn unfit() -> Diagnostic {
    Diagnostic::failure("the image below the step cannot be put on disk")
}
