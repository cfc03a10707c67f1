//! Dockerfiles: small ones with a context each, and the tree and config that come of them.

mod add;
mod archives;
pub mod case;
mod config;
mod contexts;
mod copy;
pub mod corpus;
mod explain;
mod failures;
mod history;
mod import;
mod language;
mod mounts;
mod network;
mod no_cache;
mod platforms;
pub mod real;
mod stories;
