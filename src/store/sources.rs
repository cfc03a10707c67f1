//! Where blobs can be had that the store lacks, or need not have.
//!
//! `sources/HEX` is text, a repository a line: in each of them the blob with that SHA-256 was seen, last in the last line.
//! It only saves work, so it may be missing, old or damaged: a repository that does not have the blob is passed over, and
//! what comes from one is verified. So it is not flushed to the disk.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::digest::{CacheKey, Digest};
use crate::oci::{Descriptor, Reference, Repository};

use super::temporary::Temporary;
use super::{Store, StoreError, layout};

/// How many repositories are remembered for a blob.
const MAX_SOURCES: usize = 8;

/// How many blobs are brought at the same time.
const AT_ONCE: usize = 4;

/// More bytes than such a file has: names are at most 255 long.
const MAX_BYTES: u64 = 4096;

/// Brings blobs that a store lacks.
pub trait Supplier: Send + Sync {
    /// Puts `blob` into the store, verified, out of one of `sources`.
    ///
    /// # Errors
    /// None of them gives it.
    fn bring(
        &self,
        blob: &Descriptor,
        sources: &[Repository],
        store: &Store,
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Nobody, or the one who was given.
#[derive(Clone, Default)]
pub(super) struct Supply(Option<Arc<dyn Supplier>>);

impl Store {
    /// This store with someone who brings the layers that it lacks as soon as they are opened.
    #[must_use]
    pub fn supplied_by(self, supplier: Arc<dyn Supplier>) -> Store {
        Store { supply: Supply(Some(supplier)), ..self }
    }

    /// The repositories in which a blob was seen, the latest first.
    pub fn sources(&self, blob: &Digest) -> Vec<Repository> {
        let path = self.sources_path(blob);
        let read = || {
            let file = File::open(&path)?;
            let (metadata, mut text) = (file.metadata()?, String::new());
            file.take(MAX_BYTES).read_to_string(&mut text)?;
            io::Result::Ok(if self.is_kept(&path, &metadata) { text } else { String::new() })
        };
        let text = read().unwrap_or_default();
        let repository = |line: &str| line.parse::<Reference>().ok().map(|reference| Repository::of(&reference));
        text.lines().rev().filter_map(repository).collect()
    }

    /// Remembers that `repository` has a blob.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn add_source(&self, blob: &Digest, repository: &Repository) -> Result<(), StoreError> {
        let mut sources = self.sources(blob);
        if sources.first() == Some(repository) {
            return Ok(());
        }
        sources.retain(|other| other != repository);
        sources.insert(0, repository.clone());
        sources.truncate(MAX_SOURCES);
        let text: String = sources.iter().rev().map(|source| format!("{source}\n")).collect();
        let path = self.sources_path(blob);
        let mut temporary = Temporary::create(&self.path(layout::INGEST))?;
        temporary.write_all(text.as_bytes()).map_err(StoreError::write("write", &path))?;
        temporary.persist_unflushed(&path, 0o600)
    }

    /// True if the store has the blob that `descriptor` names, by its name and size, or knows where to get it.
    pub fn has_or_can_bring(&self, descriptor: &Descriptor) -> bool {
        self.contains(&descriptor.digest) == Some(descriptor.size)
            || (self.supply.0.is_some() && !self.sources(&descriptor.digest).is_empty())
    }

    /// Has a blob brought that the store lacks; of several who want it at the same time, one does. False if it is not
    /// known where to get it.
    ///
    /// # Errors
    /// It is known, and all the same it cannot be had.
    pub fn bring(&self, descriptor: &Descriptor) -> Result<bool, StoreError> {
        let digest = &descriptor.digest;
        if self.contains(digest) == Some(descriptor.size) {
            return Ok(true);
        }
        let Some(supplier) = &self.supply.0 else { return Ok(false) };
        let sources = self.sources(digest);
        if sources.is_empty() {
            return Ok(false);
        }
        let _claim = self.claim(&CacheKey(*digest), || ())?;
        if self.contains(digest) == Some(descriptor.size) {
            return Ok(true);
        }
        supplier
            .bring(descriptor, &sources, self)
            .map_err(|source| StoreError::NotBrought { digest: *digest, source })?;
        Ok(true)
    }

    /// As [`Store::bring`] for each of `blobs`, several at the same time.
    ///
    /// # Errors
    /// That of the first one that cannot be had.
    pub fn bring_all(&self, blobs: &[&Descriptor]) -> Result<(), StoreError> {
        let missing = |blob: &&Descriptor| self.contains(&blob.digest) != Some(blob.size);
        let missing: Vec<&Descriptor> = blobs.iter().copied().filter(missing).collect();
        for some in missing.chunks(AT_ONCE) {
            let brought = thread::scope(|scope| {
                let threads: Vec<_> = some.iter().map(|blob| scope.spawn(|| self.bring(blob))).collect();
                let results =
                    threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
                results.collect::<Vec<_>>()
            });
            brought.into_iter().try_for_each(|result| result.map(drop))?;
        }
        Ok(())
    }

    fn sources_path(&self, blob: &Digest) -> PathBuf {
        self.path(layout::SOURCES).join(blob.hex())
    }
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Supply(some)" } else { "Supply(none)" })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::oci::MediaType;

    fn repository(name: &str) -> Repository {
        Repository::of(&name.parse().unwrap())
    }

    #[test]
    fn the_latest_sources_are_remembered_each_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let blob = Digest::of(b"blob");
        assert_eq!(store.sources(&blob), []);
        for at in 0..20 {
            store.add_source(&blob, &repository(&format!("[::1]:5000/r/{}", at % 10))).unwrap();
        }
        let expected: Vec<Repository> = (2..10).rev().map(|at| repository(&format!("[::1]:5000/r/{at}"))).collect();
        assert_eq!(store.sources(&blob), expected);
        fs::write(store.sources_path(&blob), "../../x\nlocalhost/a\n\n").unwrap();
        assert_eq!(store.sources(&blob), [repository("localhost/a")]);
    }

    #[test]
    fn a_blob_is_brought_once_by_whoever_supplies_the_store() {
        struct Shop(AtomicUsize);
        impl Supplier for Shop {
            fn bring(
                &self,
                _: &Descriptor,
                sources: &[Repository],
                store: &Store,
            ) -> Result<(), Box<dyn Error + Send + Sync>> {
                self.0.fetch_add(1, Ordering::SeqCst);
                if sources != [repository("localhost/a")] {
                    return Err("nobody has it".into());
                }
                store.put_blob(b"blob")?;
                Ok(())
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let shop = Arc::new(Shop(0.into()));
        let store = Store::open(directory.path()).unwrap();
        let blob = Descriptor::of(MediaType::Other("text/plain".into()), b"blob");
        store.add_source(&blob.digest, &repository("localhost/a")).unwrap();
        assert!(!store.has_or_can_bring(&blob) && !store.bring(&blob).unwrap());
        assert!(store.open_described(&blob).unwrap().is_none());

        let store = store.supplied_by(shop.clone());
        assert!(store.has_or_can_bring(&blob));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| store.open_described(&blob).unwrap().unwrap().finish().unwrap());
            }
        });
        assert_eq!(shop.0.load(Ordering::SeqCst), 1);

        let other = Descriptor::of(blob.media_type, b"other");
        assert!(store.open_described(&other).unwrap().is_none());
        store.add_source(&other.digest, &repository("localhost/b")).unwrap();
        assert!(matches!(store.open_described(&other), Err(StoreError::NotBrought { .. })));
    }
}
