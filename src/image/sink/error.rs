//! Why an image was not written.

use std::io;
use std::path::{Path, PathBuf};

use crate::archive::read::ReadError;
use crate::archive::write::EncodeError;
use crate::digest::{DiffId, Digest};
use crate::image::ImageError;
use crate::oci::ReferenceError;
use crate::store::StoreError;
use crate::tree::{ExtractError, TreeError};

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} is there already and is {found}", path.display())]
    InTheWay { path: PathBuf, found: &'static str },
    #[error("{} is not an OCI image layout that can be added to: {problem}", path.display())]
    NotALayout { path: PathBuf, problem: String },
    #[error(transparent)]
    Name(#[from] ReferenceError),
    #[error("`{name}` has a digest, which cannot be a name in an archive")]
    NameWithDigest { name: String },
    #[error("blob {digest} is not in the store")]
    Missing { digest: Digest },
    #[error("blob {digest} has {found} bytes, but its descriptor says {expected}")]
    Size { digest: Digest, expected: u64, found: u64 },
    #[error("layer {digest} cannot be unpacked")]
    Unpack { digest: Digest, source: ReadError },
    #[error("layer {digest} holds the tar stream {found}, but the image's config says {expected}")]
    DiffId { digest: Digest, expected: DiffId, found: DiffId },
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Extract(#[from] ExtractError),
}

impl SinkError {
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> SinkError {
        move |source| SinkError::Write { path: path.to_owned(), source }
    }
}
