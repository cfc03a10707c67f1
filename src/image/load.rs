//! Images and indexes out of a place that holds their documents by digest.

use crate::digest::Digest;
use crate::oci::{Descriptor, Manifest};
use crate::store::Store;

use super::document::{self, Document, DocumentError, MAX_CONFIG, MAX_DEPTH, MAX_MANIFEST};
use super::{Image, ImageError, ImageIndex, ImageOrIndex};

/// How many manifests and indexes one digest may lead to. An index of 4 MiB can list 20,000.
pub(super) const MAX_DOCUMENTS: usize = 1000;

/// Where manifests, indexes and configs are read from.
pub(super) trait Documents {
    /// The verified bytes of a document; `None` if it is not there.
    ///
    /// # Errors
    /// It has more than `limit` bytes, is damaged, or cannot be read.
    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, ImageError>;

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
    let mut budget = MAX_DOCUMENTS;
    load_below(store, digest, None, 0, &mut budget)
}

/// As [`load`], what `descriptor` names in any place. `budget` is how many documents it may lead to.
pub(super) fn load_from(
    documents: &impl Documents,
    descriptor: &Descriptor,
    budget: &mut usize,
) -> Result<ImageOrIndex, ImageError> {
    load_below(documents, &descriptor.digest, Some(descriptor), 0, budget)
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
    let bytes = read(documents, digest, MAX_MANIFEST)?;
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
    let config = read(documents, &manifest.config.digest, MAX_CONFIG)?;
    Image::from_bytes(bytes, config).map_err(ImageError::document(digest))
}

fn read(documents: &impl Documents, digest: &Digest, limit: u64) -> Result<Vec<u8>, ImageError> {
    let missing = || ImageError::Missing { place: documents.place(), digest: *digest };
    documents.read(digest, limit)?.ok_or_else(missing)
}

fn load_below(
    documents: &impl Documents,
    digest: &Digest,
    descriptor: Option<&Descriptor>,
    depth: usize,
    budget: &mut usize,
) -> Result<ImageOrIndex, ImageError> {
    let refuse = |problem| ImageError::Document { digest: *digest, problem };
    *budget = budget.checked_sub(1).ok_or_else(|| refuse(DocumentError::TooMany { limit: MAX_DOCUMENTS }))?;
    match read_document(documents, digest, descriptor)? {
        (bytes, Document::Manifest(manifest)) => {
            read_image(documents, *digest, bytes, &manifest).map(ImageOrIndex::Image)
        }
        (_, Document::Index(_)) if depth == MAX_DEPTH => Err(refuse(DocumentError::TooDeep)),
        (bytes, Document::Index(index)) => {
            let below = |entry: &Descriptor| load_below(documents, &entry.digest, Some(entry), depth + 1, budget);
            let entries = index.manifests.iter().map(below).collect::<Result<_, _>>()?;
            ImageIndex::from_bytes(bytes, entries).map(ImageOrIndex::Index).map_err(refuse)
        }
    }
}
