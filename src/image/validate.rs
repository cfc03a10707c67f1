//! Recomputes everything that an image claims, and reports all that is wrong at once.

use std::cell::RefCell;
use std::io::{self, BufReader, Read};

use oci_spec::image::{ImageConfiguration, ImageManifest};
use rayon::prelude::*;

use crate::archive::read::{Format, Limits, ReadError, decompress};
use crate::digest::{DiffId, Digest, HashingReader};
use crate::format::Compression;
use crate::oci::{Descriptor, ImageConfig, Manifest, MediaType};
use crate::store::{Store, StoreError};

use super::Image;
use super::document::{self, Document, DocumentError, MAX_CONFIG, MAX_DEPTH, MAX_MANIFEST};
use super::load::MAX_DOCUMENTS;

/// One thing that is wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("blob {digest} is not in the store")]
    Missing { digest: Digest },
    #[error("{source}")]
    Store { digest: Digest, source: StoreError },
    #[error("blob {digest} has {found} bytes, but its descriptor says {expected}")]
    Size { digest: Digest, expected: u64, found: u64 },
    #[error("{digest}: {problem}")]
    Document { digest: Digest, problem: DocumentError },
    #[error("layer {digest} cannot be unpacked: {source}")]
    Unpack { digest: Digest, source: ReadError },
    #[error("layer {digest} holds the tar stream {found}, but the config says {expected}")]
    DiffId { digest: Digest, expected: DiffId, found: DiffId },
    #[error("layer {digest} is {found}, but its media type is `{media_type}`")]
    Compression { digest: Digest, media_type: MediaType, found: Format },
    #[error("layer {digest} has the media type `{media_type}`, which is of no layer")]
    LayerType { digest: Digest, media_type: MediaType },
    #[error("manifest {digest} has the type `{manifest}`, but its config the type `{config}`")]
    Families { digest: Digest, manifest: MediaType, config: MediaType },
    #[error("config {digest} has {entries} history entries with a layer, but {layers} layers")]
    History { digest: Digest, entries: usize, layers: usize },
    #[error("config {digest} has no `{field}`")]
    NoPlatform { digest: Digest, field: &'static str },
    #[error("the index says that {digest} is for {index}, but its config says {config}")]
    OtherPlatform { digest: Digest, index: String, config: String },
    #[error("{digest}: oci-spec, an independent reader, {complaint}")]
    OtherReader { digest: Digest, complaint: String },
}

/// Checks the image or index `digest` in the store, which may be too damaged to be loaded: every digest, size and diff ID
/// is computed anew from the bytes, and counts, media types and platform are compared. An empty list means that nothing
/// is wrong.
///
/// Every layer is read and unpacked. [`validate_documents`] does the same without that.
pub fn validate(store: &Store, digest: &Digest) -> Vec<Problem> {
    let mut validation = Validation::new(store, Scope::Everything);
    validation.document(digest, None, 0);
    validation.problems
}

/// As [`validate`] of an image that was saved just now, so that its documents need not be read back. Of the layers' blobs
/// only presence and size are checked, or that somebody can bring them: quick enough for every image that is made.
pub fn validate_documents(store: &Store, image: &Image) -> Vec<Problem> {
    let mut validation = Validation::new(store, Scope::Documents);
    let (descriptor, manifest) = (image.descriptor(), image.manifest());
    validation.manifest(descriptor.digest, image.manifest_bytes(), manifest);
    validation.config(manifest, image.config(), image.config_bytes(), Some((descriptor.digest, &descriptor)));
    validation.layers(manifest, &image.config().rootfs.diff_ids);
    validation.problems
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everything,
    Documents,
}

struct Validation<'a> {
    store: &'a Store,
    scope: Scope,
    documents: usize,
    problems: Vec<Problem>,
}

impl<'a> Validation<'a> {
    fn new(store: &'a Store, scope: Scope) -> Self {
        Validation { store, scope, documents: 0, problems: Vec::new() }
    }

    fn document(&mut self, digest: &Digest, descriptor: Option<&Descriptor>, depth: usize) {
        let digest = *digest;
        self.documents += 1;
        if self.documents > MAX_DOCUMENTS {
            let problem = DocumentError::TooMany { limit: MAX_DOCUMENTS };
            return self.problems.push(Problem::Document { digest, problem });
        }
        let Some(bytes) = self.read(&digest, descriptor.map(|descriptor| descriptor.size), MAX_MANIFEST) else {
            return;
        };
        let document = match document::parse(&bytes) {
            Ok(document) => document,
            Err(problem) => return self.problems.push(Problem::Document { digest, problem }),
        };
        if let Some(Err(problem)) = descriptor.map(|descriptor| document::check_type(descriptor, &document)) {
            self.problems.push(Problem::Document { digest, problem });
        }
        match document {
            Document::Manifest(manifest) => self.image(digest, &bytes, &manifest, descriptor),
            Document::Index(_) if depth == MAX_DEPTH => {
                self.problems.push(Problem::Document { digest, problem: DocumentError::TooDeep });
            }
            Document::Index(index) => {
                index.manifests.iter().for_each(|entry| self.document(&entry.digest, Some(entry), depth + 1));
            }
        }
    }

