//! Images of registries, and what a name stands for.
//!
//! The store is looked at first for everything, so what it has is never asked for. Layers are not looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::image::document::{self, Document, MAX_CONFIG};
use crate::image::load::{self, Budget, Documents};
use crate::image::{Image, ImageError, ImageOrIndex};
use crate::oci::{Descriptor, Reference, Repository};
use crate::platform::Platform;
use crate::store::{Store, StoreError};

use super::{Blobs, listed, select};

/// A registry, as images are read from it. In a reference that has both, the digest counts and not the tag.
pub trait Registry: Sync {
    /// The bytes of the manifest or index that `reference` names, and what the registry says of them; `None` if it has
    /// none.
    ///
    /// # Errors
    /// The registry cannot be asked, or refuses.
    fn manifest(&self, reference: &Reference) -> Result<Option<(Descriptor, Vec<u8>)>, Diagnostic>;

    /// Brings a config out of the reference's repository into the store, under its digest.
    ///
    /// # Errors
    /// As [`Registry::manifest`]; also if the registry does not have it, or has other bytes.
    fn blob(&self, reference: &Reference, blob: &Descriptor, store: &Store) -> Result<(), Diagnostic>;
}

/// What the name of an image stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Of the index or manifest.
    pub digest: Digest,
    /// The manifest for each platform that has exactly one, and can be asked for by name.
    pub platforms: BTreeMap<Platform, Digest>,
}

/// Brings manifest and config of the image `digest` of the repository of `reference` into the store, and has it remember
/// where the layers are. If the digest names an index, the image for `platform` is taken, as
/// [`import_layout`](super::import_layout) does.
///
/// # Errors
/// Something is neither in the store nor in the registry, or is not what its digest and size say; the index has no image
/// for `platform`, or several.
pub fn import_registry(
    registry: &dyn Registry,
    reference: &Reference,
    digest: &Digest,
    platform: &Platform,
    store: &Store,
) -> Result<Image, ImageError> {
    super::import(&Remote { registry, reference, store }, digest, platform, store)
}

/// As [`import_registry`], all that `digest` leads to.
///
/// # Errors
/// As [`import_registry`] and [`load`](super::super::load()).
pub fn import_registry_whole(
    registry: &dyn Registry,
    reference: &Reference,
    digest: &Digest,
    store: &Store,
) -> Result<ImageOrIndex, ImageError> {
    let remote = Remote { registry, reference, store };
    let whole = load::load_from(&remote, digest, None, &mut Budget::default())?;
    listed::copy(&remote, &whole, store)?;
    Ok(whole)
}

/// As [`import_registry`], where `digest` is that of one image.
///
/// # Errors
/// As [`import_registry`]; also if the digest names an index.
pub fn read_registry(
    registry: &dyn Registry,
    reference: &Reference,
    digest: &Digest,
    store: &Store,
) -> Result<Image, ImageError> {
    let remote = Remote { registry, reference, store };
    match load::read_document(&remote, digest, None)? {
        (bytes, Document::Manifest(manifest)) => {
            let image = load::read_image(&remote, *digest, bytes, &manifest)?;
            image.layers().iter().try_for_each(|layer| remote.copy(&layer.descriptor, store))?;
            Ok(image)
        }
        (_, Document::Index(_)) => Err(ImageError::NotOneImage { digest: *digest }),
    }
}

/// What `reference` stands for now; `None` if the registry has no image of this name. Of the images, at most manifest and
/// config are read.
///
/// # Errors
/// What the registry has is no image and no index of images, or is not valid.
pub fn resolve(registry: &dyn Registry, reference: &Reference, store: &Store) -> Result<Option<Resolved>, ImageError> {
    let Some((descriptor, bytes)) = registry.manifest(reference)? else { return Ok(None) };
    let (digest, remote) = (Digest::of(&bytes), Remote { registry, reference, store });
    let document = remote.keep(&descriptor, &bytes).map_err(ImageError::document(digest))?;
    store.put_hashed(&digest, &bytes)?;
    let mut platforms = match document {
        Document::Manifest(manifest) => {
            let image = load::read_image(&remote, digest, bytes, &manifest)?;
            BTreeMap::from([(image.platform(), digest)])
        }
        Document::Index(index) => {
            let (mut platforms, mut several) = (BTreeMap::new(), BTreeSet::new());
            for candidate in select::candidates(&remote, &index)? {
                if platforms.insert(candidate.platform.clone(), candidate.digest).is_some() {
                    several.insert(candidate.platform);
                }
            }
            // Of the versions of Windows, say, none is more right than the other: who wants one names its digest.
            platforms.retain(|platform, _| !several.contains(platform));
            platforms
        }
    };
    platforms.retain(|platform, _| platform.to_string().parse().as_ref() == Ok(platform));
    Ok(Some(Resolved { digest, platforms }))
}

/// The repository of a reference, with the store in front of it.
struct Remote<'a> {
    registry: &'a dyn Registry,
    reference: &'a Reference,
    store: &'a Store,
}

impl Remote<'_> {
    /// The document that consists of `bytes`, if these are as the registry described them.
    fn keep(&self, described: &Descriptor, bytes: &[u8]) -> Result<Document, document::DocumentError> {
        document::check_bytes(described, bytes)?;
        let document = document::parse(bytes)?;
        document::check_type(described, &document)?;
        Ok(document)
    }

    /// A blob of the store; a damaged one is not there.
    fn stored(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        match self.store.read_blob(digest, limit) {
            Err(StoreError::DamagedBlob { .. }) => Ok(None),
            found => Ok(found?),
        }
    }
}

impl Documents for Remote<'_> {
    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        if let Some(bytes) = self.stored(digest, limit)? {
            return Ok(Some(bytes));
        }
        let named = Reference { digest: Some(*digest), ..self.reference.clone() };
        let Some((described, bytes)) = self.registry.manifest(&named)? else { return Ok(None) };
        let described = Descriptor { digest: *digest, ..described };
        self.keep(&described, &bytes).map_err(ImageError::document(*digest))?;
        self.store.put_hashed(digest, &bytes)?;
        Ok(Some(bytes))
    }

    fn read_config(&self, config: &Descriptor) -> Result<Option<Vec<u8>>, ImageError> {
        if let Some(bytes) = self.stored(&config.digest, MAX_CONFIG)? {
            return Ok(Some(bytes));
        }
        if config.size > MAX_CONFIG {
            let problem = document::DocumentError::TooLarge { limit: MAX_CONFIG };
            return Err(ImageError::Document { digest: config.digest, problem });
        }
        self.registry.blob(self.reference, config, self.store)?;
        Ok(self.store.read_blob(&config.digest, MAX_CONFIG)?)
    }

    fn place(&self) -> String {
        Repository::of(self.reference).to_string()
    }
}

impl Blobs for Remote<'_> {
    /// A layer is brought when somebody reads it, see [`Store::supplied_by`]: an image that only stands on it needs no more
    /// than its descriptor.
    fn copy(&self, layer: &Descriptor, store: &Store) -> Result<(), ImageError> {
        Ok(store.add_source(&layer.digest, &Repository::of(self.reference))?)
    }
}
