//! Strict reading of manifests, indexes and configs: bytes that others wrote, taken apart before anything trusts them.
//!
//! What two readers could take for different things is refused rather than guessed at: a document that is both a
//! manifest and an index (CVE-2021-41190), one whose own `mediaType` is not that of the descriptor which led to it,
//! sizes that are not exact.

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::digest::Digest;
use crate::format::MediaTypes;
use crate::oci::{Descriptor, ImageConfig, Index, Manifest, MediaType};
use crate::platform::Platform;

use super::Layer;

/// The largest manifest or index in bytes: what registries accept (distribution-spec, "Pushing Manifests").
pub const MAX_MANIFEST: u64 = 4 << 20;

/// The largest config in bytes, the same as containers/image has.
pub const MAX_CONFIG: u64 = 16 << 20;

/// How many indexes may stand above an image.
pub const MAX_DEPTH: usize = 4;

/// How many layers an image may have: as many as Linux's overlayfs puts on top of each other (`OVL_MAX_STACK`). A
/// manifest of 4 MiB can list 25,000, all of them the same small blob.
pub const MAX_LAYERS: usize = 500;

/// Why a manifest, index or config is refused.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("not valid: {}", short(.0))]
    Json(#[from] serde_json::Error),
    #[error("larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("has both `layers` and `manifests`, so tools would disagree on what it is")]
    TwoKinds,
    #[error("neither an image manifest nor an index")]
    NoKind,
    #[error("`schemaVersion` is {found} instead of 2")]
    SchemaVersion { found: u32 },
    #[error("`mediaType` should be `{}` but is `{}`", short(.expected), short(.found))]
    MediaType { expected: MediaType, found: MediaType },
    #[error("not a container image: its config has the media type `{}`", short(.found))]
    NotAnImage { found: MediaType },
    #[error("has {found} bytes where its descriptor says {expected}")]
    Size { expected: u64, found: u64 },
    #[error("has the digest {found} where its descriptor says {expected}")]
    Digest { expected: Digest, found: Digest },
    #[error("{layers} layers but {diff_ids} diff IDs")]
    LayerCount { layers: usize, diff_ids: usize },
    #[error("{found} layers, of which at most {MAX_LAYERS} can be put on top of each other")]
    TooManyLayers { found: usize },
    #[error("`rootfs.type` is `{}` instead of `layers`", short(.found))]
    RootFs { found: String },
    #[error("layer {digest} is to be downloaded from `{}`; such foreign layers are not supported", short(.url))]
    ForeignLayer { digest: Digest, url: String },
    #[error("the `data` embedded for {digest} is not the blob of that digest and size")]
    EmbeddedData { digest: Digest },
    #[error("`{}` is no part of a platform", short(.found))]
    Platform { found: String },
    #[error("nested in more than {MAX_DEPTH} indexes")]
    TooDeep,
    #[error("leads to more than {limit} manifests and indexes")]
    TooMany { limit: usize },
    #[error("leads to manifests, indexes and configs of more than {limit} bytes")]
    TooManyBytes { limit: u64 },
}

