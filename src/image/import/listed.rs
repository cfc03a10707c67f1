//! All that layouts and archives list, with its names: whole indexes, byte for byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::digest::Digest;
use crate::image::document::{self, DocumentError};
use crate::image::load::{self, Budget, MAX_DOCUMENTS};
use crate::image::{ImageError, ImageOrIndex, Listed};
use crate::oci::{Descriptor, Index, MediaType, REF_NAME, Reference};
use crate::store::Store;

use super::archive::ArchiveFiles;
use super::directory::LayoutDirectory;
use super::{Blobs, docker, layout};

/// The annotation in which containerd has the whole name, as its `ref.name` is the tag alone.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// What is wanted of that which a place lists.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    All,
    /// The only one there is.
    Only,
    /// What has this name, in whatever spelling.
    Named(&'a str),
}

/// Imports what the image layout `directory` lists, in its order.
///
/// # Errors
/// `directory` is no image layout; it does not list what is wanted; a blob is missing, is not what its descriptor says, or
/// is no image; more than 1000 manifests and indexes are listed.
pub fn read_layout(directory: &Path, wanted: Wanted, store: &Store) -> Result<Vec<Listed>, ImageError> {
    let directory = LayoutDirectory::open(directory)?;
    let index = directory.index()?;
    read_index(&directory, &index, wanted, store)
}

/// Imports what a tar `file` of an image layout lists; messages call it `path`.
///
/// # Errors
/// As [`read_layout`]; also if `file` cannot be read as an archive.
pub fn read_oci_archive(file: File, path: &Path, wanted: Wanted, store: &Store) -> Result<Vec<Listed>, ImageError> {
    oci(&ArchiveFiles::read(file, path, store)?, wanted, store)
}

/// Imports what a tar `file` of `docker save` or `podman save` lists; messages call it `path`.
///
/// # Errors
/// As [`super::import_docker_archive`]; it does not list what is wanted.
pub fn read_docker_archive(file: File, path: &Path, wanted: Wanted, store: &Store) -> Result<Vec<Listed>, ImageError> {
    docker(&ArchiveFiles::read(file, path, store)?, wanted, store)
}

/// Imports from an archive of either kind. One that is of both, as newer engines write it, is read as `docker load` reads
/// it: its `index.json` may list images of platforms that it does not hold.
///
/// # Errors
/// As [`read_oci_archive`] and [`read_docker_archive`].
pub fn read_archive(file: File, path: &Path, wanted: Wanted, store: &Store) -> Result<Vec<Listed>, ImageError> {
    let files = ArchiveFiles::read(file, path, store)?;
    match (files.get("manifest.json"), files.get("oci-layout")) {
        (None, Some(_)) => oci(&files, wanted, store),
        (Some(_), _) => docker(&files, wanted, store),
        (None, None) => Err(ImageError::NotA {
            path: path.to_owned(),
            what: "an image archive",
            problem: "it has neither `manifest.json` nor `oci-layout`".into(),
        }),
    }
}

fn oci(files: &ArchiveFiles, wanted: Wanted, store: &Store) -> Result<Vec<Listed>, ImageError> {
    layout::check_version(files.path(), files.read_named("oci-layout", layout::MAX_VERSION_FILE)?)?;
    let index = layout::parse_index(files.path(), files.read_named("index.json", document::MAX_MANIFEST)?)?;
    read_index(files, &index, wanted, store)
}

fn read_index(blobs: &impl Blobs, index: &Index, wanted: Wanted, store: &Store) -> Result<Vec<Listed>, ImageError> {
    let entries = index.manifests.iter().filter(|entry| is_document(entry));
    let entries = entries.map(|entry| (entry.digest, name_of(entry).map(str::to_owned).into_iter().collect(), entry));
    let mut budget = Budget::default();
    let mut listed = Vec::new();
    for (names, entry) in choose(entries.collect(), wanted, blobs.place())? {
        let what = match load::load_from(blobs, &entry.digest, Some(entry), &mut budget) {
            // A signature or the like, which is a manifest too.
            Err(ImageError::Document { problem: DocumentError::NotAnImage { .. }, .. })
                if matches!(wanted, Wanted::All) =>
            {
                continue;
            }
            loaded => loaded?,
        };
        copy(blobs, &what, store)?;
        listed.push(Listed { what, names });
    }
    Ok(listed)
}

/// Copies what is named before what names it.
pub(super) fn copy(blobs: &impl Blobs, what: &ImageOrIndex, store: &Store) -> Result<(), ImageError> {
    for layer in what.images().into_iter().flat_map(|image| image.layers()) {
        blobs.copy(&layer.descriptor, store)?;
    }
    Ok(what.save(store)?)
}

fn docker(files: &ArchiveFiles, wanted: Wanted, store: &Store) -> Result<Vec<Listed>, ImageError> {
    let items = docker::items(files)?;
    if items.len() > MAX_DOCUMENTS {
        return Err(docker::not_one(files, format!("`manifest.json` lists more than {MAX_DOCUMENTS} images")));
    }
    let mut entries = Vec::new();
    for (item, names) in docker::named(&items) {
        let config = docker::config_of(files, item)?;
        entries.push((config.digest, names.to_vec(), (item, config)));
    }
    let chosen = choose(entries, wanted, files.path().display().to_string())?;
    let import = |(names, (item, config))| {
        let image = docker::import_item(files, item, config, store)?;
        Ok(Listed { what: image.into(), names })
    };
    chosen.into_iter().map(import).collect()
}

/// The entries that are wanted, in their order. What is listed several times, for each of its names, is one entry with all
/// of them.
fn choose<T>(
    entries: Vec<(Digest, Vec<String>, T)>,
    wanted: Wanted,
    place: String,
) -> Result<Vec<(Vec<String>, T)>, ImageError> {
    let mut places: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut merged: Vec<(Vec<String>, T)> = Vec::new();
    for (digest, names, entry) in entries {
        let at = *places.entry(digest).or_insert(merged.len());
        match merged.get_mut(at) {
            Some((known, _)) => known.extend(names),
            None => merged.push((names, entry)),
        }
    }
    let all: Vec<String> = merged.iter().flat_map(|(names, _)| names.clone()).collect();
    match wanted {
        Wanted::All => Ok(merged),
        Wanted::Only if merged.len() == 1 => Ok(merged),
        Wanted::Only if all.is_empty() => Err(ImageError::Several { digests: places.into_keys().collect() }),
        Wanted::Only => Err(ImageError::SeveralNames { names: all }),
        Wanted::Named(name) => {
            merged.retain(|(names, _)| names.iter().any(|other| is_same(name, other)));
            match merged.len() {
                1 => Ok(merged),
                0 => Err(ImageError::NoName { place, name: name.to_owned(), names: all }),
                _ => Err(ImageError::SeveralNames { names: merged.into_iter().flat_map(|(names, _)| names).collect() }),
            }
        }
    }
}

fn is_document(entry: &Descriptor) -> bool {
    matches!(entry.media_type, MediaType::Manifest(_) | MediaType::Index(_))
}

fn name_of(entry: &Descriptor) -> Option<&str> {
    let annotations = &entry.annotations;
    annotations.get(CONTAINERD_NAME).or_else(|| annotations.get(REF_NAME)).map(String::as_str)
}

fn is_same(name: &str, other: &str) -> bool {
    let canonical = |name: &str| name.parse::<Reference>().ok().map(|reference| reference.canonical());
    name == other || canonical(name).is_some_and(|name| Some(name) == canonical(other))
}
