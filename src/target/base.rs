//! What an image can stand on, and what files can be copied out of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::path::WorkspacePath;

use super::decode;
use super::label::Label;

/// The image below, or the image that `copy` takes files from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// Nothing: no layers and an empty config.
    Scratch,
    OciLayout(OciLayout),
    OciArchive(OciArchive),
    DockerArchive(DockerArchive),
    /// Another target of this workspace.
    Target(Label),
}

/// An image in an OCI image layout, a directory with `oci-layout`, `index.json` and `blobs/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OciLayout {
    /// The package in which the call stands.
    #[serde(skip_deserializing, default = "decode::package")]
    #[schemars(skip)]
    pub package: WorkspacePath,
    /// The layout's directory, relative to the package.
    #[schemars(with = "String")]
    pub path: WorkspacePath,
    /// Digest of the image's manifest, or of an index of which the image for the platform is taken.
    #[schemars(with = "String")]
    pub digest: Digest,
}

/// An image in a tar file that holds an OCI image layout, as `skopeo copy ... oci-archive:FILE` writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OciArchive {
    /// The package in which the call stands.
    #[serde(skip_deserializing, default = "decode::package")]
    #[schemars(skip)]
    pub package: WorkspacePath,
    /// The archive, relative to the package.
    #[schemars(with = "String")]
    pub path: WorkspacePath,
    /// Digest of the manifest or index; needed where the archive holds several images.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// An image in a tar file as `docker save` and `podman save` write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DockerArchive {
    /// The package in which the call stands.
    #[serde(skip_deserializing, default = "decode::package")]
    #[schemars(skip)]
    pub package: WorkspacePath,
    /// The archive, relative to the package.
    #[schemars(with = "String")]
    pub path: WorkspacePath,
    /// Digest of the image's config, which Docker calls the image ID; needed where the archive holds several images.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}
