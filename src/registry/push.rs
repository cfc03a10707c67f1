//! Images of the store into a registry.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::image::{Image, ImageIndex, ImageOrIndex};
use crate::oci::{Descriptor, Repository};
use crate::store::Store;

use super::transfer::{Progress, Transferred, each};
use super::{Client, ManifestName, RegistryError, Uploaded};

/// Copies an image or index into `repository`, and gives it these tags there; without tags it has its digest only.
///
/// What the registry has is not sent again: a tag that names this image ends the matter with one request, and of another
/// image each blob is asked for before it is sent. A blob that another repository of the registry has is mounted from
/// there. Manifests come after all of their blobs, tags last.
///
/// # Errors
/// The registry cannot be asked or refuses; a blob is neither in the store nor to be had.
pub fn push(
    client: &Client,
    what: &ImageOrIndex,
    repository: &Repository,
    tags: &[String],
    store: &Store,
    progress: &dyn Progress,
) -> Result<(), RegistryError> {
    let push = Push { client, repository, store };
    let digest = what.digest();
    let mut new_tags = Vec::new();
    for tag in tags {
        if !push.names(ManifestName::Tag(tag.clone()), digest)? {
            new_tags.push(tag);
        }
    }
    if !tags.is_empty() && new_tags.is_empty() {
        return Ok(());
    }
    let is_there = new_tags.len() < tags.len() || push.names(ManifestName::Digest(digest), digest)?;
    if !is_there {
        push.blobs(what, progress)?;
        push.below(what)?;
    }
    if tags.is_empty() && !is_there {
        push.manifest(what, &ManifestName::Digest(digest))?;
    }
    new_tags.into_iter().try_for_each(|tag| push.manifest(what, &ManifestName::Tag(tag.clone())))
}

struct Push<'a> {
    client: &'a Client,
    repository: &'a Repository,
    store: &'a Store,
}

impl Push<'_> {
    /// True if `name` names `digest` in the repository.
    fn names(&self, name: ManifestName, digest: Digest) -> Result<bool, RegistryError> {
        Ok(self.client.resolve(self.repository, &name)?.is_some_and(|found| found.digest == digest))
    }

    fn blobs(&self, what: &ImageOrIndex, progress: &dyn Progress) -> Result<(), RegistryError> {
        let images = what.images().into_iter();
        let blobs = images.flat_map(|image| image.manifest().layers.iter().chain([&image.manifest().config]));
        let blobs: BTreeMap<Digest, &Descriptor> = blobs.map(|blob| (blob.digest, blob)).collect();
        each(blobs.into_values(), progress, |blob, sent| {
            let how = match self.client.has_blob(self.repository, blob)? {
                true => Transferred::Present,
                false => match self.client.upload(self.repository, blob, self.store, &self.neighbours(blob), sent)? {
                    Uploaded::Mounted => Transferred::Mounted,
                    Uploaded::Sent => Transferred::Copied,
                },
            };
            self.store.add_source(&blob.digest, self.repository)?;
            Ok(how)
        })
    }

    /// Other repositories of the registry that had the blob.
    fn neighbours(&self, blob: &Descriptor) -> Vec<Repository> {
        let mut sources = self.store.sources(&blob.digest);
        sources.retain(|source| source.registry == self.repository.registry && source != self.repository);
        sources
    }

    /// What an index lists, the lowest first.
    fn below(&self, what: &ImageOrIndex) -> Result<(), RegistryError> {
        let ImageOrIndex::Index(index) = what else { return Ok(()) };
        for entry in index.entries() {
            self.below(entry)?;
            self.manifest(entry, &ManifestName::Digest(entry.digest()))?;
        }
        Ok(())
    }

    fn manifest(&self, what: &ImageOrIndex, name: &ManifestName) -> Result<(), RegistryError> {
        let bytes = match what {
            ImageOrIndex::Image(image) => Image::manifest_bytes(image),
            ImageOrIndex::Index(index) => ImageIndex::bytes(index),
        };
        self.client.put_manifest(self.repository, name, &what.descriptor().media_type, bytes).map(drop)
    }
}
