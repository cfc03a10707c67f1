//! Layers out of the action cache.

use serde::{Deserialize, Serialize};

use crate::action::Step;
use crate::action::key::LayerPreimage;
use crate::action::miss::Miss;
use crate::archive::write::VERSION;
use crate::diagnostic::Diagnostic;
use crate::digest::{CacheKey, DiffId, Digest};
use crate::entry::Entry;
use crate::format::{Compression, MediaTypes};
use crate::image::Layer;
use crate::oci::{Descriptor, MediaType, canonical_json};
use crate::source::Workspace;
use crate::store::{ActionRecord, Store, StoreError};

/// A layer that is to be made: its entries and the key of its bytes.
pub(super) struct Request<'a> {
    step: StepName<'a>,
    entries: &'a [Entry],
    preimage: LayerPreimage,
    store: &'a Store,
}

/// What the store had.
pub(super) enum Found {
    Hit(Box<Layer>),
    Miss(Miss),
}

/// The name under which the last build of a step is remembered. It decides which miss is explained by which build and
/// reaches no output.
#[derive(Serialize)]
struct StepName<'a> {
    /// SHA-256 of the workspace's root directory: one store may serve several workspaces with the same labels.
    workspace: Digest,
    target: String,
    number: usize,
    title: &'a str,
}

/// The result of an `Encode` action.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Encoded {
    digest: Digest,
    size: u64,
    diff_id: DiffId,
}

/// What the last build of a step was.
#[derive(PartialEq, Serialize, Deserialize)]
struct LastBuild {
    preimage: LayerPreimage,
    layer: Encoded,
}

impl<'a> Request<'a> {
    pub(super) fn new(
        step: &'a Step,
        entries: &'a [Entry],
        compression: Compression,
        workspace: &Workspace,
        store: &'a Store,
    ) -> Self {
        let step = StepName {
            workspace: Digest::of(workspace.root().as_os_str().as_encoded_bytes()),
            target: step.target.to_string(),
            number: step.number,
            title: &step.title,
        };
        Request { step, entries, preimage: LayerPreimage::new(entries, VERSION, compression), store }
    }

    /// Looks the layer up. A record whose blob is missing or of another size is a miss; so is one that is damaged.
    pub(super) fn find(&self) -> Result<Found, Diagnostic> {
        let record: Option<ActionRecord<LayerPreimage, Encoded>> =
            self.store.action(&self.preimage.key()).map_err(unreadable)?;
        if let Some(ActionRecord { result, .. }) = record
            && self.store.contains(&result.digest) == Some(result.size)
        {
            return Ok(Found::Hit(Box::new(self.layer(result))));
        }
        let Some(last) = self.last_build()? else { return Ok(Found::Miss(Miss::NotBuiltBefore)) };
        let before = self.store.layer_index(&last.layer.diff_id).map_err(unreadable)?;
        Ok(Found::Miss(Miss::between(&last.preimage, &self.preimage, before.as_deref(), self.entries)))
    }

    /// Remembers a layer that was made for this request.
    pub(super) fn store(&self, layer: &Layer) -> Result<(), Diagnostic> {
        let Descriptor { digest, size, .. } = layer.descriptor;
        let result = Encoded { digest, size, diff_id: layer.diff_id };
        let record = ActionRecord { preimage: self.preimage.clone(), result };
        let stored = self.store.put_action(&self.preimage.key(), &record);
        stored.map_err(|error| Diagnostic::failure("the action cache cannot be written").caused_by(error))
    }

    /// Remembers that this was the step's last build. A store that cannot be written loses only an explanation.
    pub(super) fn remember(&self, layer: &Layer) -> Result<(), Diagnostic> {
        let Descriptor { digest, size, .. } = layer.descriptor;
        let layer = Encoded { digest, size, diff_id: layer.diff_id };
        let last = LastBuild { preimage: self.preimage.clone(), layer };
        if self.last_build()?.is_some_and(|known| known == last) {
            return Ok(());
        }
        let record = ActionRecord { preimage: &self.step, result: last };
        match self.store.put_action(&self.step_key(), &record) {
            Err(StoreError::ReadOnly { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(Diagnostic::failure("the action cache cannot be written").caused_by(error)),
        }
    }

    fn last_build(&self) -> Result<Option<LastBuild>, Diagnostic> {
        let record: Option<ActionRecord<serde_json::Value, LastBuild>> =
            self.store.action(&self.step_key()).map_err(unreadable)?;
        Ok(record.map(|record| record.result))
    }

    /// A step is found by its place, so that one whose title changed is still compared with what it was.
    fn step_key(&self) -> CacheKey {
        let StepName { workspace, target, number, .. } = &self.step;
        CacheKey(Digest::of(&canonical_json(&("last build", workspace, target, number))))
    }

    fn layer(&self, encoded: Encoded) -> Layer {
        let media_type = MediaType::Layer(MediaTypes::Oci, self.preimage.compression);
        Layer { descriptor: Descriptor::new(media_type, encoded.digest, encoded.size), diff_id: encoded.diff_id }
    }
}

fn unreadable(error: StoreError) -> Diagnostic {
    Diagnostic::failure("the action cache cannot be read").caused_by(error)
}
