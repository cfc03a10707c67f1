//! From the user's files to the actions of a build: [`TargetGraph`] loads targets and what they depend on, each configured
//! for the platforms that are asked for, [`Plan`] lowers them to an [`ActionGraph`](crate::action::ActionGraph), [`query`] selects among them.

mod configured;
mod lower;
mod names;
mod order;
mod pin;
mod query;
mod shell;
mod targets;

pub use configured::{ConfiguredLabel, ConfiguredRule, ConfiguredTarget};
pub use lower::Plan;
pub use names::Names;
pub use query::query;
pub use shell::ShellPlan;
pub use targets::TargetGraph;
