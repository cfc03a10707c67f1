//! Runs a plan: each action as soon as its inputs are there, in parallel, its result into the store.

mod cache;
mod compose;
mod encode;
mod execute;
mod explain;
mod filesystem;
mod schedule;

pub use execute::{Context, build, explain};
pub use explain::Explanation;
pub use schedule::{How, Progress};
