//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::{DiffId, Digest};
use crate::path::ImagePath;

/// Why the store could not do what it was asked. Paths begin as the store's root was given.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },

    #[error("cannot {action} {}: the store is read-only for this user; make it writable, or set OCIFY_STORE to another directory", path.display())]
    ReadOnly { action: &'static str, path: PathBuf, source: io::Error },

    #[error(
        "{} is neither empty nor an ocify store, so it is left as it is; set OCIFY_STORE to a new directory",
        root.display()
    )]
    NotAStore { root: PathBuf },

    #[error(
        "the store {} has image layout version `{version}`, and this ocify reads `{}` only; use the ocify that made it, \
         or set OCIFY_STORE to a new directory",
        root.display(), super::layout::VERSION
    )]
    Version { root: PathBuf, version: String },

    #[error("{} is damaged: it is not an OCI image layout's version file; restore it from a copy, or remove the store", path.display())]
    DamagedLayout { path: PathBuf, source: serde_json::Error },

    #[error(
        "{} is damaged: {reason}; restore it from a copy, or remove it: blobs are kept, and each build sets its \
         references again",
        path.display()
    )]
    DamagedIndex { path: PathBuf, reason: String },

    #[error("blob {digest} in the store is damaged: its bytes have the digest {found}; {}", what_became_of(moved))]
    DamagedBlob {
        digest: Digest,
        found: Digest,
        /// Where it was moved; `None` if it could not be moved.
        moved: Option<PathBuf>,
    },

    #[error("blob {digest} is not in the store and cannot be brought there")]
    NotBrought { digest: Digest, source: Box<dyn std::error::Error + Send + Sync> },

    #[error("blob {digest} has {found} bytes, but its descriptor says {expected}")]
    OtherSize { digest: Digest, expected: u64, found: u64 },

    #[error("blob {digest} has {size} bytes, more than the {limit} that are read at once")]
    TooLarge { digest: Digest, size: u64, limit: u64 },

    #[error("expected {expected}, but what was written is {found}; nothing was stored")]
    WrongDigest { expected: Digest, found: Digest },

    #[error("expected {expected} bytes of {digest}, but {found} were written; nothing was stored")]
    WrongSize { digest: Digest, expected: u64, found: u64 },

    #[error("reference `{name}` cannot be set: the store has no blob {digest} of {size} bytes")]
    DanglingReference { name: String, digest: Digest, size: u64 },

    #[error(
        "nothing more is removed: `{reference}` needs {digest}, which {reason}, so what else it needs is not known; \
         build or copy `{reference}` again, or remove it with `ocify rmi`"
    )]
    UnreadableReference { reference: String, digest: Digest, reason: String },

    #[error("the index of layer {diff_id} cannot be stored: the content of {path} is not in that layer")]
    NotInLayer { diff_id: DiffId, path: ImagePath },
}

impl StoreError {
    /// Wraps a failure to read.
    pub(super) fn read(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::Io { action, path: path.to_owned(), source }
    }

    /// Wraps a failure to write, telling apart a store that nobody may write.
    pub(super) fn write(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        move |source| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    StoreError::ReadOnly { action, path, source }
                }
                _ => StoreError::Io { action, path, source },
            }
        }
    }
}

fn what_became_of(moved: &Option<PathBuf>) -> String {
    match moved {
        Some(path) => format!("it was moved to {}; run the same command again to get it anew", path.display()),
        None => "it could not be moved away; remove it, then run the same command again".to_owned(),
    }
}
