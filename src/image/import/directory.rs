//! An image layout on disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::digest::Digest;
use crate::image::document::DocumentError;
use crate::image::load::Documents;
use crate::image::{ImageError, document};
use crate::oci::{Descriptor, Index, MediaType};
use crate::store::Store;

use super::{Blobs, layout};

/// A directory with `oci-layout` and `blobs/`.
pub struct LayoutDirectory {
    path: PathBuf,
}

impl LayoutDirectory {
    /// The layout at `path`.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let version = path.join("oci-layout");
        let content = match open(&version)? {
            Some(file) => Some(read_at_most(file, layout::MAX_VERSION_FILE).map_err(ImageError::io(&version))?),
            None => None,
        };
        layout::check_version(path, content)?;
        Ok(LayoutDirectory { path: path.to_owned() })
    }

    /// What the layout lists.
    pub fn index(&self) -> Result<Index, ImageError> {
        let path = self.path.join("index.json");
        let content = match open(&path)? {
            Some(file) => Some(read_at_most(file, document::MAX_MANIFEST).map_err(ImageError::io(&path))?),
            None => None,
        };
        layout::parse_index(&self.path, content)
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.hex())
    }
}

impl Documents for LayoutDirectory {
    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        let path = self.blob(digest);
        let Some(file) = open(&path)? else { return Ok(None) };
        let bytes = read_at_most(file, limit).map_err(ImageError::io(&path))?;
        if bytes.len() as u64 > limit {
            return Err(ImageError::Document { digest: *digest, problem: DocumentError::TooLarge { limit } });
        }
        // The name of the file is all that is known of it here; whoever has its descriptor compares the size as well.
        let named = Descriptor::new(MediaType::Other(String::new()), *digest, bytes.len() as u64);
        document::check_bytes(&named, &bytes).map_err(ImageError::document(*digest))?;
        Ok(Some(bytes))
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

impl Blobs for LayoutDirectory {
    fn copy(&self, blob: &Descriptor, store: &Store) -> Result<(), ImageError> {
        if store.contains(&blob.digest) == Some(blob.size) {
            return Ok(());
        }
        let path = self.blob(&blob.digest);
        let missing = || ImageError::Missing { place: self.place(), digest: blob.digest };
        let file = open(&path)?.ok_or_else(missing)?;
        let mut ingest = store.ingest()?;
        // One byte more than is wanted shows that a file is too long.
        io::copy(&mut file.take(blob.size.saturating_add(1)), &mut ingest).map_err(ImageError::io(&path))?;
        ingest.commit_expecting(&blob.digest, Some(blob.size))?;
        Ok(())
    }
}

/// Opens a regular file; `None` if nothing is there. A FIFO or device in its place is not waited for or read.
fn open(path: &Path) -> Result<Option<File>, ImageError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        opened => File::from(opened.map_err(io::Error::from).map_err(ImageError::io(path))?),
    };
    match file.metadata().map_err(ImageError::io(path))?.is_file() {
        true => Ok(Some(file)),
        false => Err(ImageError::io(path)(io::Error::other("it is not a regular file"))),
    }
}

/// The content of a file, cut off behind `limit` + 1 bytes.
fn read_at_most(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
