//! Archives of `docker save` and `podman save`.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use serde::Deserialize;

use crate::archive::read::{Format, Limits, decompress};
use crate::digest::Digest;
use crate::entry::Content;
use crate::format::{Compression, MediaTypes};
use crate::image::contents::layer_entries;
use crate::image::document::{self, DocumentError, MAX_CONFIG, MAX_LAYERS, MAX_MANIFEST};
use crate::image::{Image, ImageError, Layer};
use crate::oci::{Descriptor, Manifest, MediaType, canonical_json};
use crate::platform::Platform;
use crate::store::Store;

use super::archive::ArchiveFiles;
use super::select::{self, Candidate};

/// One image in `manifest.json`. Older archives have a layer as `ID/layer.tar`, newer ones as `blobs/sha256/HEX`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    layers: Option<Vec<String>>,
}

pub fn import(file: &Path, image_id: Option<&Digest>, platform: &Platform, store: &Store) -> Result<Image, ImageError> {
    let files = ArchiveFiles::read(file, store)?;
    let not_one =
        |problem: String| ImageError::NotA { path: file.to_owned(), what: "an archive of `docker save`", problem };
    let list = files.read_named("manifest.json", MAX_MANIFEST)?;
    let list = list.ok_or_else(|| not_one("it has no `manifest.json`".into()))?;
    let items: Vec<Item> =
        serde_json::from_slice(&list).map_err(|error| not_one(format!("`manifest.json`: {error}")))?;

    // An image that has several names may be listed for each.
    let mut images: BTreeMap<Digest, (&Item, &Content)> = BTreeMap::new();
    for item in &items {
        let config = files.get(&item.config).ok_or_else(|| not_one(format!("it has no file `{}`", item.config)))?;
        images.entry(config.digest).or_insert((item, config));
    }
    let chosen = match image_id {
        Some(id) => *id,
        None => select::choose(&candidates(&files, &images)?, platform)?,
    };
    let missing = || ImageError::Missing { place: file.display().to_string(), digest: chosen };
    let (item, config) = images.get(&chosen).ok_or_else(missing)?;
    let config = read_config(&files, item, config)?;

    let diff_ids = document::parse_config(&config).map_err(ImageError::document(chosen))?.rootfs.diff_ids;
    // Before any is read, and perhaps the same one thousands of times.
    let found = item.layers.iter().flatten().count();
    if found > MAX_LAYERS {
        return Err(ImageError::Document { digest: chosen, problem: DocumentError::TooManyLayers { found } });
    }
    let mut layers = Vec::new();
    for (at, name) in item.layers.iter().flatten().enumerate() {
        let content = files.get(name).ok_or_else(|| not_one(format!("it has no file `{name}`")))?;
        let media_type = media_type(file, content)?;
        files.store_content(content, store)?;
        let descriptor = Descriptor::new(media_type, content.digest, content.size);
        // Where there are more layers than diff IDs, `Image::from_bytes` below says so.
        if let Some(&diff_id) = diff_ids.get(at) {
            layer_entries(store, &Layer { descriptor: descriptor.clone(), diff_id })?;
        }
        layers.push(descriptor);
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::Manifest(MediaTypes::Oci)),
        config: Descriptor::of(MediaType::Config(MediaTypes::Oci), &config),
        layers,
        annotations: BTreeMap::new(),
    };
    let image = Image::from_bytes(canonical_json(&manifest), config).map_err(ImageError::document(chosen))?;
    image.save(store)?;
    Ok(image)
}

fn candidates(
    files: &ArchiveFiles,
    images: &BTreeMap<Digest, (&Item, &Content)>,
) -> Result<Vec<Candidate>, ImageError> {
    let candidate = |(&digest, (item, config)): (&Digest, &(&Item, &Content))| {
        let config = document::parse_config(&read_config(files, item, config)?);
        Ok(Candidate { digest, platform: config.map_err(ImageError::document(digest))?.platform() })
    };
    images.iter().map(candidate).collect()
}

fn read_config(files: &ArchiveFiles, item: &Item, config: &Content) -> Result<Vec<u8>, ImageError> {
    let missing = || ImageError::Missing { place: item.config.clone(), digest: config.digest };
    files.read_named(&item.config, MAX_CONFIG)?.ok_or_else(missing)
}

/// The type of a layer by its first bytes: these archives do not say how a layer is compressed.
fn media_type(file: &Path, content: &Content) -> Result<MediaType, ImageError> {
    let mut start = Vec::new();
    content.read_range(0, content.size.min(512) as usize, &mut start).map_err(ImageError::io(file))?;
    let found = decompress(Cursor::new(start), &Limits::default());
    let found = found.map_err(|source| ImageError::Archive { path: file.to_owned(), source })?.format();
    let compression = match found {
        Format::Plain => Compression::None,
        Format::Gzip => Compression::Gzip,
        Format::Zstd => Compression::Zstd,
        Format::Xz | Format::Bzip2 => {
            return Err(ImageError::NotA {
                path: file.to_owned(),
                what: "an archive of `docker save`",
                problem: format!(
                    "layer {} is compressed with {found}, for which there is no media type",
                    content.digest
                ),
            });
        }
    };
    Ok(MediaType::layer(MediaTypes::Oci, compression))
}
