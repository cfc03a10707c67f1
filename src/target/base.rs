//! What an image can stand on, and what files can be copied out of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::oci::Reference;
use crate::path::WorkspacePath;

use super::decode::{self, HELP};
use super::directory::NamedDirectory;
use super::label::Label;

/// The image below, or the image that `copy` takes files from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// Nothing: no layers and an empty config.
    Scratch,
    Oci(OciReference),
    OciLayout(OciLayout),
    OciArchive(OciArchive),
    DockerArchive(DockerArchive),
    /// Another target of this workspace.
    Target(Label),
}

/// An image in a registry, by its name. Which image that is, `ocify.lock` says: a build asks no registry what a tag means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OciReference {
    /// The image's name, as `docker pull` takes it, such as `"docker.io/library/python:3.12-slim"`. One with a digest,
    /// `"NAME@sha256:..."`, needs no lock.
    #[serde(with = "name")]
    #[schemars(with = "String")]
    pub reference: Reference,
}

impl OciReference {
    /// The image that a text names.
    ///
    /// # Errors
    /// It is not the name of an image.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        OciReference::from_text(text).map_err(|message| match message.split_once(HELP) {
            Some((message, help)) => Diagnostic::spec(message).help(help),
            None => Diagnostic::spec(message),
        })
    }

    /// The image that a text names; the error ends with what to write instead.
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        let fail = |error| {
            let name = text.split_once("://").map_or(text, |(_, name)| name);
            let help = match name.parse::<Reference>() {
                Ok(_) if name != text => format!("leave the scheme away: `{name}`"),
                _ => "write `registry.example.com/path:tag`; a target begins with `//` or `:`".to_owned(),
            };
            format!("{error}{HELP}{help}")
        };
        text.parse().map(|reference: Reference| OciReference { reference: reference.canonical() }).map_err(fail)
    }
}

/// An image in an OCI image layout, a directory with `oci-layout`, `index.json` and `blobs/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OciLayout {
    /// The package in which the call stands.
    #[serde(skip_deserializing, default = "decode::package")]
    #[schemars(skip)]
    pub package: WorkspacePath,
    /// In place of the workspace, where the command line names a layout.
    #[serde(skip)]
    pub directory: Option<NamedDirectory>,
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

/// A name of an image, made whole: `nginx` is `docker.io/library/nginx:latest`.
mod name {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::oci::Reference;

    use super::OciReference;

    pub fn serialize<S: Serializer>(reference: &Reference, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(reference)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        let text = String::deserialize(deserializer)?;
        OciReference::from_text(&text).map(|oci| oci.reference).map_err(D::Error::custom)
    }
}
