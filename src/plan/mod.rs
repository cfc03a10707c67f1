//! From the user's files to the actions of a build: [`TargetGraph`] loads targets and what they depend on,
//! [`Plan`] lowers them to an [`ActionGraph`](crate::action::ActionGraph), [`query`] selects among them.

mod lower;
mod names;
mod pin;
mod query;
mod targets;

pub use lower::Plan;
pub use names::Names;
pub use query::query;
pub use targets::TargetGraph;
