//! Images and their layers as immutable values: reading, assembling, validating, writing.
//!
//! An [`Image`] is a manifest and a config that agree with each other, with the bytes that their digests name; its
//! layers' blobs are in the store, and only their descriptors are here. Nothing edits one: [`assemble`] makes a new
//! image on top of a base, [`load`] and the `import_` functions read one that exists, [`validate`] recomputes
//! everything that an image claims, and [`sink`] writes it out. docs/image-config.md says which field lands where.

mod assemble;
mod compare;
mod contents;
pub mod document;
mod error;
mod import;
mod index;
mod layer;
mod load;
mod rebase;
pub mod sink;
mod validate;

pub use assemble::{assemble, assemble_index};
pub use compare::{Comparison, Difference, Place, Size, compare};
pub use contents::{layer_entries, spool_contents, tree};
pub use document::DocumentError;
pub use error::ImageError;
pub use import::{
    Registry, Resolved, Wanted, import_docker_archive, import_layout, import_oci_archive, import_registry,
    import_registry_whole, read_archive, read_docker_archive, read_layout, read_oci_archive, read_registry, resolve,
};
pub use index::{ImageIndex, ImageOrIndex, Listed, blobs};
pub use layer::Layer;
pub use load::{load, load_image};
pub use rebase::{Bases, RebaseError, Rebased, rebase};
pub use validate::{Problem, validate, validate_documents};

use std::sync::Arc;

use crate::digest::Digest;
use crate::oci::{Descriptor, ImageConfig, Manifest, WirePlatform, canonical_json};
use crate::platform::Platform;
use crate::store::{Store, StoreError};

/// One image: manifest, config and layers that agree with each other. A clone costs nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Image(Arc<Parts>);

#[derive(Debug, PartialEq)]
struct Parts {
    descriptor: Descriptor,
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
    config: ImageConfig,
    config_bytes: Vec<u8>,
    layers: Vec<Layer>,
}

impl Image {
    /// The image with these parts, in canonical JSON. The manifest's config descriptor is made here, from `config`
    /// and the type that `manifest` already gives it.
    ///
    /// # Errors
    /// One of them is too large to be read again, or they list another number of layers.
    fn from_parts(mut manifest: Manifest, config: ImageConfig) -> Result<Self, DocumentError> {
        let config_bytes = canonical_json(&config);
        manifest.config = Descriptor::of(manifest.config.media_type, &config_bytes);
        let manifest_bytes = canonical_json(&manifest);
        document::check_sizes(&manifest_bytes, &config_bytes)?;
        let layers = document::pair_layers(&manifest, &config)?;
        let descriptor = Descriptor::of(document::manifest_type(&manifest), &manifest_bytes);
        let image = Image(Arc::new(Parts { descriptor, manifest, manifest_bytes, config, config_bytes, layers }));
        debug_assert_eq!(
            Image::from_bytes(image.0.manifest_bytes.clone(), image.0.config_bytes.clone()).ok().as_ref(),
            Some(&image),
            "what is written is read as the same"
        );
        Ok(image)
    }

    /// The image whose manifest and config consist of these bytes.
    ///
    /// # Errors
    /// One of them is not what it should be ([`DocumentError`]), or they do not agree: the config is not the one that
    /// the manifest names, or lists another number of layers.
    fn from_bytes(manifest_bytes: Vec<u8>, config_bytes: Vec<u8>) -> Result<Self, DocumentError> {
        let manifest = document::parse_manifest(&manifest_bytes)?;
        document::check_bytes(&manifest.config, &config_bytes)?;
        let config = document::parse_config(&config_bytes)?;
        let layers = document::pair_layers(&manifest, &config)?;
        let media_type = document::manifest_type(&manifest);
        let descriptor = Descriptor::of(media_type, &manifest_bytes);
        Ok(Image(Arc::new(Parts { descriptor, manifest, manifest_bytes, config, config_bytes, layers })))
    }

    /// The digest of the manifest: the image's name everywhere.
    pub fn digest(&self) -> Digest {
        self.0.descriptor.digest
    }

    /// Type, digest and size of the manifest, with the platform as an index lists it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor { platform: Some(self.wire_platform()), ..self.0.descriptor.clone() }
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The manifest's bytes, of which [`Image::digest`] is the digest.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.0.manifest_bytes
    }

    /// The config.
    pub fn config(&self) -> &ImageConfig {
        &self.0.config
    }

    /// The config's bytes.
    pub fn config_bytes(&self) -> &[u8] {
        &self.0.config_bytes
    }

    /// The digest of the config, which Docker calls the image ID.
    pub fn id(&self) -> Digest {
        self.0.manifest.config.digest
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.0.layers
    }

    /// The platform that the config names, normalised.
    pub fn platform(&self) -> Platform {
        self.0.config.platform()
    }

    fn wire_platform(&self) -> WirePlatform {
        WirePlatform {
            architecture: self.0.config.architecture.clone(),
            os: self.0.config.os.clone(),
            os_version: self.0.config.os_version.clone(),
            variant: self.0.config.variant.clone(),
        }
    }

    /// True if the store has manifest and config, unharmed.
    pub fn documents_are_in(&self, store: &Store) -> Result<bool, StoreError> {
        Ok(store.holds(&self.0.descriptor)? && store.holds(&self.0.manifest.config)?)
    }

    /// Puts manifest and config into the store. Its layers should be there before, as nothing may name what is not.
    pub fn save(&self, store: &Store) -> Result<(), StoreError> {
        store.put_hashed(&self.id(), &self.0.config_bytes)?;
        store.put_hashed(&self.digest(), &self.0.manifest_bytes)
    }
}
