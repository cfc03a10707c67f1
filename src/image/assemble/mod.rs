//! A new image out of a base, a spec and added layers; a new index out of images.

mod created;
mod fields;
mod history;
mod inherit;

pub(super) use inherit::{merge_env, without_build};

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::format::MediaTypes;
use crate::oci::{BASE_DIGEST, BASE_NAME, Descriptor, History, ImageConfig, Index, Manifest, MediaType, RootFs};
use crate::platform::Platform;
use crate::target::{ImageSpec, IndexSpec, Settings};

use super::{Image, ImageError, ImageIndex, ImageOrIndex, Layer};

/// Makes the image that `spec` describes: `added` on top of the layers of `base`, or alone where there is none.
///
/// Each added layer comes with the history entry that says what made it; an entry without a time gets the image's.
/// The spec's own `history` replaces all of these. The layers' blobs need not be read for this: what their
/// descriptors say goes into manifest and config as it is, and [`validate`](super::validate) checks it.
///
/// # Errors
/// [`ImageError::Field`] if a field of the spec has a value that no image can have, and
/// [`ImageError::OtherPlatform`] if the base is for another platform than the spec asks for.
pub fn assemble(
    base: Option<&Image>,
    spec: &ImageSpec,
    added: Vec<(Layer, History)>,
    settings: &Settings,
) -> Result<Image, ImageError> {
    fields::check_tags(&spec.tags)?;
    let family = spec.media_types.unwrap_or(settings.media_types);
    let (layers, entries): (Vec<Layer>, Vec<History>) = added.into_iter().unzip();

    let mut config = match base {
        Some(base) => inherit::from_base(base, spec)?,
        None => blank(spec.platform.as_ref().unwrap_or(&settings.platform)),
    };
    let created = created::created(spec, settings)?;
    inherit::apply(spec, &mut config)?;
    config.history = history::history(base, spec, entries, &created)?;
    config.created = Some(created);
    config.rootfs.diff_ids.extend(layers.iter().map(|layer| layer.diff_id));

    let below = base.map_or(&[][..], Image::layers).iter();
    let layers = below.chain(&layers).map(|layer| relabelled(&layer.descriptor, family)).collect();
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::Manifest(family)),
        // Digest and size are filled in with the config's bytes.
        config: Descriptor::new(MediaType::Config(family), Digest::of(b""), 0),
        layers,
        annotations: annotations(base_annotations(base, spec), &spec.annotations, family)?,
    };
    Image::from_parts(manifest, config).map_err(ImageError::Assembled)
}

/// Makes the index that lists `images` in the given order, each with its platform.
///
/// # Errors
/// [`ImageError::DuplicatePlatform`] if two images are for the same platform and the same version of the operating
/// system; [`ImageError::Field`] as with [`assemble`].
pub fn assemble_index(images: &[Image], spec: &IndexSpec, settings: &Settings) -> Result<ImageIndex, ImageError> {
    fields::check_tags(&spec.tags)?;
    let family = spec.media_types.unwrap_or(settings.media_types);
    if images.is_empty() {
        return fields::problem("images", "is empty; an index lists at least one image");
    }
    let mut seen = BTreeSet::new();
    for image in images {
        if !seen.insert((image.platform(), &image.config().os_version)) {
            return Err(ImageError::DuplicatePlatform { platform: image.platform() });
        }
    }
    let index = Index {
        schema_version: 2,
        media_type: Some(MediaType::Index(family)),
        manifests: images.iter().map(Image::descriptor).collect(),
        annotations: annotations(BTreeMap::new(), &spec.annotations, family)?,
    };
    let entries = images.iter().cloned().map(ImageOrIndex::Image).collect();
    ImageIndex::from_parts(index, entries).map_err(ImageError::Assembled)
}

/// The config of an image that stands on nothing.
fn blank(platform: &Platform) -> ImageConfig {
    ImageConfig {
        created: None,
        author: None,
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        os_version: None,
        variant: platform.variant.clone(),
        config: Default::default(),
        rootfs: RootFs { kind: "layers".into(), diff_ids: Vec::new() },
        history: Vec::new(),
        other: Default::default(),
    }
}

/// A layer's descriptor as a manifest of `family` lists it. What other tools noted about the blob goes: it was said of
/// another manifest.
pub(super) fn relabelled(layer: &Descriptor, family: MediaTypes) -> Descriptor {
    Descriptor {
        annotations: layer.annotations.clone(),
        ..Descriptor::new(layer.media_type.in_family(family), layer.digest, layer.size)
    }
}

/// What the base says of itself, and which it is, if it is one of a registry (image-spec, "Pre-Defined Annotation Keys").
fn base_annotations(base: Option<&Image>, spec: &ImageSpec) -> BTreeMap<String, String> {
    let mut annotations = base.map(|base| base.manifest().annotations.clone()).unwrap_or_default();
    if let (Some(base), Some(name)) = (base, spec.base_name()) {
        annotations.insert(BASE_DIGEST.to_owned(), base.digest().to_string());
        annotations.insert(BASE_NAME.to_owned(), name);
    }
    annotations
}

/// The manifest's annotations: the base's with the spec's on top, key by key. Docker's manifests have no place for
/// any.
fn annotations(
    mut all: BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
    family: MediaTypes,
) -> Result<BTreeMap<String, String>, ImageError> {
    if family == MediaTypes::Docker {
        return match own.is_empty() {
            true => Ok(BTreeMap::new()),
            false => Err(ImageError::Field {
                field: "annotations",
                problem: "Docker's manifests have no annotations; set `media_types = \"oci\"` or use `labels`".into(),
            }),
        };
    }
    fields::check_keys("annotations", own)?;
    all.extend(own.clone());
    Ok(all)
}
