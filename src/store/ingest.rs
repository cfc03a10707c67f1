//! Writing a blob.

use std::fmt;
use std::fs;
use std::io::{self, Write};

use crate::digest::{Digest, Hasher};

use super::temporary::Temporary;
use super::{Store, StoreError, layout, quarantine};

/// The mode of a blob: nobody has a reason to write into one.
const BLOB_MODE: u32 = 0o444;

/// A blob that is being written. It becomes part of the store when it is committed; dropped before that, it is gone.
#[must_use]
pub struct Ingest {
    store: Store,
    temporary: Temporary,
    hasher: Hasher,
    size: u64,
    /// A write failed. What came before it could be committed, but is not what the caller wanted to store.
    failed: bool,
}

impl Store {
    /// Begins a blob whose digest is not known yet.
    pub fn ingest(&self) -> Result<Ingest, StoreError> {
        let temporary = Temporary::create(&self.path(layout::INGEST))?;
        Ok(Ingest { store: self.clone(), temporary, hasher: Hasher::new(), size: 0, failed: false })
    }

    /// Stores `bytes`; does nothing if the store has them.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.contains(&digest) != Some(bytes.len() as u64) {
            let mut ingest = self.ingest()?;
            let path = self.blob_path(&digest);
            ingest.write_all(bytes).map_err(StoreError::write("write", &path))?;
            ingest.commit_expecting(&digest, Some(bytes.len() as u64))?;
        }
        Ok(digest)
    }
}

impl Ingest {
    /// Stores what was written, and returns its digest and its size in bytes.
    pub fn commit(self) -> Result<(Digest, u64), StoreError> {
        let Ingest { store, mut temporary, hasher, size, failed } = self;
        let digest = hasher.finish();
        let path = store.blob_path(&digest);
        if failed {
            return Err(StoreError::write("write", &path)(io::Error::other("an earlier write of it failed")));
        }
        let length = temporary.flush().map_err(StoreError::write("write", &path))?;
        if length != size {
            return Err(StoreError::WrongSize { digest, expected: size, found: length });
        }
        if store.contains(&digest) != Some(size) {
            // One of the wrong size may lie there; a rename over it would destroy the evidence.
            if let Ok(bad) = fs::symlink_metadata(&path)
                && bad.len() != size
            {
                quarantine::move_away(&store, &digest, &bad)?;
            }
            temporary.persist(&path, BLOB_MODE)?;
        }
        Ok((digest, size))
    }

    /// As [`Ingest::commit`], but only if what was written has this digest, and this size where it is known. Returns
    /// the size.
    pub fn commit_expecting(self, digest: &Digest, size: Option<u64>) -> Result<u64, StoreError> {
        if let Some(expected) = size.filter(|&size| size != self.size) {
            return Err(StoreError::WrongSize { digest: *digest, expected, found: self.size });
        }
        let found = self.hasher.clone().finish();
        if found != *digest {
            return Err(StoreError::WrongDigest { expected: *digest, found });
        }
        Ok(self.commit()?.1)
    }
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ingest({} bytes)", self.size)
    }
}

impl Write for Ingest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.temporary.write(bytes);
        self.failed |= result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        let n = result?;
        self.hasher.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush().map(drop)
    }
}
