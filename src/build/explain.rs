//! Which layers a build would take from the store, and why it would make the others.

use serde::Serialize;

use crate::action::Step;
use crate::action::miss::Miss;

/// What a build would do at one step.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    #[serde(flatten)]
    pub step: Step,
    /// Why the layer would be made; absent if the store has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miss: Option<Miss>,
}
