//! Removing what no reference needs.
//!
//! [`lease`] has the argument why nothing vanishes that a running process has found. A file is removed by one
//! `unlink`, so a crash at any point leaves a store from which some garbage is gone, and nothing to clean up.

use std::fs::{self, File};
use std::io;
use std::time::SystemTime;

use crate::oci::Descriptor;

use super::inventory::{Kind, StoredFile, inventory, inventory_of};
use super::lease;
use super::lock::Lock;
use super::reachable::Reachable;
use super::{Store, StoreError, layout};

/// How many files are removed while others wait for the lock.
const BATCH: usize = 64;

/// What may stay although nobody needs it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PruneOptions {
    /// Remove, least recently used first, only until the store has at most this many bytes.
    pub keep_size: Option<u64>,
    /// Keep what was used at this time or later.
    pub keep_since: Option<SystemTime>,
    /// Change nothing.
    pub dry_run: bool,
}

/// What [`Store::prune`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// In the order of their removal.
    pub removed: Vec<StoredFile>,
    /// Bytes of all files that are left.
    pub left: u64,
}

impl Store {
    /// Removes what no reference needs: blobs, layer indexes, results of actions that name such blobs, tables of file
    /// digests, and what is in quarantine. Without options all of it goes, but for what running processes use.
    ///
    /// # Errors
    /// A manifest or index that a reference needs cannot be read: then nothing is removed. The store cannot be written.
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned, StoreError> {
        if !options.dry_run {
            // Said at once, also where there is nothing to remove.
            drop(Lock::acquire(&self.path(layout::PRUNE_LOCK))?);
            lease::sweep(&self.path(layout::LOCKS));
        }
        self.prune_among(inventory(self)?, options)
    }

    /// Of what `roots` need, by name, removes what no reference needs and no running process uses.
    ///
    /// # Errors
    /// As [`Store::prune`].
    pub fn remove_unneeded(&self, roots: &[(String, Descriptor)]) -> Result<Pruned, StoreError> {
        // What of it cannot be read leads to nothing that could be removed.
        let mut theirs = Reachable::default();
        roots.iter().for_each(|(name, descriptor)| theirs.follow(name, descriptor.clone(), self));
        let files = inventory(self)?.into_iter().filter(|file| file.is_needed(&theirs)).collect();
        self.prune_among(files, &PruneOptions::default())
    }

    /// Removes files of one kind that no reference needs and no running process uses.
    pub(super) fn prune_kind(&self, kind: Kind, options: &PruneOptions) -> Result<Pruned, StoreError> {
        self.prune_among(inventory_of(self, &[kind])?, options)
    }

    fn prune_among(&self, files: Vec<StoredFile>, options: &PruneOptions) -> Result<Pruned, StoreError> {
        let mut reachable = Reachable::from(self)?;
        reachable.check()?;
        let mut pruned = Pruned { removed: Vec::new(), left: files.iter().map(|file| file.size).sum() };
        let mut unneeded: Vec<StoredFile> = files.into_iter().filter(|file| !file.is_needed(&reachable)).collect();
        unneeded.sort_by_key(|file| file.used);
        for batch in unneeded.chunks(BATCH) {
            let is_large_enough = options.keep_size.is_some_and(|size| pruned.left <= size);
            if is_large_enough {
                break;
            }
            self.remove(batch, options, &mut reachable, &mut pruned)?;
        }
        Ok(pruned)
    }

    /// Removes those of `batch` that are still unneeded, under the lock that keeps others from using them meanwhile.
    fn remove(
        &self,
        batch: &[StoredFile],
        options: &PruneOptions,
        reachable: &mut Reachable,
        pruned: &mut Pruned,
    ) -> Result<(), StoreError> {
        // The room of a file that is open is freed when it is closed: after the lock, as that takes long for large ones, and
        // so for trees.
        let mut removed_files: Vec<File> = Vec::new();
        let mut removed_roots = Vec::new();
        let lock = if options.dry_run { None } else { Some(Lock::acquire(&self.path(layout::PRUNE_LOCK))?) };
        // Leases first, references second: see `lease`.
        let leased = lease::kept_for_others(self)?;
        reachable.extend(self)?;
        reachable.check()?;
        let kept_since = [leased, options.keep_since].into_iter().flatten().min();
        for file in batch {
            if options.keep_size.is_some_and(|size| pruned.left <= size) {
                break;
            }
            let Some(used) = file.used_now(self)? else {
                // Another prune was here.
                pruned.left -= file.size;
                continue;
            };
            if file.is_needed(reachable) || kept_since.is_some_and(|since| used >= since) {
                continue;
            }
            let path = self.root().join(file.path());
            if !options.dry_run && file.kind == Kind::Root {
                removed_roots.extend(self.remove_root(&path)?);
            } else if !options.dry_run {
                removed_files.extend(File::open(&path));
                match fs::remove_file(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    result => result.map_err(StoreError::write("remove", &path))?,
                }
            }
            pruned.left -= file.size;
            pruned.removed.push(file.clone());
        }
        drop(lock);
        drop(removed_files);
        drop(removed_roots);
        Ok(())
    }
}
