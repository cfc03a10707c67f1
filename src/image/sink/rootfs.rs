//! The image's file tree without the image: as one tar, or as a directory.

use std::io::Write;
use std::path::Path;

use crate::archive::write::{Encoding, encode};
use crate::entry::{Content, Entry, Kind};
use crate::format::Compression;
use crate::image::{Image, contents};
use crate::store::Store;
use crate::tree::{Changeset, Skipped, Tree, extract};

use super::SinkError;
use super::output::OutputFile;

/// Writes the merged file tree of all layers to `file`, as one uncompressed tar in the form of a layer.
///
/// # Errors
/// A layer is missing or damaged, or does not fit on those below it; the file cannot be written.
pub fn tar(store: &Store, image: &Image, file: &Path) -> Result<(), SinkError> {
    let mut output = OutputFile::create(file)?;
    write_tar(store, image, output.writer())?;
    output.finish()
}

/// As [`tar`], to `out`.
///
/// # Errors
/// As [`tar`].
pub fn write_tar(store: &Store, image: &Image, out: &mut (impl Write + Send)) -> Result<(), SinkError> {
    let entries = readable_entries(store, image)?;
    encode(&entries, &Encoding { compression: Compression::None }, out)?;
    Ok(())
}

/// Extracts the merged file tree of all layers to `directory`, which is new or empty. Returns what [`extract`] left out,
/// such as devices.
///
/// # Errors
/// As [`tar`]; something is in `directory`.
pub fn directory(store: &Store, image: &Image, directory: &Path) -> Result<Vec<Skipped>, SinkError> {
    let mut files = Changeset::new();
    readable_entries(store, image)?.into_iter().try_for_each(|entry| files.insert(entry))?;
    Ok(extract(&Tree::of_layer(files)?, directory)?)
}

/// The entries of the merged tree, with contents that can be read.
fn readable_entries(store: &Store, image: &Image) -> Result<Vec<Entry>, SinkError> {
    let mut entries: Vec<Entry> = contents::tree(store, image)?.entries().collect();
    let mut contents: Vec<&mut Content> = entries.iter_mut().filter_map(content_of).collect();
    contents::spool_contents(store, image.layers(), &mut contents)?;
    Ok(entries)
}

fn content_of(entry: &mut Entry) -> Option<&mut Content> {
    match &mut entry.kind {
        Kind::File { content } => Some(content),
        _ => None,
    }
}