/// Text of others for a message: a document of 4 MiB can be one word.
fn short(text: impl Display) -> String {
    const LONGEST: usize = 200;
    let text = text.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// A manifest or an index, as its content says.
pub enum Document {
    Manifest(Box<Manifest>),
    Index(Index),
}

/// Reads a manifest or an index.
pub fn parse(bytes: &[u8]) -> Result<Document, DocumentError> {
    let shape: Shape = decode(bytes, MAX_MANIFEST)?;
    if shape.schema_version != 2 {
        return Err(DocumentError::SchemaVersion { found: shape.schema_version });
    }
    match (shape.layers.is_some() || shape.config.is_some(), shape.manifests.is_some()) {
        (true, true) => Err(DocumentError::TwoKinds),
        (true, false) => parse_manifest_body(bytes).map(|manifest| Document::Manifest(Box::new(manifest))),
        (false, true) => parse_index_body(bytes).map(Document::Index),
        (false, false) => Err(DocumentError::NoKind),
    }
}

/// Reads a manifest.
pub fn parse_manifest(bytes: &[u8]) -> Result<Manifest, DocumentError> {
    match parse(bytes)? {
        Document::Manifest(manifest) => Ok(*manifest),
        Document::Index(index) => {
            Err(DocumentError::MediaType { expected: MediaType::Manifest(MediaTypes::Oci), found: index_type(&index) })
        }
    }
}

/// Reads an index.
pub fn parse_index(bytes: &[u8]) -> Result<Index, DocumentError> {
    match parse(bytes)? {
        Document::Index(index) => Ok(index),
        Document::Manifest(manifest) => Err(DocumentError::MediaType {
            expected: MediaType::Index(MediaTypes::Oci),
            found: manifest_type(&manifest),
        }),
    }
}

/// The media type of a manifest or an index that came as `stated`, whatever the manifest is of: an image or another
/// artifact. What it says of itself has to agree with that.
pub fn kind(bytes: &[u8], stated: Option<&MediaType>) -> Result<MediaType, DocumentError> {
    let shape: Shape = decode(bytes, MAX_MANIFEST)?;
    if shape.schema_version != 2 {
        return Err(DocumentError::SchemaVersion { found: shape.schema_version });
    }
    let default = match (shape.layers.is_some() || shape.config.is_some(), shape.manifests.is_some()) {
        (true, true) => return Err(DocumentError::TwoKinds),
        (true, false) => MediaType::Manifest(MediaTypes::Oci),
        (false, true) => MediaType::Index(MediaTypes::Oci),
        (false, false) => return Err(DocumentError::NoKind),
    };
    let same_kind = |of: &MediaType| of.in_family(MediaTypes::Oci) == default;
    let own = shape.media_type.as_ref();
    match (own, stated) {
        (Some(own), _) if !same_kind(own) => Err(DocumentError::MediaType { expected: default, found: own.clone() }),
        (Some(own), Some(stated)) if own != stated => {
            Err(DocumentError::MediaType { expected: stated.clone(), found: own.clone() })
        }
        (None, Some(stated)) if !same_kind(stated) => {
            Err(DocumentError::MediaType { expected: stated.clone(), found: default })
        }
        _ => Ok(own.or(stated).cloned().unwrap_or(default)),
    }
}

/// Reads a config.
pub fn parse_config(bytes: &[u8]) -> Result<ImageConfig, DocumentError> {
    let config: ImageConfig = decode(bytes, MAX_CONFIG)?;
    check_platform([Some(&config.os), Some(&config.architecture), config.variant.as_ref()])?;
    match config.rootfs.kind.as_str() {
        "layers" => Ok(config),
        _ => Err(DocumentError::RootFs { found: config.rootfs.kind }),
    }
}

/// Checks that a manifest and a config that were made here are not too large to be read.
pub fn check_sizes(manifest: &[u8], config: &[u8]) -> Result<(), DocumentError> {
    let too_large = [(manifest, MAX_MANIFEST), (config, MAX_CONFIG)];
    let mut too_large = too_large.into_iter().filter(|(bytes, limit)| bytes.len() as u64 > *limit);
    too_large.next().map_or(Ok(()), |(_, limit)| Err(DocumentError::TooLarge { limit }))
}

/// The media type of a manifest: its own, else the one that its config belongs to.
pub fn manifest_type(manifest: &Manifest) -> MediaType {
    manifest.media_type.clone().unwrap_or(match manifest.config.media_type {
        MediaType::Config(family) => MediaType::Manifest(family),
        _ => MediaType::Manifest(MediaTypes::Oci),
    })
}

/// The media type of an index: its own, else OCI's, as Docker's always have one.
pub fn index_type(index: &Index) -> MediaType {
    index.media_type.clone().unwrap_or(MediaType::Index(MediaTypes::Oci))
}

/// Checks that `bytes` are the blob that `descriptor` names.
pub fn check_bytes(descriptor: &Descriptor, bytes: &[u8]) -> Result<(), DocumentError> {
    check_content(descriptor, bytes.len() as u64, Digest::of(bytes))
}

/// Checks that a blob of this size and digest is the one that `descriptor` names.
pub fn check_content(descriptor: &Descriptor, size: u64, digest: Digest) -> Result<(), DocumentError> {
    if size != descriptor.size {
        return Err(DocumentError::Size { expected: descriptor.size, found: size });
    }
    if digest != descriptor.digest {
        return Err(DocumentError::Digest { expected: descriptor.digest, found: digest });
    }
    Ok(())
}

/// Checks that `document`, to which `descriptor` led, is of the type that the descriptor gives it. A document that
/// does not say its own type need only be of the same kind.
pub fn check_type(descriptor: &Descriptor, document: &Document) -> Result<(), DocumentError> {
    let expected = &descriptor.media_type;
    let (found, agrees) = match document {
        Document::Manifest(manifest) => match &manifest.media_type {
            Some(own) => (own.clone(), own == expected),
            None => (manifest_type(manifest), matches!(expected, MediaType::Manifest(_))),
        },
        Document::Index(index) => match &index.media_type {
            Some(own) => (own.clone(), own == expected),
            None => (index_type(index), matches!(expected, MediaType::Index(_))),
        },
    };
    if agrees { Ok(()) } else { Err(DocumentError::MediaType { expected: expected.clone(), found }) }
}

/// The layers of an image, each with its diff ID.
pub fn pair_layers(manifest: &Manifest, config: &ImageConfig) -> Result<Vec<Layer>, DocumentError> {
    let diff_ids = &config.rootfs.diff_ids;
    if manifest.layers.len() != diff_ids.len() {
        return Err(DocumentError::LayerCount { layers: manifest.layers.len(), diff_ids: diff_ids.len() });
    }
    if diff_ids.len() > MAX_LAYERS {
        return Err(DocumentError::TooManyLayers { found: diff_ids.len() });
    }
    let pair = |(descriptor, &diff_id): (&Descriptor, _)| Layer { descriptor: descriptor.clone(), diff_id };
    Ok(manifest.layers.iter().zip(diff_ids).map(pair).collect())
}

/// The fields that tell what a document is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
    media_type: Option<MediaType>,
}

