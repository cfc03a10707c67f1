//! Reading blobs.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};

use crate::digest::{Digest, Hasher};
use crate::oci::Descriptor;

use super::{Store, StoreError, quarantine};

impl Store {
    /// The size in bytes of a blob, if the store has it. Looks at the name only; who reads the blob finds out whether
    /// its bytes are good.
    pub fn contains(&self, digest: &Digest) -> Option<u64> {
        let path = self.blob_path(digest);
        let metadata = fs::symlink_metadata(&path).ok()?;
        (metadata.is_file() && self.is_kept(&path, &metadata)).then_some(metadata.len())
    }

    /// Opens a blob; `None` if the store does not have it.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<BlobReader>, StoreError> {
        let path = self.blob_path(digest);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(StoreError::read("open", &path))?,
        };
        let metadata = file.metadata().map_err(StoreError::read("inspect", &path))?;
        if !self.is_kept(&path, &metadata) {
            return Ok(None);
        }
        let size = metadata.len();
        let (store, digest) = (self.clone(), *digest);
        Ok(Some(BlobReader { store, digest, file, size, left: size, hasher: Hasher::new(), verdict: None }))
    }

    /// Opens the blob that `descriptor` names, and compares the size before anything is read. One that the store lacks is
    /// brought, see [`Store::supplied_by`].
    ///
    /// # Errors
    /// As [`Store::open_blob`] and [`Store::bring`]; the sizes differ: then the blob is read to find out which of the two is wrong, and
    /// quarantined if it is the blob.
    pub fn open_described(&self, descriptor: &Descriptor) -> Result<Option<BlobReader>, StoreError> {
        let reader = match self.open_blob(&descriptor.digest)? {
            None if self.bring(descriptor)? => self.open_blob(&descriptor.digest)?,
            reader => reader,
        };
        match reader {
            Some(reader) if reader.size != descriptor.size => {
                let found = reader.size;
                reader.finish()?;
                Err(StoreError::OtherSize { digest: descriptor.digest, expected: descriptor.size, found })
            }
            reader => Ok(reader),
        }
    }

    /// True if the store has the blob that `descriptor` names, unharmed: it is read. A damaged one is quarantined, so it
    /// can be stored anew.
    pub fn holds(&self, descriptor: &Descriptor) -> Result<bool, StoreError> {
        let Some(reader) = self.open_blob(&descriptor.digest)? else { return Ok(false) };
        let is_right_size = reader.size == descriptor.size;
        match reader.finish() {
            Err(StoreError::DamagedBlob { .. }) => Ok(false),
            result => result.map(|()| is_right_size),
        }
    }

    /// A blob's bytes, verified; `None` if the store does not have it.
    ///
    /// # Errors
    /// The blob has more than `limit` bytes, or is damaged; a damaged one is quarantined.
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut reader) = self.open_blob(digest)? else { return Ok(None) };
        if reader.size > limit {
            return Err(StoreError::TooLarge { digest: *digest, size: reader.size, limit });
        }
        let mut bytes = Vec::with_capacity(reader.size as usize);
        reader.read_to_end(&mut bytes).map_err(|error| reader.typed(error))?;
        Ok(Some(bytes))
    }
}

/// A blob that is verified while it is read. The read that reaches the blob's end fails if its bytes are not those
/// that its digest names: a [`StoreError::DamagedBlob`] inside an [`io::ErrorKind::InvalidData`]. By then the blob has
/// been quarantined, and what was read from it before must be given up.
pub struct BlobReader {
    store: Store,
    digest: Digest,
    file: File,
    size: u64,
    /// Bytes not read yet.
    left: u64,
    hasher: Hasher,
    /// Known once the end was reached.
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Good,
    Damaged,
}

impl BlobReader {
    /// The blob's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads what is left and so verifies the blob: for readers that stop at the end of an archive inside it.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let result = io::copy(&mut self, &mut io::sink());
        result.map(drop).map_err(|error| self.typed(error))
    }

    /// Judges the bytes that were read.
    fn verify(&mut self) -> io::Result<()> {
        let found = std::mem::take(&mut self.hasher).finish();
        if self.left == 0 && found == self.digest {
            self.verdict = Some(Verdict::Good);
            return Ok(());
        }
        self.verdict = Some(Verdict::Damaged);
        let moved = self.file.metadata().ok();
        let moved = moved.and_then(|bad| quarantine::move_away(&self.store, &self.digest, &bad).ok());
        let error = StoreError::DamagedBlob { digest: self.digest, found, moved };
        Err(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The store's error inside what [`Read`] had to return.
    fn typed(&self, error: io::Error) -> StoreError {
        let path = self.store.blob_path(&self.digest);
        error.downcast::<StoreError>().unwrap_or_else(StoreError::read("read", &path))
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobReader({})", self.digest)
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.verdict {
            Some(Verdict::Good) => return Ok(0),
            Some(Verdict::Damaged) => return Err(io::Error::new(io::ErrorKind::InvalidData, "this blob is damaged")),
            None if buffer.is_empty() => return Ok(0),
            None => {}
        }
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let n = self.file.read(&mut buffer[..wanted])?;
        self.hasher.update(&buffer[..n]);
        self.left -= n as u64;
        if self.left == 0 || n == 0 {
            self.verify()?;
        }
        Ok(n)
    }
}
