//! Images out of registries, and out of layouts and archives that other tools wrote, copied into the store.
//!
//! Every blob is hashed while it is copied, and kept only if it has the digest and the size by which it was asked for.
//! Archives are never extracted: their files are set aside in one temporary file without a name, and what an archive
//! calls its files is only ever looked up among these.

mod archive;
mod directory;
mod docker;
mod layout;
mod listed;
mod registry;
mod select;

pub use listed::{Wanted, read_archive, read_docker_archive, read_layout, read_oci_archive};
pub use registry::{Registry, Resolved, import_registry, import_registry_whole, read_registry, resolve};

use std::path::Path;

use crate::digest::Digest;
use crate::oci::Descriptor;
use crate::platform::Platform;
use crate::store::Store;

use self::archive::ArchiveFiles;
use self::directory::LayoutDirectory;
use super::document::{self, Document};
use super::load::{self, Documents};
use super::{Image, ImageError};

/// Imports the image that `digest` names in the image layout `directory`. If it names an index, the image for
/// `platform` is taken; an index of one image is that image, whatever it is for.
///
/// # Errors
/// `directory` is no image layout; a blob is missing or is not what its digest and size say; the index has no image
/// for `platform`, or several.
pub fn import_layout(
    directory: &Path,
    digest: &Digest,
    platform: &Platform,
    store: &Store,
) -> Result<Image, ImageError> {
    let layout = LayoutDirectory::open(directory)?;
    import(&layout, digest, platform, store)
}

/// Imports an image from a tar `file` that holds an image layout: the one that `digest` names, as [`import_layout`] does,
/// or else the one for `platform`; an archive of one image has that image, whatever it is for.
///
/// # Errors
/// As [`import_layout`]; also if `file` cannot be read as an archive.
pub fn import_oci_archive(
    file: &Path,
    digest: Option<&Digest>,
    platform: &Platform,
    store: &Store,
) -> Result<Image, ImageError> {
    let files = ArchiveFiles::open(file, store)?;
    layout::check_version(file, files.read_named("oci-layout", layout::MAX_VERSION_FILE)?)?;
    if let Some(digest) = digest {
        return import(&files, digest, platform, store);
    }
    let index = layout::parse_index(file, files.read_named("index.json", document::MAX_MANIFEST)?)?;
    let chosen = select::in_index(&files, &index, platform)?;
    import(&files, &chosen, platform, store)
}

/// Imports an image from a tar `file` as `docker save` and `podman save` write it: the one whose config has the digest
/// `image_id`, or else the one for `platform`; an archive of one image has that image, whatever it is for.
///
/// Config and layers are kept byte for byte, so the image ID stays. Such an archive has no manifest of its own; the one
/// that the image gets is written here, with OCI media types.
///
/// # Errors
/// `file` is no such archive; it lists a file that it does not have; a layer is not the one that the config says; there
/// is no image to choose, or several.
pub fn import_docker_archive(
    file: &Path,
    image_id: Option<&Digest>,
    platform: &Platform,
    store: &Store,
) -> Result<Image, ImageError> {
    docker::import(file, image_id, platform, store)
}

/// A place that has blobs by digest.
trait Blobs: Documents {
    /// Copies a layer into the store, unless it is there; or remembers where it can be had when somebody reads it.
    fn copy(&self, blob: &Descriptor, store: &Store) -> Result<(), ImageError>;
}

fn import(blobs: &impl Blobs, digest: &Digest, platform: &Platform, store: &Store) -> Result<Image, ImageError> {
    let (digest, bytes, manifest) = match load::read_document(blobs, digest, None)? {
        (bytes, Document::Manifest(manifest)) => (*digest, bytes, manifest),
        (_, Document::Index(index)) => {
            let chosen = select::in_index(blobs, &index, platform)?;
            match load::read_document(blobs, &chosen, None)? {
                (bytes, Document::Manifest(manifest)) => (chosen, bytes, manifest),
                (_, Document::Index(_)) => return Err(ImageError::NotOneImage { digest: chosen }),
            }
        }
    };
    let image = load::read_image(blobs, digest, bytes, &manifest)?;
    for layer in image.layers() {
        blobs.copy(&layer.descriptor, store)?;
    }
    image.save(store)?;
    Ok(image)
}
