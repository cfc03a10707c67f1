//! Images written out of the store, for other tools.
//!
//! The bytes depend on the image and its names alone. What is written has a temporary name beside its final one until it
//! is whole and on the disk, so a failure leaves nothing behind and what was there before stays.

mod docker_archive;
mod error;
mod layout;
mod names;
mod oci_archive;
mod output;
mod rootfs;
mod tar_file;

pub use docker_archive::{docker_archive, write_docker_archive};
pub use error::SinkError;
pub use layout::oci_layout;
pub use oci_archive::{oci_archive, write_oci_archive};
pub use output::OutputFile;
pub use rootfs::{directory, tar, write_tar};

use std::io;
use std::path::Path;

use crate::archive::read::ReadError;
use crate::digest::Digest;
use crate::oci::{Descriptor, MediaType, REF_NAME};
use crate::store::{BlobReader, Store, StoreError};

use super::{ImageOrIndex, blobs};

/// The entries of a layout's `index.json`: one for each name, or one without a name.
fn listed(what: &ImageOrIndex, names: &[String]) -> Vec<Descriptor> {
    let named = |name: &String| {
        let mut descriptor = what.descriptor();
        descriptor.annotations.insert(REF_NAME.to_owned(), name.clone());
        descriptor
    };
    match names {
        [] => vec![what.descriptor()],
        names => names.iter().map(named).collect(),
    }
}

/// Opens a blob that the image has, which is brought if the store lacks it.
fn open(store: &Store, digest: &Digest, size: u64) -> Result<BlobReader, SinkError> {
    store.bring(&Descriptor::new(MediaType::Other(String::new()), *digest, size))?;
    match store.open_blob(digest)? {
        Some(blob) if blob.size() == size => Ok(blob),
        Some(blob) => Err(SinkError::Size { digest: *digest, expected: size, found: blob.size() }),
        None => Err(SinkError::Missing { digest: *digest }),
    }
}

/// What went wrong with copying a blob, unpacked or not, to the file at `path`: the store, the blob, or the file.
fn copy_error(error: io::Error, path: &Path, digest: Digest) -> SinkError {
    let error = match ReadError::from_io(error) {
        ReadError::Io(error) => error,
        source => return SinkError::Unpack { digest, source },
    };
    match error.downcast::<StoreError>() {
        Ok(error) => SinkError::Store(error),
        Err(error) => SinkError::write(path)(error),
    }
}
