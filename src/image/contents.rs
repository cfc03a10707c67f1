//! What is inside the layers of an image.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::sync::Arc;

use crate::archive::read::{Limits, ReadError, Region, Spool, decompress, read_tar, spool_regions};
use crate::digest::DiffId;
use crate::entry::{Content, Entry, Kind, Origin};
use crate::store::{BlobReader, Store};
use crate::tree::{Changeset, Tree};

use super::{Image, ImageError, Layer};

/// The entries of a layer in the order of its archive; contents are [`Origin::Layer`].
///
/// They come from the store's index of the layer. Where there is none the blob is read once, its digest and diff ID
/// are verified, and the index is stored.
///
/// # Errors
/// The blob is missing, damaged or not an archive that is read ([`crate::archive::read`]), or its tar stream is not the
/// one that the diff ID names.
pub fn layer_entries(store: &Store, layer: &Layer) -> Result<Vec<Entry>, ImageError> {
    if let Some(entries) = store.layer_index(&layer.diff_id)? {
        return Ok(entries);
    }
    let digest = layer.descriptor.digest;
    let limits = Limits::default();
    let unpacked = decompress(BufReader::new(open(store, layer)?), &limits);
    let contents = unpacked.and_then(|stream| read_tar(stream, &limits, None));
    let mut contents = contents.map_err(|source| layer_error(layer, source))?;
    let found = DiffId(contents.digest);
    if found != layer.diff_id {
        return Err(ImageError::DiffId { digest, expected: layer.diff_id, found });
    }
    contents.entries.iter_mut().for_each(|entry| place_if_empty(entry, layer.diff_id));
    store.put_layer_index(&layer.diff_id, &contents.entries)?;
    Ok(contents.entries)
}

/// Entries that the layers of one image may have together: four times those of the largest archive that is read. The
/// same entries in each of many layers make no large tree but take their time.
const MAX_ENTRIES: usize = 8_000_000;

/// The file tree that the image's layers amount to.
///
/// # Errors
/// As [`layer_entries`]; also if a layer does not fit on those below it, or if all have more than 8,000,000 entries.
pub fn tree(store: &Store, image: &Image) -> Result<Tree, ImageError> {
    merged(store, image.layers(), MAX_ENTRIES)
}

fn merged(store: &Store, layers: &[Layer], limit: usize) -> Result<Tree, ImageError> {
    let unknown = layers.iter().filter(|layer| !store.has_layer_index(&layer.diff_id));
    store.bring_all(&unknown.map(|layer| &layer.descriptor).collect::<Vec<_>>())?;
    let mut tree = Tree::new();
    let mut left = limit;
    for layer in layers {
        let entries = layer_entries(store, layer)?;
        let too_many = || ImageError::TooManyEntries { digest: layer.descriptor.digest, limit };
        left = left.checked_sub(entries.len()).ok_or_else(too_many)?;
        let changes = Changeset::from_layer(entries);
        let applied = changes.and_then(|changes| tree.apply(&changes));
        applied.map_err(|source| ImageError::Tree { digest: layer.descriptor.digest, source })?;
    }
    Ok(tree)
}

/// Makes contents that lie in `layers` readable: each layer that holds some is unpacked once, front to back, and what is
/// wanted of it is copied to a temporary file, where the contents then lie. Contents that lie elsewhere stay as they
/// are.
///
/// # Errors
/// A layer cannot be read, or does not hold what it should; a content is in none of `layers`.
pub fn spool_contents(store: &Store, layers: &[Layer], contents: &mut [&mut Content]) -> Result<(), ImageError> {
    let mut wanted: BTreeMap<DiffId, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, content) in contents.iter_mut().enumerate() {
        match content.origin {
            // There is nothing to look for.
            Origin::Layer { .. } if content.size == 0 => content.origin = Origin::Inline(Arc::from([])),
            Origin::Layer { diff_id, offset } => wanted.entry(diff_id).or_default().push((at, offset)),
            _ => {}
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut spool = Spool::new(store.spool()?);
    for (diff_id, places) in wanted {
        let layer = layers.iter().find(|layer| layer.diff_id == diff_id);
        let layer = layer.ok_or(ImageError::UnknownStream { diff_id })?;
        let region =
            |&(at, offset): &(usize, u64)| Region { offset, size: contents[at].size, digest: contents[at].digest };
        let regions: Vec<Region> = places.iter().map(region).collect();
        let unpacked = decompress(BufReader::new(open(store, layer)?), &Limits::default());
        let origins = unpacked.and_then(|stream| spool_regions(stream, &regions, &mut spool));
        let origins = origins.map_err(|source| layer_error(layer, source))?;
        for ((at, _), origin) in places.into_iter().zip(origins) {
            contents[at].origin = origin;
        }
    }
    Ok(())
}

/// The reader makes all empty contents one in memory; the index of a layer has each at its place in the layer. Where
/// nothing is, every place is as good as the next.
fn place_if_empty(entry: &mut Entry, diff_id: DiffId) {
    if let Kind::File { content: Content { size: 0, origin, .. } } = &mut entry.kind {
        *origin = Origin::Layer { diff_id, offset: 0 };
    }
}

/// Opens the blob of a layer.
pub(super) fn open(store: &Store, layer: &Layer) -> Result<BlobReader, ImageError> {
    let missing = || ImageError::Missing { place: "the store".into(), digest: layer.descriptor.digest };
    store.open_described(&layer.descriptor)?.ok_or_else(missing)
}

pub(super) fn layer_error(layer: &Layer, source: ReadError) -> ImageError {
    ImageError::Layer { digest: layer.descriptor.digest, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::entry::Metadata;
    use crate::format::{Compression, MediaTypes};
    use crate::oci::{Descriptor, MediaType};
    use crate::path::ImagePath;

    #[test]
    fn the_same_layer_many_times_is_counted_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let media_type = MediaType::layer(MediaTypes::Oci, Compression::None);
        let layer = Layer { descriptor: Descriptor::of(media_type, b""), diff_id: DiffId(Digest::of(b"")) };
        let path = |name: &str| ImagePath::parse(name).unwrap();
        let entry = |name| Entry { path: path(name), metadata: Metadata::root_owned(0o755, 0), kind: Kind::Directory };
        store.put_layer_index(&layer.diff_id, &[entry("a"), entry("b")]).unwrap();
        let layers = vec![layer; 5];
        assert_eq!(merged(&store, &layers, 10).unwrap().len(), 2);
        assert!(matches!(merged(&store, &layers, 9), Err(ImageError::TooManyEntries { limit: 9, .. })));
    }
}
