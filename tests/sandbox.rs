//! Stories of `run`: what a step leaves in its layer, when it runs again, what it cannot reach, and how it fails.

mod changes;
mod confinement;
mod failures;
mod isolation;
mod limits;
mod mounts;
mod network;
mod program;
mod roots;
mod scrub;
mod shell;
mod stack;
mod users;

pub use program::{is_allowed, program, spoken};