    fn image(&mut self, digest: Digest, bytes: &[u8], manifest: &Manifest, descriptor: Option<&Descriptor>) {
        self.manifest(digest, bytes, manifest);
        let config = self.stored_config(manifest, descriptor.map(|entry| (digest, entry)));
        let diff_ids = config.map(|config| config.rootfs.diff_ids).unwrap_or_default();
        self.layers(manifest, &diff_ids);
    }

    fn manifest(&mut self, digest: Digest, bytes: &[u8], manifest: &Manifest) {
        self.families(digest, manifest);
        if let Err(complaint) = manifest_in_other_reader(bytes, manifest) {
            self.problems.push(Problem::OtherReader { digest, complaint });
        }
    }

    fn layers(&mut self, manifest: &Manifest, diff_ids: &[DiffId]) {
        let layers: Vec<(&Descriptor, Option<DiffId>)> =
            manifest.layers.iter().enumerate().map(|(at, layer)| (layer, diff_ids.get(at).copied())).collect();
        let (store, scope) = (self.store, self.scope);
        // In parallel; collect() keeps the layers' order.
        let found: Vec<Vec<Problem>> =
            layers.par_iter().map(|(layer, id)| check_layer(store, layer, *id, scope)).collect();
        self.problems.extend(found.into_iter().flatten());
    }

    fn stored_config(&mut self, manifest: &Manifest, listed: Option<(Digest, &Descriptor)>) -> Option<ImageConfig> {
        let Descriptor { digest, size, .. } = manifest.config;
        let bytes = self.read(&digest, Some(size), MAX_CONFIG)?;
        match document::parse_config(&bytes) {
            Ok(config) => {
                self.config(manifest, &config, &bytes, listed);
                Some(config)
            }
            Err(problem) => {
                self.problems.push(Problem::Document { digest, problem });
                None
            }
        }
    }

    fn config(
        &mut self,
        manifest: &Manifest,
        config: &ImageConfig,
        bytes: &[u8],
        listed: Option<(Digest, &Descriptor)>,
    ) {
        let digest = manifest.config.digest;
        if let Err(problem) = document::pair_layers(manifest, config) {
            self.problems.push(Problem::Document { digest, problem });
        }
        let entries = config.history.iter().filter(|entry| !entry.empty_layer).count();
        // History is optional, but one that is there is matched with the layers by its order.
        if !config.history.is_empty() && entries != manifest.layers.len() {
            self.problems.push(Problem::History { digest, entries, layers: manifest.layers.len() });
        }
        for (field, value) in [("os", &config.os), ("architecture", &config.architecture)] {
            if value.is_empty() {
                self.problems.push(Problem::NoPlatform { digest, field });
            }
        }
        if let Some((digest, Descriptor { platform: Some(platform), .. })) = listed
            && platform.platform() != config.platform()
        {
            let (index, config) = (platform.platform().to_string(), config.platform().to_string());
            self.problems.push(Problem::OtherPlatform { digest, index, config });
        }
        if let Err(complaint) = config_in_other_reader(bytes, config) {
            self.problems.push(Problem::OtherReader { digest, complaint });
        }
    }

    fn families(&mut self, digest: Digest, manifest: &Manifest) {
        let own = document::manifest_type(manifest);
        let config = manifest.config.media_type.clone();
        if let (MediaType::Manifest(a), MediaType::Config(b)) = (&own, &config)
            && a != b
        {
            self.problems.push(Problem::Families { digest, manifest: own, config });
        }
    }

    /// The bytes of a document if they are good; what is wrong with them is noted.
    fn read(&mut self, digest: &Digest, size: Option<u64>, limit: u64) -> Option<Vec<u8>> {
        let digest = *digest;
        match self.store.read_blob(&digest, limit) {
            Ok(Some(bytes)) => {
                let found = bytes.len() as u64;
                if let Some(expected) = size.filter(|&size| size != found) {
                    self.problems.push(Problem::Size { digest, expected, found });
                }
                Some(bytes)
            }
            Ok(None) => {
                self.problems.push(Problem::Missing { digest });
                None
            }
            Err(source) => {
                self.problems.push(Problem::Store { digest, source });
                None
            }
        }
    }
}

