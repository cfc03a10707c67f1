//! ocify turns a spec into an OCI image, bit for bit the same on every machine.
//!
//! The modules stand on floors, and imports go downward only (`tests/architecture.rs` holds them to it). From the
//! bottom: values ([`digest`], [`path`], [`platform`], [`diagnostic`], [`mod@format`]) and [`http`]; the vocabulary ([`entry`], [`oci`],
//! [`target`]); storage of trees and bytes ([`tree`], [`archive`], [`store`]); images and sources ([`image`],
//! [`source`]); frontends, fetchers and steps ([`eval`], [`tomlspec`], [`dockerfile`], [`fetch`], [`registry`], [`sandbox`]); then [`plan`] and [`import`],
//! [`build`] and [`cli`].
//! ARCHITECTURE.md has the map.

pub mod action;
pub mod archive;
pub mod build;
pub mod cli;
pub mod diagnostic;
pub mod digest;
pub mod dockerfile;
pub mod entry;
pub mod eval;
pub mod fetch;
pub mod format;
pub mod git;
pub mod http;
pub mod image;
pub mod import;
pub mod oci;
pub mod path;
pub mod plan;
pub mod platform;
pub mod registry;
pub mod sandbox;
pub mod scratch;
pub mod source;
pub mod store;
pub mod target;
pub mod tomlspec;
pub mod tree;
