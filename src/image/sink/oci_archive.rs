//! An OCI image layout as one tar file.

use std::path::Path;

use crate::format::MediaTypes;
use crate::image::ImageOrIndex;
use crate::oci::{Index, MediaType, canonical_json};
use crate::store::Store;

use super::output::OutputFile;
use super::tar_file::TarFile;
use super::{SinkError, blobs, copy_error, layout, listed, open};

/// Writes an image or index to `file` as a tar of an OCI image layout, listed under `names` or under none.
///
/// # Errors
/// A blob is missing or damaged; the file cannot be written.
pub fn oci_archive(store: &Store, what: &ImageOrIndex, names: &[String], file: &Path) -> Result<(), SinkError> {
    let mut output = OutputFile::create(file)?;
    let mut tar = TarFile::new(output.writer());
    tar.file("oci-layout", layout::VERSION_FILE).map_err(SinkError::write(file))?;
    let index = Index {
        schema_version: 2,
        media_type: Some(MediaType::Index(MediaTypes::Oci)),
        manifests: listed(what, names),
        annotations: Default::default(),
    };
    tar.file("index.json", &canonical_json(&index)).map_err(SinkError::write(file))?;
    tar.directory("blobs/").map_err(SinkError::write(file))?;
    tar.directory("blobs/sha256/").map_err(SinkError::write(file))?;
    for (digest, size) in blobs(what) {
        let blob = open(store, &digest, size)?;
        let name = format!("blobs/sha256/{}", digest.hex());
        tar.stream(&name, size, blob).map_err(|error| copy_error(error, file, digest))?;
    }
    tar.finish().map_err(SinkError::write(file))?;
    output.finish()
}
