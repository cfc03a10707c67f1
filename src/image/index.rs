//! Several images under one digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::oci::{Descriptor, Index, canonical_json};
use crate::store::{Store, StoreError};

use super::Image;
use super::document::{self, DocumentError};

/// An image index with what it lists, in the order in which it lists it. A clone costs nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageIndex(Arc<Parts>);

#[derive(Debug, PartialEq)]
struct Parts {
    descriptor: Descriptor,
    index: Index,
    bytes: Vec<u8>,
    entries: Vec<ImageOrIndex>,
}

/// What a digest in a layout or a registry can name.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageOrIndex {
    Image(Image),
    Index(ImageIndex),
}

impl ImageIndex {
    /// The index of this content in canonical JSON; `entries` are what its descriptors name, in the same order.
    pub(super) fn from_parts(index: Index, entries: Vec<ImageOrIndex>) -> Result<Self, DocumentError> {
        ImageIndex::from_bytes(canonical_json(&index), entries)
    }

    /// The index that consists of `bytes`; `entries` are what its descriptors name, in the same order.
    pub(super) fn from_bytes(bytes: Vec<u8>, entries: Vec<ImageOrIndex>) -> Result<Self, DocumentError> {
        let index = document::parse_index(&bytes)?;
        let descriptor = Descriptor::of(document::index_type(&index), &bytes);
        Ok(ImageIndex(Arc::new(Parts { descriptor, index, bytes, entries })))
    }

    /// The digest of the index.
    pub fn digest(&self) -> Digest {
        self.0.descriptor.digest
    }

    /// Type, digest and size of the index.
    pub fn descriptor(&self) -> Descriptor {
        self.0.descriptor.clone()
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.0.index
    }

    /// The index's bytes, of which [`ImageIndex::digest`] is the digest.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Puts the index into the store. What it lists should be there before.
    pub fn save(&self, store: &Store) -> Result<(), StoreError> {
        store.put_blob(&self.0.bytes).map(drop)
    }

    /// What the index lists, in its order.
    pub fn entries(&self) -> &[ImageOrIndex] {
        &self.0.entries
    }
}

impl ImageOrIndex {
    /// The digest of the manifest or index.
    pub fn digest(&self) -> Digest {
        match self {
            ImageOrIndex::Image(image) => image.digest(),
            ImageOrIndex::Index(index) => index.digest(),
        }
    }

    /// The ID of the image, or the digest of the index.
    pub fn id(&self) -> Digest {
        match self {
            ImageOrIndex::Image(image) => image.id(),
            ImageOrIndex::Index(index) => index.digest(),
        }
    }

    /// The descriptor of the manifest or index.
    pub fn descriptor(&self) -> Descriptor {
        match self {
            ImageOrIndex::Image(image) => image.descriptor(),
            ImageOrIndex::Index(index) => index.descriptor(),
        }
    }

    /// Puts indexes, manifests and configs into the store, what is named before what names it. Layers should be there before.
    pub fn save(&self, store: &Store) -> Result<(), StoreError> {
        match self {
            ImageOrIndex::Image(image) => image.save(store),
            ImageOrIndex::Index(index) => {
                index.entries().iter().try_for_each(|entry| entry.save(store))?;
                index.save(store)
            }
        }
    }

    /// The images in it at any depth, in the order of the indexes; one for an image itself.
    pub fn images(&self) -> Vec<&Image> {
        match self {
            ImageOrIndex::Image(image) => vec![image],
            ImageOrIndex::Index(index) => index.entries().iter().flat_map(ImageOrIndex::images).collect(),
        }
    }
}

/// An image or index with the names under which a layout or an archive lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub what: ImageOrIndex,
    /// As they are written there; none for what is listed without a name.
    pub names: Vec<String>,
}

impl From<Image> for ImageOrIndex {
    fn from(image: Image) -> Self {
        ImageOrIndex::Image(image)
    }
}

impl From<ImageIndex> for ImageOrIndex {
    fn from(index: ImageIndex) -> Self {
        ImageOrIndex::Index(index)
    }
}

/// The blobs that an image or index consists of, each once, by digest, with their sizes.
pub fn blobs(what: &ImageOrIndex) -> BTreeMap<Digest, u64> {
    let mut blobs = BTreeMap::new();
    add_indexes(what, &mut blobs);
    for image in what.images() {
        let parts = [image.descriptor(), image.manifest().config.clone()];
        blobs.extend(parts.iter().chain(&image.manifest().layers).map(|blob| (blob.digest, blob.size)));
    }
    blobs
}

fn add_indexes(what: &ImageOrIndex, blobs: &mut BTreeMap<Digest, u64>) {
    if let ImageOrIndex::Index(index) = what {
        blobs.insert(index.digest(), index.descriptor().size);
        index.entries().iter().for_each(|entry| add_indexes(entry, blobs));
    }
}
