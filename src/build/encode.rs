//! Layers into the store.

use crate::action::Action;
use crate::action::key::Preimage;
use crate::action::record::StepResult;
use crate::archive::write::{Encoding, VERSION, encode};
use crate::diagnostic::Diagnostic;
use crate::digest::DiffId;
use crate::entry::{Entry, Kind, Origin};
use crate::format::{Compression, MediaTypes};
use crate::image::Layer;
use crate::oci::{Descriptor, MediaType};
use crate::store::Store;

use super::execute::{Executor, step, unwritable};
use super::filesystem::Layers;
use super::listing::content;
use super::output::{Done, Output};
use super::schedule::How;

impl Executor<'_> {
    /// `Encode`. The contents of the entries lie on disk, in archives, or in `layers`.
    pub(super) fn encode(
        &self,
        action: &Action,
        entries: Vec<Entry>,
        layers: &Layers,
        compression: Compression,
    ) -> Result<(Done, How), Diagnostic> {
        let store = self.context.store;
        let preimage = Preimage::layer(&entries, VERSION, compression);
        let find = || {
            let result: Option<StepResult> = self.cache.find(&preimage)?;
            Ok(result.and_then(|result| Some((layer(&result, compression, store)?, result))))
        };
        if self.explaining {
            return match find()? {
                Some((layer, result)) => {
                    Ok(self.done(action, Output::Layer(layer.into()), preimage, Some(result), None))
                }
                None => {
                    let miss = self.cache.miss(&step(action), &preimage, Some(&entries))?;
                    Ok(self.done(action, Output::Nothing, preimage, None, Some(miss)))
                }
            };
        }
        let make = || {
            let write = || write_layer(entries.clone(), layers, compression, store);
            let (mut result, micros) = self.cache.timed(write)?;
            result.micros = micros;
            self.cache.put(&preimage, result, vec![result.digest])?;
            let layer = layer(&result, compression, store).ok_or_else(unwritable)?;
            Ok((layer, result))
        };
        let ((layer, result), miss) = self.found_or_made(action, &preimage, Some(&entries), find, make)?;
        Ok(self.done(action, Output::Layer(layer.into()), preimage, Some(result), miss))
    }
}

/// The layer that an earlier encoding gave; `None` if its blob is missing or of another size.
fn layer(result: &StepResult, compression: Compression, store: &Store) -> Option<Layer> {
    let StepResult { digest, size, diff_id, .. } = *result;
    let media_type = MediaType::Layer(MediaTypes::Oci, compression);
    let layer = Layer { descriptor: Descriptor::new(media_type, digest, size), diff_id: diff_id? };
    (store.contains(&digest) == Some(size)).then_some(layer)
}

/// Encodes a layer into the store and keeps its directory index, so that nobody has to read it again.
fn write_layer(
    mut entries: Vec<Entry>,
    layers: &Layers,
    compression: Compression,
    store: &Store,
) -> Result<StepResult, Diagnostic> {
    layers.make_readable(store, &mut entries.iter_mut().filter_map(content).collect::<Vec<_>>())?;
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
    let diff_id: DiffId = encoded.diff_id;
    Ok(StepResult { digest: encoded.digest, size: encoded.size, diff_id: Some(diff_id), micros: 0 })
}
