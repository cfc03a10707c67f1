//! An OCI image layout as one tar file.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::Path;

use crate::digest::Digest;
use crate::format::MediaTypes;
use crate::image::{ImageOrIndex, Listed};
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
    let listed = Listed { what: what.clone(), names: names.to_vec() };
    write_oci_archive(store, &[listed], output.writer(), file)?;
    output.finish()
}

/// Writes several images or indexes to `out`, as [`oci_archive`] does one; messages call it `path`.
///
/// # Errors
/// As [`oci_archive`].
pub fn write_oci_archive(
    store: &Store,
    all: &[Listed],
    out: &mut (impl Write + Seek),
    path: &Path,
) -> Result<(), SinkError> {
    let mut tar = TarFile::new(out);
    tar.file("oci-layout", layout::VERSION_FILE).map_err(SinkError::write(path))?;
    let index = Index {
        schema_version: 2,
        media_type: Some(MediaType::Index(MediaTypes::Oci)),
        manifests: all.iter().flat_map(|Listed { what, names }| listed(what, names)).collect(),
        annotations: Default::default(),
    };
    tar.file("index.json", &canonical_json(&index)).map_err(SinkError::write(path))?;
    tar.directory("blobs/").map_err(SinkError::write(path))?;
    tar.directory("blobs/sha256/").map_err(SinkError::write(path))?;
    let all: BTreeMap<Digest, u64> = all.iter().flat_map(|Listed { what, .. }| blobs(what)).collect();
    for (digest, size) in all {
        let blob = open(store, &digest, size)?;
        let name = format!("blobs/sha256/{}", digest.hex());
        tar.stream(&name, size, blob).map_err(|error| copy_error(error, path, digest))?;
    }
    tar.finish().map_err(SinkError::write(path))
}
