//! Images and indexes out of a place that holds their documents by digest.

use crate::digest::Digest;
use crate::oci::{Descriptor, Manifest};
use crate::store::Store;

use super::document::{self, Document, DocumentError, MAX_CONFIG, MAX_DEPTH, MAX_MANIFEST};
use super::{Image, ImageError, ImageIndex, ImageOrIndex};

/// How many manifests and indexes one digest may lead to. An index of 4 MiB can list 20,000.
pub(super) const MAX_DOCUMENTS: usize = 1000;

/// How many bytes the manifests, indexes and configs may have together to which one digest leads, as they are in memory.
const MAX_BYTES: u64 = 256 << 20;

/// Where manifests, indexes and configs are read from.
pub(super) trait Documents {
    /// The verified bytes of a document; `None` if it is not there.
    ///
    /// # Errors
    /// It has more than `limit` bytes, is damaged, or cannot be read.
    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, ImageError>;

    /// As [`Documents::read`], for the config that a manifest describes.
    fn read_config(&self, config: &Descriptor) -> Result<Option<Vec<u8>>, ImageError> {
        self.read(&config.digest, MAX_CONFIG)
    }

    /// The place in messages, such as "the store".
    fn place(&self) -> String;
}

impl Documents for Store {
    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        Ok(self.read_blob(digest, limit)?)
    }

    fn place(&self) -> String {
        "the store".to_owned()
    }
}

/// The image or index of this digest in the store. Manifests, indexes and configs are read and verified, layers are
/// not.
///
/// # Errors
/// Something is missing, is damaged, or is not what its descriptor says.
pub fn load(store: &Store, digest: &Digest) -> Result<ImageOrIndex, ImageError> {
    load_from(store, digest, None, &mut Budget::default())
}

/// As [`load`], what `digest` names in any place; `descriptor` is the one that led to it.
pub(super) fn load_from(
    documents: &impl Documents,
    digest: &Digest,
    descriptor: Option<&Descriptor>,
    budget: &mut Budget,
) -> Result<ImageOrIndex, ImageError> {
    load_below(documents, digest, descriptor, 0, budget)
}

/// The image of this digest in the store.
///
/// # Errors
/// As [`load`]; also if the digest names an index.
pub fn load_image(store: &Store, digest: &Digest) -> Result<Image, ImageError> {
    match read_document(store, digest, None)? {
        (bytes, Document::Manifest(manifest)) => read_image(store, *digest, bytes, &manifest),
        (_, Document::Index(_)) => Err(ImageError::NotOneImage { digest: *digest }),
    }
}

/// Reads a manifest or index; `descriptor` is the one that led to it.
pub(super) fn read_document(
    documents: &impl Documents,
    digest: &Digest,
    descriptor: Option<&Descriptor>,
) -> Result<(Vec<u8>, Document), ImageError> {
    let missing = || ImageError::Missing { place: documents.place(), digest: *digest };
    let bytes = documents.read(digest, MAX_MANIFEST)?.ok_or_else(missing)?;
    let check = || {
        descriptor.map_or(Ok(()), |descriptor| document::check_bytes(descriptor, &bytes))?;
        let document = document::parse(&bytes)?;
        descriptor.map_or(Ok(()), |descriptor| document::check_type(descriptor, &document))?;
        Ok(document)
    };
    let document = check().map_err(ImageError::document(*digest))?;
    Ok((bytes, document))
}

/// Reads the config that `manifest` names, and makes the image of both.
pub(super) fn read_image(
    documents: &impl Documents,
    digest: Digest,
    bytes: Vec<u8>,
    manifest: &Manifest,
) -> Result<Image, ImageError> {
    let missing = || ImageError::Missing { place: documents.place(), digest: manifest.config.digest };
    let config = documents.read_config(&manifest.config)?.ok_or_else(missing)?;
    Image::from_bytes(bytes, config).map_err(ImageError::document(digest))
}

/// What is left of what one digest may lead to, or one list of digests.
pub(super) struct Budget {
    documents: usize,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { documents: MAX_DOCUMENTS, bytes: MAX_BYTES }
    }
}

impl Budget {
    pub(super) fn take_document(&mut self) -> Result<(), DocumentError> {
        let left = self.documents.checked_sub(1);
        self.documents = left.ok_or(DocumentError::TooMany { limit: MAX_DOCUMENTS })?;
        Ok(())
    }

    pub(super) fn take_bytes(&mut self, bytes: usize) -> Result<(), DocumentError> {
        let left = self.bytes.checked_sub(bytes as u64);
        self.bytes = left.ok_or(DocumentError::TooManyBytes { limit: MAX_BYTES })?;
        Ok(())
    }
}

fn load_below(
    documents: &impl Documents,
    digest: &Digest,
    descriptor: Option<&Descriptor>,
    depth: usize,
    budget: &mut Budget,
) -> Result<ImageOrIndex, ImageError> {
    let refuse = |problem| ImageError::Document { digest: *digest, problem };
    budget.take_document().map_err(refuse)?;
    let (bytes, document) = read_document(documents, digest, descriptor)?;
    budget.take_bytes(bytes.len()).map_err(refuse)?;
    match (bytes, document) {
        (bytes, Document::Manifest(manifest)) => {
            let image = read_image(documents, *digest, bytes, &manifest)?;
            budget.take_bytes(image.config_bytes().len()).map_err(refuse)?;
            Ok(ImageOrIndex::Image(image))
        }
        (_, Document::Index(_)) if depth == MAX_DEPTH => Err(refuse(DocumentError::TooDeep)),
        (bytes, Document::Index(index)) => {
            let below = |entry: &Descriptor| load_below(documents, &entry.digest, Some(entry), depth + 1, budget);
            let entries = index.manifests.iter().map(below).collect::<Result<_, _>>()?;
            ImageIndex::from_bytes(bytes, entries).map(ImageOrIndex::Index).map_err(refuse)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_documents_have_together_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let digest = store.put_blob(br#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        let load = |documents, bytes| load_below(&store, &digest, None, 0, &mut Budget { documents, bytes });
        assert!(load(1, 34).is_ok());
        let problem = |result| match result {
            Err(ImageError::Document { problem, .. }) => problem,
            other => panic!("{other:?}"),
        };
        assert!(matches!(problem(load(0, 34)), DocumentError::TooMany { .. }));
        assert!(matches!(problem(load(1, 33)), DocumentError::TooManyBytes { .. }));
    }
}
