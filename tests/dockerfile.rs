//! Dockerfiles: small ones with a context each, and the tree and config that come of them.

pub mod case;
mod config;
mod copy;
mod failures;
mod language;
mod stories;
