//! Layers into the store.

use crate::action::Action;
use crate::action::key::Preimage;
use crate::action::record::StepResult;
use crate::archive::write::{EncodedLayer, VERSION};
use crate::diagnostic::Diagnostic;
use crate::entry::Entry;
use crate::format::{Compression, MediaTypes};
use crate::image::Layer;
use crate::oci::{Descriptor, MediaType};
use crate::store::Store;

use super::execute::{Executor, step, unwritable};
use super::filesystem::Layers;
use super::layer::write_layer;
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
                    Ok(self.done(action, Output::Unmade(vec![step(action)]), preimage, None, Some(miss)))
                }
            };
        }
        let make = || {
            let write = || write_layer(entries.clone(), layers, compression, store);
            let (EncodedLayer { digest, size, diff_id, .. }, micros) = self.cache.timed(write)?;
            let result = StepResult { digest, size, diff_id: Some(diff_id), micros };
            self.cache.put(&preimage, result, vec![result.digest])?;
            let layer = layer(&result, compression, store).ok_or_else(unwritable)?;
            Ok((layer, result))
        };
        let old = self.replaced(action, || Ok(find()?.map(|(_, result)| result)))?;
        let ((layer, result), miss) = self.found_or_made(action, &preimage, Some(&entries), find, make)?;
        self.compare_with_replaced(action, old, &result);
        Ok(self.done(action, Output::Layer(layer.into()), preimage, Some(result), miss))
    }
}

/// The layer that an earlier encoding gave; `None` if its blob is missing or of another size.
pub(super) fn layer(result: &StepResult, compression: Compression, store: &Store) -> Option<Layer> {
    let StepResult { digest, size, diff_id, .. } = *result;
    let media_type = MediaType::Layer(MediaTypes::Oci, compression);
    let layer = Layer { descriptor: Descriptor::new(media_type, digest, size), diff_id: diff_id? };
    (store.contains(&digest) == Some(size)).then_some(layer)
}
