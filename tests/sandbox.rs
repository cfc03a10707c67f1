//! Stories of `run`: what a step leaves in its layer, when it runs again, what it cannot reach, and how it fails.

mod changes;
mod failures;
mod isolation;
mod program;
mod roots;
mod users;

pub use program::{is_allowed, program};
