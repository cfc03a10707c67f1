//! The format of `docker save`.

use std::collections::BTreeSet;
use std::io::{BufReader, Seek, Write};
use std::path::Path;

use serde::Serialize;

use crate::archive::read::{Limits, decompress};
use crate::digest::{DiffId, HashingReader};
use crate::image::Image;
use crate::oci::canonical_json;
use crate::store::Store;

use super::output::OutputFile;
use super::tar_file::TarFile;
use super::{SinkError, copy_error, names, open};

/// One image in `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes an image to `file` as `docker save` does: `manifest.json`, the config, and the layers uncompressed, each named
/// after its diff ID. `names` get the tag `latest` where they have none.
///
/// # Errors
/// A name is not one of an image; a blob is missing or damaged; the file cannot be written.
pub fn docker_archive(store: &Store, image: &Image, names: &[String], file: &Path) -> Result<(), SinkError> {
    let mut output = OutputFile::create(file)?;
    write_docker_archive(store, &[(image.clone(), names.to_vec())], output.writer(), file)?;
    output.finish()
}

/// Writes several images with their names to `out`, as [`docker_archive`] does one; messages call it `path`. A layer that
/// several share is written once.
///
/// # Errors
/// As [`docker_archive`].
pub fn write_docker_archive(
    store: &Store,
    images: &[(Image, Vec<String>)],
    out: &mut (impl Write + Seek),
    path: &Path,
) -> Result<(), SinkError> {
    let layer_name = |diff_id: &DiffId| format!("{}.tar", diff_id.0.hex());
    let config_name = |image: &Image| format!("{}.json", image.id().hex());
    let mut items = Vec::new();
    for (image, names) in images {
        let layers = image.layers().iter().map(|layer| layer_name(&layer.diff_id)).collect();
        items.push(Item { config: config_name(image), repo_tags: names::repository_tags(names)?, layers });
    }
    let mut tar = TarFile::new(out);
    tar.file("manifest.json", &canonical_json(&items)).map_err(SinkError::write(path))?;
    let mut configs = BTreeSet::new();
    for (image, _) in images.iter().filter(|(image, _)| configs.insert(image.id())) {
        tar.file(&config_name(image), image.config_bytes()).map_err(SinkError::write(path))?;
    }
    let mut written = BTreeSet::new();
    for layer in images.iter().flat_map(|(image, _)| image.layers()) {
        // The same layer may be in an image twice.
        if !written.insert(layer.diff_id) {
            continue;
        }
        let digest = layer.descriptor.digest;
        let blob = open(store, &digest, layer.descriptor.size)?;
        let stream = decompress(BufReader::new(blob), &Limits::default());
        let mut stream = HashingReader::new(stream.map_err(|source| SinkError::Unpack { digest, source })?);
        tar.stream_of_unknown_size(&layer_name(&layer.diff_id), &mut stream)
            .map_err(|error| copy_error(error, path, digest))?;
        let found = DiffId(stream.finish().0);
        if found != layer.diff_id {
            return Err(SinkError::DiffId { digest, expected: layer.diff_id, found });
        }
    }
    tar.finish().map_err(SinkError::write(path))
}