fn check_layer(store: &Store, layer: &Descriptor, diff_id: Option<DiffId>, scope: Scope) -> Vec<Problem> {
    let digest = layer.digest;
    let mut problems = Vec::new();
    let compression = match &layer.media_type {
        MediaType::Layer(_, compression) => Some(*compression),
        MediaType::Other(_) => None,
        other => {
            problems.push(Problem::LayerType { digest, media_type: other.clone() });
            None
        }
    };
    let presence = check_presence(store, layer, scope);
    let is_missing = matches!(presence, Some(Problem::Missing { .. }));
    problems.extend(presence);
    if is_missing || scope == Scope::Documents {
        return problems;
    }
    match unpack(store, digest) {
        Ok((format, found)) => {
            if let Some(expected) = diff_id.filter(|&expected| expected != found) {
                problems.push(Problem::DiffId { digest, expected, found });
            }
            if compression.is_some_and(|compression| !is_format(compression, format)) {
                let media_type = layer.media_type.clone();
                problems.push(Problem::Compression { digest, media_type, found: format });
            }
        }
        Err(problem) => problems.push(problem),
    }
    problems
}

fn check_presence(store: &Store, blob: &Descriptor, scope: Scope) -> Option<Problem> {
    let Descriptor { digest, size: expected, .. } = *blob;
    match store.contains(&digest) {
        None if scope == Scope::Documents && store.has_or_can_bring(blob) => None,
        None => Some(Problem::Missing { digest }),
        Some(found) if found != expected => Some(Problem::Size { digest, expected, found }),
        Some(_) => None,
    }
}

fn is_format(compression: Compression, format: Format) -> bool {
    matches!(
        (compression, format),
        (Compression::None, Format::Plain) | (Compression::Gzip, Format::Gzip) | (Compression::Zstd, Format::Zstd)
    )
}

/// Reads a layer's blob to its end, which verifies its digest, and computes its diff ID on the way.
fn unpack(store: &Store, digest: Digest) -> Result<(Format, DiffId), Problem> {
    let blob = match store.open_blob(&digest) {
        Ok(Some(blob)) => blob,
        Ok(None) => return Err(Problem::Missing { digest }),
        Err(source) => return Err(Problem::Store { digest, source }),
    };
    let damage = RefCell::new(None);
    let mut blob = BufReader::new(Watched { inner: blob, damage: &damage });
    let unpacked = hash_unpacked(&mut blob);
    // What cannot be unpacked was not read to its end; whether it is damaged or only strange is known there.
    let _ = io::copy(&mut blob, &mut io::sink());
    drop(blob);
    match damage.into_inner() {
        Some(source) => Err(Problem::Store { digest, source }),
        None => unpacked.map_err(|source| Problem::Unpack { digest, source }),
    }
}

fn hash_unpacked(blob: &mut impl io::BufRead) -> Result<(Format, DiffId), ReadError> {
    let unpacked = decompress(blob, &Limits::default())?;
    let format = unpacked.format();
    let mut stream = HashingReader::new(unpacked);
    io::copy(&mut stream, &mut io::sink()).map_err(ReadError::from_io)?;
    Ok((format, DiffId(stream.finish().0)))
}

/// Keeps the store's error, which a decompressor would wrap into its own.
struct Watched<'a, R> {
    inner: R,
    damage: &'a RefCell<Option<StoreError>>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| match error.downcast::<StoreError>() {
            Ok(damage) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, damage.to_string());
                *self.damage.borrow_mut() = Some(damage);
                error
            }
            Err(error) => error,
        })
    }
}

/// Reads the manifest with oci-spec and compares.
fn manifest_in_other_reader(bytes: &[u8], ours: &Manifest) -> Result<(), String> {
    // Not its `from_reader`, which takes three times as long.
    let theirs: ImageManifest =
        serde_json::from_slice(bytes).map_err(|error| format!("cannot read the manifest: {error}"))?;
    let same = |ours: &Descriptor, theirs: &oci_spec::image::Descriptor| {
        ours.digest.to_string() == theirs.digest().as_ref()
            && ours.size == theirs.size()
            && ours.media_type.to_string() == theirs.media_type().to_string()
    };
    let layers = ours.layers.len() == theirs.layers().len()
        && ours.layers.iter().zip(theirs.layers()).all(|(ours, theirs)| same(ours, theirs));
    match layers && same(&ours.config, theirs.config()) {
        true => Ok(()),
        false => Err("finds other config or layers in the manifest".into()),
    }
}

/// Reads the config with oci-spec and compares.
fn config_in_other_reader(bytes: &[u8], ours: &ImageConfig) -> Result<(), String> {
    let theirs: ImageConfiguration =
        serde_json::from_slice(bytes).map_err(|error| format!("cannot read the config: {error}"))?;
    let diff_ids = ours.rootfs.diff_ids.iter().map(DiffId::to_string);
    let empty = Vec::new();
    let env = theirs.config().as_ref().and_then(|config| config.env().as_ref()).unwrap_or(&empty);
    let same = diff_ids.eq(theirs.rootfs().diff_ids().iter().cloned())
        && theirs.os().to_string() == ours.os
        && theirs.architecture().to_string() == ours.architecture
        && *env == ours.config.env;
    if same { Ok(()) } else { Err("finds other layers, platform or environment in the config".into()) }
}
