//! Runs a plan: each action as soon as its inputs are there, in parallel, its result into the store.

mod account;
mod assemble;
mod baseline;
mod cache;
mod command;
mod compose;
mod encode;
mod execute;
mod filesystem;
mod import;
mod layer;
mod listing;
mod output;
mod report;
mod root;
mod rootfs;
mod run;
mod schedule;

pub use baseline::{base_of, layer_steps};
pub use execute::Context;
pub use report::{Report, StepNode};
pub use rootfs::import_rootfs;
pub use run::{Built, Options, build, complete, records_of, steps};
pub use schedule::{How, Progress};
