//! What became of a step, or would become of it.

use serde::Serialize;

use crate::action::Step;
use crate::action::key::Preimage;
use crate::action::miss::Miss;
use crate::action::record::StepResult;
use crate::digest::CacheKey;

/// One step of a build, or of one that is only explained.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub step: Step,
    /// Where the user's file asks for it, as `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Absent as long as a step on which this one depends has no result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<CacheKey>,
    /// Absent if there is none: the step was only explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<StepResult>,
    /// Why it was not, or will not be, taken from the store; absent if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miss: Option<Miss>,
    /// How it differs from the build that was given to compare with, although the store has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Miss>,
    #[serde(skip)]
    pub(super) preimage: Option<Preimage>,
}

impl Report {
    /// The report of a step that depends on others without a result, which `steps` names.
    pub(super) fn waiting(step: Step, place: Option<String>, steps: Vec<String>) -> Self {
        let miss = Some(Miss::Waits { steps });
        Report { step, place, key: None, result: None, miss, difference: None, preimage: None }
    }
}

/// A step among those of a build.
#[derive(Clone, Debug, Serialize)]
pub struct StepNode {
    #[serde(flatten)]
    pub report: Report,
    /// What the step gave in the build that is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<StepResult>,
    /// Indices of the steps whose results this one takes.
    pub inputs: Vec<usize>,
}
