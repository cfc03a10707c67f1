//! What can go wrong with an image.

use crate::digest::{DiffId, Digest};
use crate::platform::Platform;

use super::DocumentError;

/// Why an image could not be assembled or read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A key of the spec has a value that no image can have; the user's file is to be changed.
    #[error("`{field}`: {problem}")]
    Field { field: &'static str, problem: String },
    #[error("`platform`: the image is for {wanted}, but its base is for {base}")]
    OtherPlatform { wanted: Platform, base: Platform },
    #[error("`images`: two of the images are for {platform}")]
    DuplicatePlatform { platform: Platform },
    #[error("the image would not be valid: {0}")]
    Assembled(DocumentError),
    #[error("{digest} is not in the store")]
    Missing { digest: Digest },
    #[error("{digest}: {problem}")]
    Document { digest: Digest, problem: DocumentError },
    #[error("layer {digest} holds the tar stream {found}, but the image's config says {expected}")]
    DiffId { digest: Digest, expected: DiffId, found: DiffId },
}

impl ImageError {
    /// The key of the spec that is wrong; `None` if the spec is not to blame.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            ImageError::Field { field, .. } => Some(field),
            ImageError::OtherPlatform { .. } => Some("platform"),
            ImageError::DuplicatePlatform { .. } => Some("images"),
            _ => None,
        }
    }
}
