//! Which image of several is meant.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::image::document::{Document, DocumentError, MAX_DEPTH};
use crate::image::load::{Budget, Documents, read_document, read_image};
use crate::image::{ImageError, document};
use crate::oci::{Descriptor, Index, MediaType};
use crate::platform::Platform;

/// An image that could be meant.
pub struct Candidate {
    pub digest: Digest,
    pub platform: Platform,
}

/// The only image, else the only one for `platform`.
pub fn choose(candidates: &[Candidate], platform: &Platform) -> Result<Digest, ImageError> {
    if let [only] = candidates {
        return Ok(only.digest);
    }
    let matching = candidates.iter().filter(|candidate| candidate.platform == *platform);
    match matching.map(|candidate| candidate.digest).collect::<Vec<_>>().as_slice() {
        [one] => Ok(*one),
        [] => {
            let found: BTreeSet<Platform> = candidates.iter().map(|candidate| candidate.platform.clone()).collect();
            Err(ImageError::NoneForPlatform { wanted: platform.clone(), found: found.into_iter().collect() })
        }
        several => Err(ImageError::Several { digests: several.to_vec() }),
    }
}

/// The image of `index`, or of the indexes in it, that is for `platform`.
pub fn in_index(documents: &impl Documents, index: &Index, platform: &Platform) -> Result<Digest, ImageError> {
    choose(&candidates(documents, index)?, platform)
}

/// The images of `index`, and of the indexes in it, in their order.
pub fn candidates(documents: &impl Documents, index: &Index) -> Result<Vec<Candidate>, ImageError> {
    let budget = Budget::default();
    let mut search = Search { documents, seen: BTreeSet::new(), candidates: Vec::new(), budget };
    search.index(index, 1)?;
    Ok(search.candidates)
}

struct Search<'a, D> {
    documents: &'a D,
    seen: BTreeSet<Digest>,
    candidates: Vec<Candidate>,
    budget: Budget,
}

impl<D: Documents> Search<'_, D> {
    fn index(&mut self, index: &Index, depth: usize) -> Result<(), ImageError> {
        for entry in &index.manifests {
            let digest = entry.digest;
            // The same image is listed once for each of its names.
            if is_attestation(entry) || !self.seen.insert(digest) {
                continue;
            }
            let refuse = |problem| Err(ImageError::Document { digest, problem });
            self.budget.take_document().or_else(refuse)?;
            match &entry.media_type {
                MediaType::Index(_) if depth == MAX_DEPTH => return refuse(DocumentError::TooDeep),
                MediaType::Index(_) => match read_document(self.documents, &digest, Some(entry))? {
                    (bytes, Document::Index(index)) => {
                        self.budget.take_bytes(bytes.len()).or_else(refuse)?;
                        self.index(&index, depth + 1)?;
                    }
                    (_, Document::Manifest(manifest)) => {
                        let (expected, found) = (entry.media_type.clone(), document::manifest_type(&manifest));
                        return refuse(DocumentError::MediaType { expected, found });
                    }
                },
                MediaType::Manifest(_) => self.image(entry)?,
                // An artifact of another kind.
                _ => {}
            }
        }
        Ok(())
    }

    fn image(&mut self, entry: &Descriptor) -> Result<(), ImageError> {
        let digest = entry.digest;
        let platform = match &entry.platform {
            Some(platform) => platform.platform(),
            None => match read_document(self.documents, &digest, Some(entry)) {
                Ok((bytes, Document::Manifest(manifest))) => {
                    let image = read_image(self.documents, digest, bytes, &manifest)?;
                    let size = image.manifest_bytes().len() + image.config_bytes().len();
                    self.budget.take_bytes(size).map_err(|problem| ImageError::Document { digest, problem })?;
                    image.platform()
                }
                // A signature or the like, which is a manifest too.
                Err(ImageError::Document { problem: DocumentError::NotAnImage { .. }, .. }) => return Ok(()),
                Ok((_, Document::Index(_))) => return Err(ImageError::NotOneImage { digest }),
                Err(error) => return Err(error),
            },
        };
        self.candidates.push(Candidate { digest, platform });
        Ok(())
    }
}

/// BuildKit lists provenance and the like beside the images, as manifests for a platform that does not exist.
fn is_attestation(entry: &Descriptor) -> bool {
    entry.annotations.contains_key("vnd.docker.reference.type")
        || entry.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
}
