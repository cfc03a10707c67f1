//! What a build did, as data that outlives it: for explaining the next one, here or on another machine.

use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest};
use crate::entry::Entry;
use crate::platform::Platform;
use crate::target::Label;

use super::key::Preimage;
use super::step::{Step, StepTarget};

/// The build of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildRecord {
    pub target: Label,
    /// Which of the target's platforms, if it has several and this is not its index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_platform: Option<Platform>,
    /// Digest of the manifest or index.
    pub digest: Digest,
    /// The steps that are the target's own, in the plan's order. Those of targets on which it stands are in theirs.
    pub steps: Vec<StepRecord>,
}

impl BuildRecord {
    /// What was built.
    pub fn target(&self) -> StepTarget {
        StepTarget { label: self.target.clone(), platform: self.target_platform.clone() }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    #[serde(flatten)]
    pub step: Step,
    pub preimage: Preimage,
    pub result: StepResult,
    /// The entries of a layer, in a record that is to be read on another machine. In the store they are the layer's
    /// directory index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<Entry>>,
}

/// What a step gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    /// Digest of the blob: of a layer's, a manifest's, an index's or a fetched file's; of an archive that was read.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Of a layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<DiffId>,
    /// How long it took to make, in microseconds.
    pub micros: u64,
}
