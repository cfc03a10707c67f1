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

/// What a docker archive is called in messages.
const WHAT: &str = "an archive of `docker save`";

/// One image in `manifest.json`. Older archives have a layer as `ID/layer.tar`, newer ones as `blobs/sha256/HEX`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Imports the image whose config has the digest `image_id`, else the only one, else the only one for `platform`.
pub fn import(file: &Path, image_id: Option<&Digest>, platform: &Platform, store: &Store) -> Result<Image, ImageError> {
    let files = ArchiveFiles::open(file, store)?;
    let items = items(&files)?;
    let images = by_id(&files, &items)?;
    let chosen = match image_id {
        Some(id) => *id,
        None => select::choose(&candidates(&files, &images)?, platform)?,
    };
    let missing = || ImageError::Missing { place: file.display().to_string(), digest: chosen };
    let (item, config) = images.get(&chosen).ok_or_else(missing)?;
    import_item(&files, item, config, store)
}

/// The images of the archive, each with its `RepoTags`.
pub fn named(items: &[Item]) -> impl Iterator<Item = (&Item, &[String])> {
    items.iter().map(|item| (item, item.repo_tags.as_deref().unwrap_or_default()))
}

/// What `manifest.json` lists.
pub fn items(files: &ArchiveFiles) -> Result<Vec<Item>, ImageError> {
    let list = files.read_named("manifest.json", MAX_MANIFEST)?;
    let list = list.ok_or_else(|| not_one(files, "it has no `manifest.json`".into()))?;
    serde_json::from_slice(&list).map_err(|error| not_one(files, format!("`manifest.json`: {error}")))
}

/// The config of an image, as a file of the archive.
pub fn config_of<'a>(files: &'a ArchiveFiles, item: &Item) -> Result<&'a Content, ImageError> {
    files.get(&item.config).ok_or_else(|| not_one(files, format!("it has no file `{}`", item.config)))
}

/// Imports one image.
pub fn import_item(files: &ArchiveFiles, item: &Item, config: &Content, store: &Store) -> Result<Image, ImageError> {
    let chosen = config.digest;
    let config = read_config(files, item, config)?;
    let diff_ids = document::parse_config(&config).map_err(ImageError::document(chosen))?.rootfs.diff_ids;
    // Before any is read, and perhaps the same one thousands of times.
    let found = item.layers.iter().flatten().count();
    if found > MAX_LAYERS {
        return Err(ImageError::Document { digest: chosen, problem: DocumentError::TooManyLayers { found } });
    }
    let mut layers = Vec::new();
    for (at, name) in item.layers.iter().flatten().enumerate() {
        let content = files.get(name).ok_or_else(|| not_one(files, format!("it has no file `{name}`")))?;
        let media_type = media_type(files, content)?;
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

/// The error that the archive is not one of this kind.
pub fn not_one(files: &ArchiveFiles, problem: String) -> ImageError {
    ImageError::NotA { path: files.path().to_owned(), what: WHAT, problem }
}

/// An image that has several names may be listed for each.
fn by_id<'a>(
    files: &'a ArchiveFiles,
    items: &'a [Item],
) -> Result<BTreeMap<Digest, (&'a Item, &'a Content)>, ImageError> {
    let mut images = BTreeMap::new();
    for item in items {
        let config = config_of(files, item)?;
        images.entry(config.digest).or_insert((item, config));
    }
    Ok(images)
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
fn media_type(files: &ArchiveFiles, content: &Content) -> Result<MediaType, ImageError> {
    let mut start = Vec::new();
    content.read_range(0, content.size.min(512) as usize, &mut start).map_err(ImageError::io(files.path()))?;
    let found = decompress(Cursor::new(start), &Limits::default());
    let found = found.map_err(|source| ImageError::Archive { path: files.path().to_owned(), source })?.format();
    let compression = match found {
        Format::Plain => Compression::None,
        Format::Gzip => Compression::Gzip,
        Format::Zstd => Compression::Zstd,
        Format::Xz | Format::Bzip2 => {
            let digest = content.digest;
            let problem = format!("layer {digest} is compressed with {found}, for which there is no media type");
            return Err(not_one(files, problem));
        }
    };
    Ok(MediaType::layer(MediaTypes::Oci, compression))
}
