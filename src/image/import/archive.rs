//! The files of an archive, without extracting it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use crate::archive::read::{Limits, Spool, decompress, read_tar};
use crate::digest::Digest;
use crate::entry::{Content, Entry, Kind};
use crate::image::document::DocumentError;
use crate::image::load::Documents;
use crate::image::{ImageError, document};
use crate::oci::{Descriptor, MediaType};
use crate::path::ImagePath;
use crate::store::Store;
use crate::tree::{Changeset, Tree};

use super::Blobs;

/// The files of a tar archive, compressed or not, set aside in a temporary file of the store.
pub struct ArchiveFiles {
    path: PathBuf,
    tree: Tree,
}

/// A name that stands for different things in one archive: some readers take the first, some the last, and so would
/// see another image.
fn disputed(entries: &[Entry]) -> Option<&ImagePath> {
    let mut kinds = BTreeMap::new();
    entries
        .iter()
        .find(|entry| *kinds.entry(&entry.path).or_insert(&entry.kind) != &entry.kind)
        .map(|entry| &entry.path)
}

impl ArchiveFiles {
    /// Reads the archive at `path`.
    pub fn open(path: &Path, store: &Store) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(ImageError::io(path))?;
        ArchiveFiles::read(file, path, store)
    }

    /// Reads the archive in `file`, which messages call `path`.
    pub fn read(file: File, path: &Path, store: &Store) -> Result<Self, ImageError> {
        let mut spool = Spool::new(store.spool()?);
        let limits = Limits::default();
        let unpacked = decompress(BufReader::new(file), &limits);
        let contents = unpacked.and_then(|stream| read_tar(stream, &limits, Some(&mut spool)));
        let contents = contents.map_err(|source| ImageError::Archive { path: path.to_owned(), source })?;
        let refuse = |problem| ImageError::NotA { path: path.to_owned(), what: "an image archive", problem };
        if let Some(name) = disputed(&contents.entries) {
            return Err(refuse(format!("it has `{name}` twice, with different content")));
        }
        let files = Changeset::from_archive(contents.entries).and_then(Tree::of_layer);
        let tree = files.map_err(|error| refuse(error.to_string()))?;
        Ok(ArchiveFiles { path: path.to_owned(), tree })
    }

    /// What messages call the archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of this name. Links are followed inside the archive: `docker save` writes a layer that two images share
    /// once, and a link for the second.
    pub fn get(&self, name: &str) -> Option<&Content> {
        let path = self.tree.resolve(&ImagePath::parse(name).ok()?).ok()?;
        match &self.tree.get(&path)?.kind {
            Kind::File { content } => Some(content),
            _ => None,
        }
    }

    /// The bytes of the file of this name, at most `limit`; `None` if there is none.
    pub fn read_named(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        let read = |content: &Content| content.read_all(limit).map_err(ImageError::io(&self.path.join(name)));
        self.get(name).map(read).transpose()
    }

    /// Copies a content into the store, unless it is there.
    pub fn store_content(&self, content: &Content, store: &Store) -> Result<(), ImageError> {
        if store.contains(&content.digest) == Some(content.size) {
            return Ok(());
        }
        let mut ingest = store.ingest()?;
        let mut buffer = Vec::new();
        let mut offset = 0;
        while offset < content.size {
            buffer.clear();
            let part = (content.size - offset).min(1 << 20);
            content.read_range(offset, part as usize, &mut buffer).map_err(ImageError::io(&self.path))?;
            ingest.write_all(&buffer).map_err(ImageError::io(store.root()))?;
            offset += part;
        }
        ingest.commit_expecting(&content.digest, Some(content.size))?;
        Ok(())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<&Content>, ImageError> {
        let Some(content) = self.get(&format!("blobs/sha256/{}", digest.hex())) else { return Ok(None) };
        let named = Descriptor::new(MediaType::Other(String::new()), *digest, content.size);
        document::check_content(&named, content.size, content.digest).map_err(ImageError::document(*digest))?;
        Ok(Some(content))
    }
}

impl Documents for ArchiveFiles {
    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(content) = self.blob(digest)? else { return Ok(None) };
        if content.size > limit {
            return Err(ImageError::Document { digest: *digest, problem: DocumentError::TooLarge { limit } });
        }
        content.read_all(limit).map(Some).map_err(ImageError::io(&self.path))
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

impl Blobs for ArchiveFiles {
    fn copy(&self, blob: &Descriptor, store: &Store) -> Result<(), ImageError> {
        let missing = || ImageError::Missing { place: self.place(), digest: blob.digest };
        let content = self.blob(&blob.digest)?.ok_or_else(missing)?;
        document::check_content(blob, content.size, content.digest).map_err(ImageError::document(blob.digest))?;
        self.store_content(content, store)
    }
}
