//! Writing a blob.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::sync::atomic::Ordering;

use crate::digest::{Digest, Hasher};

use super::temporary::Temporary;
use super::{Store, StoreError, layout, quarantine, unflushed};

/// The mode of a blob: nobody has a reason to write into one.
const BLOB_MODE: u32 = 0o444;

/// A blob that is being written. It becomes part of the store when it is committed; dropped before that, it is gone.
#[must_use]
pub struct Ingest {
    draft: Draft,
    hasher: Hasher,
}

/// As [`Ingest`], for a writer of our own that knows the digest of what it wrote, as the encoder of layers does: the
/// bytes are not hashed a second time. Never for bytes that come from elsewhere.
#[must_use]
pub struct Draft {
    store: Store,
    temporary: Temporary,
    size: u64,
    /// A write failed. What came before it could be committed, but is not what the caller wanted to store.
    failed: bool,
}

impl Store {
    /// Begins a blob whose digest is not known yet.
    pub fn ingest(&self) -> Result<Ingest, StoreError> {
        Ok(Ingest { draft: self.draft()?, hasher: Hasher::new() })
    }

    /// Begins a blob that its writer hashes.
    pub fn draft(&self) -> Result<Draft, StoreError> {
        let temporary = Temporary::create(&self.path(layout::INGEST))?;
        Ok(Draft { store: self.clone(), temporary, size: 0, failed: false })
    }

    /// Stores `bytes`; does nothing if the store has them.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        self.put_hashed(&digest, bytes).map(|()| digest)
    }

    /// As [`Store::put_blob`], for bytes that the caller has hashed: `digest` is theirs.
    pub fn put_hashed(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let size = bytes.len() as u64;
        if self.contains(digest) == Some(size) {
            return Ok(());
        }
        let mut draft = self.draft()?;
        draft.write_all(bytes).map_err(StoreError::write("write", &self.blob_path(digest)))?;
        draft.commit(digest, size)
    }
}

impl Ingest {
    /// Stores what was written, and returns its digest and its size in bytes.
    pub fn commit(self) -> Result<(Digest, u64), StoreError> {
        let (digest, size) = (self.hasher.finish(), self.draft.size);
        self.draft.commit(&digest, size)?;
        Ok((digest, size))
    }

    /// As [`Ingest::commit`], but only if what was written has this digest, and this size where it is known. Returns
    /// the size.
    pub fn commit_expecting(self, digest: &Digest, size: Option<u64>) -> Result<u64, StoreError> {
        let written = self.draft.size;
        if let Some(expected) = size.filter(|&size| size != written) {
            return Err(StoreError::WrongSize { digest: *digest, expected, found: written });
        }
        let found = self.hasher.finish();
        if found != *digest {
            return Err(StoreError::WrongDigest { expected: *digest, found });
        }
        self.draft.commit(digest, written)?;
        Ok(written)
    }
}

impl Draft {
    /// Stores what was written, whose digest is `digest` and whose size is `size` bytes.
    pub fn commit(self, digest: &Digest, size: u64) -> Result<(), StoreError> {
        let Draft { store, mut temporary, size: written, failed } = self;
        let path = store.blob_path(digest);
        if failed {
            return Err(StoreError::write("write", &path)(io::Error::other("an earlier write of it failed")));
        }
        let length = temporary.flush().map_err(StoreError::write("write", &path))?;
        if let Some(&found) = [written, length].iter().find(|&&found| found != size) {
            return Err(StoreError::WrongSize { digest: *digest, expected: size, found });
        }
        if store.contains(digest) != Some(size) {
            // One of the wrong size may lie there; a rename over it would destroy the evidence.
            if let Ok(bad) = fs::symlink_metadata(&path)
                && bad.len() != size
            {
                quarantine::move_away(&store, digest, &bad)?;
            }
            let announced = if size < unflushed::LARGE { None } else { unflushed::announce(&store, digest)? };
            match announced {
                Some(_until_renamed) => temporary.persist_unflushed(&path, BLOB_MODE)?,
                None => temporary.persist_bytes(&path, BLOB_MODE)?,
            }
            store.has_new_blobs.store(true, Ordering::Release);
            // The lease has to know of it if the clock was set back since it began.
            store.contains(digest);
        }
        Ok(())
    }
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ingest({} bytes)", self.draft.size)
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({} bytes)", self.size)
    }
}

impl Write for Ingest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.draft.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.flush()
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.temporary.write(bytes);
        self.failed |= result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        let n = result?;
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush().map(drop)
    }
}
