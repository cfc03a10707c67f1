//! Layers into the store.

use crate::archive::write::{Encoding, encode};
use crate::diagnostic::Diagnostic;
use crate::entry::{Entry, Kind, Origin};
use crate::format::{Compression, MediaTypes};
use crate::image::Layer;
use crate::oci::{Descriptor, MediaType};
use crate::store::Store;

use super::execute::unwritable;

/// Encodes a layer into the store and keeps its directory index, so that nobody has to read it again.
pub(super) fn write_layer(
    mut entries: Vec<Entry>,
    compression: Compression,
    store: &Store,
) -> Result<Layer, Diagnostic> {
    let mut draft = store.draft().map_err(|error| unwritable().caused_by(error))?;
    let encoded = encode(&entries, &Encoding { compression }, &mut draft)
        .map_err(|error| Diagnostic::failure("the layer cannot be written").caused_by(error))?;
    draft.commit(&encoded.digest, encoded.size).map_err(|error| unwritable().caused_by(error))?;
    for (entry, offset) in entries.iter_mut().zip(&encoded.offsets) {
        if let Kind::File { content } = &mut entry.kind {
            content.origin = Origin::Layer { diff_id: encoded.diff_id, offset: *offset };
        }
    }
    store.put_layer_index(&encoded.diff_id, &entries).map_err(|error| unwritable().caused_by(error))?;
    let media_type = MediaType::Layer(MediaTypes::Oci, compression);
    Ok(Layer { descriptor: Descriptor::new(media_type, encoded.digest, encoded.size), diff_id: encoded.diff_id })
}
