//! Dockerfiles: small ones with a context each, and the tree and config that come of them.

mod case;
mod config;
mod contexts;
mod copy;
mod explain;
mod failures;
mod language;
mod mounts;
mod network;
mod no_cache;
mod platforms;
mod stories;
