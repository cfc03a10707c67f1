//! Images of a registry into the store.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::image::{self, ImageError, ImageOrIndex, Registry, document};
use crate::oci::{Descriptor, Reference, Repository};
use crate::platform::Platform;
use crate::store::Store;

use super::transfer::{Progress, Transferred, each};
use super::{Client, ManifestName, RegistryError};

/// What of a name is copied.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All that it leads to.
    All,
    /// Of an index, the image for this platform; an image, whatever it is for.
    Platform(&'a Platform),
}

/// Copies manifests, indexes and configs of what `reference` names into the store, but no layers: where those can be had is
/// remembered. What is in the store is not asked for.
///
/// # Errors
/// The registry has nothing of this name, or nothing for the platform; it cannot be asked; a document is not what its
/// descriptor says; the store cannot be written.
pub fn pull_documents(
    registry: &dyn Registry,
    reference: &Reference,
    which: Which,
    store: &Store,
) -> Result<ImageOrIndex, ImageError> {
    let digest = match reference.digest.filter(|digest| store.contains(digest).is_some()) {
        Some(digest) => digest,
        None => {
            let missing = || RegistryError::not_found(&Repository::of(reference), &ManifestName::of(reference));
            let (_, bytes) = registry.manifest(reference)?.ok_or_else(|| Diagnostic::from(missing()))?;
            let digest = Digest::of(&bytes);
            // What is refused leaves nothing behind.
            document::parse(&bytes).map_err(|problem| ImageError::Document { digest, problem })?;
            store.put_hashed(&digest, &bytes)?;
            digest
        }
    };
    match which {
        Which::All => image::import_registry_whole(registry, reference, &digest, store),
        Which::Platform(platform) => {
            image::import_registry(registry, reference, &digest, platform, store).map(ImageOrIndex::Image)
        }
    }
}

/// As [`pull_documents`], and the layers too.
///
/// # Errors
/// As [`pull_documents`]; also if a layer is not to be had, or is not what its descriptor says.
pub fn pull(
    client: &Client,
    reference: &Reference,
    which: Which,
    store: &Store,
    progress: &dyn Progress,
) -> Result<ImageOrIndex, ImageError> {
    let pulled = pull_documents(client, reference, which, store)?;
    let repository = Repository::of(reference);
    let layers = pulled.images().into_iter().flat_map(|image| &image.manifest().layers);
    let layers: BTreeMap<Digest, &Descriptor> = layers.map(|layer| (layer.digest, layer)).collect();
    let copied = each(layers.into_values(), progress, |layer, arrived| {
        if store.contains(&layer.digest) == Some(layer.size) {
            return Ok(Transferred::Present);
        }
        client.download(&repository, layer, store, arrived)?;
        Ok(Transferred::Copied)
    });
    copied.map_err(Diagnostic::from)?;
    Ok(pulled)
}
