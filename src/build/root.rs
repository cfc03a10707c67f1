//! Images on disk, in which commands run.

use crate::diagnostic::Diagnostic;
use crate::digest::{CacheKey, Digest};
use crate::entry::Entry;
use crate::path::ImagePath;
use crate::sandbox::{self, Hidden, Root, SandboxError, Tier};
use crate::store::{Store, StoreError, StoredRoot, TREE};
use crate::tree::{Changeset, Stratum, Tree};

use super::execute::unwritable;
use super::filesystem::{FileSystem, Layers};
use super::level::Level;
use super::listing::content;

/// The form in which trees are extracted. Another version is another name.
const VERSION: &str = "2";

/// The files of an image on disk, for steps of a tier.
pub(super) struct OnDisk {
    tier: Tier,
    /// Lowest first.
    directories: Vec<StoredRoot<Hidden>>,
    hidden: Hidden,
}

impl OnDisk {
    /// What the sandbox is told of it.
    pub(super) fn root(&self) -> Root<'_> {
        let paths = self.directories.iter().map(|directory| &*directory.path).collect();
        Root { tier: self.tier, paths, hidden: &self.hidden }
    }
}

impl FileSystem {
    /// These files on disk for steps of a tier, as the store has them from an earlier step, else extracted now; or why the
    /// tier cannot have them. They lie in a directory for each layer, or, where one of these would hide any of `stubs` or
    /// does not suit the tier, in one for all.
    ///
    /// # Errors
    /// The store cannot be written, or a layer cannot be read.
    pub(super) fn on_disk(
        &self,
        store: &Store,
        tier: Tier,
        stubs: &[ImagePath],
    ) -> Result<Result<OnDisk, SandboxError>, Diagnostic> {
        let mut levels = self.level(store)?.map(Level::stack).unwrap_or_default();
        if !levels.iter().all(|level| level.suits(tier, stubs)) {
            levels = Level::whole(&*self.tree(store)?).into_iter().collect();
        }
        let mut on_disk = OnDisk { tier, directories: Vec::new(), hidden: Hidden::default() };
        for level in levels {
            match self.layers.directory(&level, tier, store)? {
                Ok(directory) => {
                    on_disk.hidden = on_disk.hidden.under(directory.note.clone(), &level.stratum.tree);
                    on_disk.directories.push(directory);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(on_disk))
    }

    /// The tree, in which the contents of the files that are wanted can be read.
    pub(super) fn readable(&self, store: &Store, wanted: impl Fn(&ImagePath) -> bool) -> Result<Tree, Diagnostic> {
        self.layers.with_contents(&*self.tree(store)?, store, wanted)
    }
}

impl Layers {
    /// The directory of a level whose contents lie in these.
    ///
    /// # Errors
    /// As [`FileSystem::on_disk`].
    pub(super) fn directory(
        &self,
        level: &Level,
        tier: Tier,
        store: &Store,
    ) -> Result<Result<StoredRoot<Hidden>, SandboxError>, Diagnostic> {
        let name = Digest::of(format!("{VERSION} {tier} {}", level.digest).as_bytes());
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
        let Stratum { tree, removed } = &level.stratum;
        let stratum = Stratum { tree: self.with_contents(tree, store, |_| true)?, removed: removed.clone() };
        let place = store.workplace().map_err(unwritable)?;
        match sandbox::extract(&stratum, tier, &place.path().join(TREE)) {
            Ok(hidden) => store.keep_root_tree(&name, place, hidden).map(Ok).map_err(unwritable),
            Err(error) => Ok(Err(error)),
        }
    }

    /// A tree whose contents lie in these, in which those of the files that are wanted can be read.
    ///
    /// # Errors
    /// A layer cannot be read.
    pub(super) fn with_contents(
        &self,
        tree: &Tree,
        store: &Store,
        wanted: impl Fn(&ImagePath) -> bool,
    ) -> Result<Tree, Diagnostic> {
        let mut entries: Vec<Entry> = tree.entries().collect();
        let files = entries.iter_mut().filter(|entry| wanted(&entry.path));
        self.make_readable(store, &mut files.filter_map(content).collect::<Vec<_>>())?;
        let mut files = Changeset::new();
        entries.into_iter().try_for_each(|entry| files.insert(entry)).map_err(|error| unfit().caused_by(error))?;
        Tree::of_layer(files).map_err(|error| unfit().caused_by(error))
    }
}

fn unfit() -> Diagnostic {
    Diagnostic::failure("the image below the step cannot be put on disk")
}
