//! The choices of output format that specs, wire types and encoders share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which family of media types is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaTypes {
    /// OCI image-spec 1.1.
    #[default]
    Oci,
    /// Docker Image Manifest Version 2, Schema 2.
    Docker,
}

/// How layers are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    #[default]
    Gzip,
    Zstd,
    None,
}
