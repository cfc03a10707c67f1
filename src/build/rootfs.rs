//! An image out of one archive of its files.

use std::fs::File;

use crate::archive::write::EncodedLayer;
use crate::diagnostic::Diagnostic;
use crate::format::MediaTypes;
use crate::image::{self, Image, Layer};
use crate::oci::{Descriptor, History, MediaType};
use crate::store::Store;
use crate::target::{ImageSpec, Settings};
use crate::tree::{Changeset, Tree};

use super::execute::unwritable;
use super::filesystem::Layers;
use super::layer::write_layer;
use super::listing::Listing;

/// Makes an image in the store that is what `spec` says, whose layers count for nothing, with one layer: the files of the
/// archive `file`. Paths, modes, owners and times are the archive's; parents that it lacks are as ocify makes them. So the
/// same archive gives the same digest, whatever its order or compression. Also returns what was strange about the archive.
///
/// # Errors
/// The archive cannot be read, or holds what no root of a file system can; the spec has a value that no image can have;
/// the store cannot be written.
pub fn import_rootfs(file: File, spec: &ImageSpec, store: &Store) -> Result<(Image, Vec<String>), Diagnostic> {
    let settings = Settings::default();
    let Listing { entries, mut warnings } = Listing::read_file(file, store)?;
    let mut files = Changeset::from_archive(entries)
        .map_err(|error| Diagnostic::failure("the archive is not a root file system").caused_by(error))?;
    warnings.extend(files.warnings().iter().filter(|text| !warnings.contains(text)).cloned().collect::<Vec<_>>());
    let epoch = i64::from(settings.epoch);
    files
        .add_parents(&Tree::new(), epoch)
        .map_err(|error| Diagnostic::failure("the archive is not a root file system").caused_by(error))?;
    let compression = spec.compression.unwrap_or(settings.compression);
    let encoded = write_layer(files.entries(epoch), &Layers::default(), compression, store)?;
    let EncodedLayer { digest, size, diff_id, .. } = encoded;
    let media_type = MediaType::layer(MediaTypes::Oci, compression);
    let layer = Layer { descriptor: Descriptor::new(media_type, digest, size), diff_id };
    let history = History { created_by: Some("ocify: import".into()), ..History::default() };
    let image = image::assemble(None, spec, vec![(layer, history)], &settings)
        .map_err(|error| Diagnostic::spec(error.to_string()))?;
    image.save(store).map_err(|error| unwritable().caused_by(error))?;
    Ok((image, warnings))
}
