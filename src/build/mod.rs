//! Runs a plan: each action as soon as its inputs are there, in parallel, its result into the store.

mod account;
mod anew;
mod assemble;
mod baseline;
mod cache;
mod command;
mod compose;
mod encode;
mod execute;
mod filesystem;
mod glimpse;
mod import;
mod in_tier;
mod layer;
mod listing;
mod mounts;
mod output;
mod outputs;
mod relay;
mod report;
mod root;
mod rootfs;
mod run;
mod schedule;
mod scrub;
mod secrets;
mod shell;

pub use anew::Anew;
pub use baseline::{base_of, layer_steps};
pub use execute::Context;
pub use report::{Report, StepNode};
pub use rootfs::import_rootfs;
pub use run::{Built, Options, build, complete, records_of, steps};
pub use schedule::{How, Progress};
pub use secrets::Secrets;
pub use shell::shell;
