//! What can go wrong with an image.

use std::io;
use std::path::{Path, PathBuf};

use crate::archive::read::ReadError;
use crate::diagnostic::Diagnostic;
use crate::digest::{DiffId, Digest};
use crate::platform::Platform;
use crate::store::StoreError;
use crate::tree::TreeError;

use super::DocumentError;

/// Why an image could not be assembled, read or imported.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A key of the spec has a value that no image can have; the user's file is to be changed.
    #[error("`{field}`: {problem}")]
    Field { field: &'static str, problem: String },
    #[error("`platform`: the image is for {wanted}, but its base is for {base}")]
    OtherPlatform { wanted: Box<Platform>, base: Box<Platform> },
    #[error("`images`: two of the images are for {platform}")]
    DuplicatePlatform { platform: Platform },
    #[error("the image would not be valid: {0}")]
    Assembled(DocumentError),

    #[error("{place} has no blob {digest}")]
    Missing { place: String, digest: Digest },
    #[error("{digest}: {problem}")]
    Document { digest: Digest, problem: DocumentError },
    #[error("{digest} is an index of several images, where one image is needed")]
    NotOneImage { digest: Digest },
    #[error("layer {digest} holds the tar stream {found}, but the image's config says {expected}")]
    DiffId { digest: Digest, expected: DiffId, found: DiffId },
    #[error("layer {digest} cannot be read")]
    Layer { digest: Digest, source: ReadError },
    #[error("layer {digest} does not fit on the layers below it")]
    Tree { digest: Digest, source: TreeError },
    #[error("the layers up to {digest} have more than {limit} entries together")]
    TooManyEntries { digest: Digest, limit: usize },
    #[error(
        "a content was asked for from the tar stream {diff_id}, which is of none of the layers given; this is a defect in ocify"
    )]
    UnknownStream { diff_id: DiffId },
    /// What was wrong with asking a registry.
    #[error(transparent)]
    Registry(#[from] Diagnostic),
    #[error(transparent)]
    Store(#[from] StoreError),

    #[error("cannot read {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} cannot be read as an archive", path.display())]
    Archive { path: PathBuf, source: ReadError },
    #[error("{} is not {what}: {problem}", path.display())]
    NotA { path: PathBuf, what: &'static str, problem: String },
    #[error("there is no image for {wanted}; there are images for {}", list(found))]
    NoneForPlatform { wanted: Platform, found: Vec<Platform> },
    #[error("there are several images to choose from; name one by its digest: {}", list(digests))]
    Several { digests: Vec<Digest> },
    #[error("there are several images to choose from; name one of {}", list(names))]
    SeveralNames { names: Vec<String> },
    #[error("{place} has no image `{name}`; it has {}", list(names))]
    NoName { place: String, name: String, names: Vec<String> },
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

    /// What a registry's answer asks of a person.
    pub fn help(&self) -> Option<String> {
        match self {
            ImageError::Registry(diagnostic) => miette::Diagnostic::help(diagnostic).map(|help| help.to_string()),
            _ => None,
        }
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> ImageError {
        move |source| ImageError::Io { path: path.to_owned(), source }
    }

    pub(super) fn document(digest: Digest) -> impl FnOnce(DocumentError) -> ImageError {
        move |problem| ImageError::Document { digest, problem }
    }
}

fn list(items: &[impl ToString]) -> String {
    match items {
        [] => "none at all".to_owned(),
        items => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
