//! Inputs made to hurt: one fixture for each row, and what must happen.

#[path = "hostile/metadata.rs"]
mod metadata;
#[path = "hostile/paths.rs"]
mod paths;