fn decode<T: DeserializeOwned>(bytes: &[u8], limit: u64) -> Result<T, DocumentError> {
    if bytes.len() as u64 > limit {
        return Err(DocumentError::TooLarge { limit });
    }
    Ok(serde_json::from_slice(bytes)?)
}

fn parse_manifest_body(bytes: &[u8]) -> Result<Manifest, DocumentError> {
    let manifest: Manifest = serde_json::from_slice(bytes)?;
    if let Some(found) = &manifest.media_type
        && !matches!(found, MediaType::Manifest(_))
    {
        let expected = MediaType::Manifest(MediaTypes::Oci);
        return Err(DocumentError::MediaType { expected, found: found.clone() });
    }
    if !matches!(manifest.config.media_type, MediaType::Config(_)) {
        return Err(DocumentError::NotAnImage { found: manifest.config.media_type });
    }
    std::iter::once(&manifest.config).chain(&manifest.layers).try_for_each(check_descriptor)?;
    Ok(manifest)
}

fn parse_index_body(bytes: &[u8]) -> Result<Index, DocumentError> {
    let index: Index = serde_json::from_slice(bytes)?;
    if let Some(found) = &index.media_type
        && !matches!(found, MediaType::Index(_))
    {
        let expected = MediaType::Index(MediaTypes::Oci);
        return Err(DocumentError::MediaType { expected, found: found.clone() });
    }
    index.manifests.iter().try_for_each(check_descriptor)?;
    Ok(index)
}

fn check_descriptor(descriptor: &Descriptor) -> Result<(), DocumentError> {
    let digest = descriptor.digest;
    if let Some(url) = descriptor.urls.first() {
        return Err(DocumentError::ForeignLayer { digest, url: url.clone() });
    }
    if let Some(platform) = &descriptor.platform {
        check_platform([Some(&platform.os), Some(&platform.architecture), platform.variant.as_ref()])?;
    }
    let Some(data) = &descriptor.data else { return Ok(()) };
    let blob = STANDARD.decode(data);
    match blob.is_ok_and(|blob| check_bytes(descriptor, &blob).is_ok()) {
        true => Ok(()),
        false => Err(DocumentError::EmbeddedData { digest }),
    }
}

/// Checks the fields of a platform: it is shown to people, and written into locks. Some tools leave a field empty.
fn check_platform(fields: [Option<&String>; 3]) -> Result<(), DocumentError> {
    let mut wrong = fields.into_iter().flatten().filter(|field| !field.is_empty() && !Platform::is_word(field));
    wrong.next().map_or(Ok(()), |found| Err(DocumentError::Platform { found: found.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_strictly() {
        for (text, bytes) in [("", ""), ("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc"), ("YWJjZA==", "abcd")] {
            assert_eq!(STANDARD.decode(text).unwrap(), bytes.as_bytes(), "{text}");
        }
        for text in ["Y", "YQ", "YQ=", "YQ===", "Y===", "YW\n=", "YW-_"] {
            assert!(STANDARD.decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_document_is_of_one_kind() {
        let manifest = r#"{"schemaVersion": 2, "config": {}, "layers": []}"#;
        let docker = "application/vnd.docker.distribution.manifest.v2+json";
        let index = MediaType::Index(MediaTypes::Oci);
        let stated = MediaType::from(docker);
        assert_eq!(kind(manifest.as_bytes(), None).unwrap(), MediaType::Manifest(MediaTypes::Oci));
        assert_eq!(kind(manifest.as_bytes(), Some(&stated)).unwrap(), stated);
        assert!(matches!(kind(manifest.as_bytes(), Some(&index)), Err(DocumentError::MediaType { .. })));
        let typed = manifest.replace("2,", &format!("2, \"mediaType\": \"{docker}\","));
        assert_eq!(kind(typed.as_bytes(), None).unwrap(), stated);
        let oci = MediaType::Manifest(MediaTypes::Oci);
        assert!(matches!(kind(typed.as_bytes(), Some(&oci)), Err(DocumentError::MediaType { .. })));
        let two = manifest.replace("\"config\"", "\"manifests\": [], \"config\"");
        assert!(matches!(kind(two.as_bytes(), None), Err(DocumentError::TwoKinds)));
    }
}
