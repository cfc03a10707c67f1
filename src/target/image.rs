//! The builtins that name a target.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Spanned;
use crate::format::{Compression, MediaTypes};
use crate::platform::Platform;

use super::base::{Base, OciReference};
use super::decode;
use super::label::Label;
use super::layer::LayerSpec;
use super::mount::MountSource;
use super::run::Run;

/// An image. What is not said here comes from the base: `env`, `labels`, `ports`, `volumes` and `annotations` add to
/// it, key by key; every other field replaces the base's; `entrypoint` without `cmd` clears the base's `cmd`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// The image below: the name of one in a registry, `scratch()`, `oci(...)`, `oci_layout(...)`, `oci_archive(...)`,
    /// `docker_archive(...)`, another target or its label. By default nothing, as with `scratch()`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Spanned<Base>>,
    /// The layers, lowest first; lists in it are flattened.
    #[serde(default, deserialize_with = "decode::flat_list")]
    #[schemars(with = "Vec<Spanned<LayerSpec>>")]
    pub layers: Vec<Spanned<LayerSpec>>,
    /// Operating system and processor, such as `"linux/arm64"`; by default the base's, else the workspace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub platform: Option<Platform>,
    /// In place of `platform`, several: the image is made for each of them, and the target is the index of these images,
    /// listed in the order written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub platforms: Vec<Spanned<Platform>>,
    /// Version of the operating system, for Windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Environment variables, as a map, kept in the order written; a variable of the base keeps its place.
    #[serde(default, with = "decode::pairs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub env: Vec<(String, String)>,
    /// The program to start and its fixed arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Default arguments of `entrypoint`, or the program to start where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// The directory in which the program starts, an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// The user as which the program runs, `user[:group]`, by number or by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Ports on which the program listens, such as `"8080/tcp"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Directories for data that outlives the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Labels of the config.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The signal that stops the program, such as `"SIGTERM"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How to find out whether the program is well. Docker's extension of the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The shell of the shell forms. Docker's extension of the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Instructions that run first where a Dockerfile builds on the image. Docker's extension of the config.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub onbuild: Vec<String>,
    /// Who is responsible for the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Time of creation, RFC 3339, such as `"2024-02-29T12:00:00Z"`; by default the workspace's epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Annotations of the manifest; with `platforms`, those that are the same on each are the index's as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// History entries, one for each layer, in place of those that ocify writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<HistoryEntry>>,
    /// Names under which the image is listed in a layout or pushed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Media types of manifest, config and layers; by default the workspace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_types: Option<MediaTypes>,
    /// Compression of the layers made here; by default the workspace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
}

impl ImageSpec {
    /// The images that this one names: its base, those that layers copy from, and those of which commands see files.
    pub fn bases(&self) -> impl Iterator<Item = Spanned<&Base>> {
        fn borrowed(base: &Spanned<Base>) -> Spanned<&Base> {
            Spanned { value: &base.value, span: base.span.clone() }
        }
        let copied = self.layers_within().filter_map(|layer| match layer {
            LayerSpec::Copy(copy) => Some(borrowed(&copy.image)),
            LayerSpec::Place(place) => place.from.as_ref().map(borrowed),
            _ => None,
        });
        let seen = self.sources().filter_map(|source| match &source.value {
            MountSource::Image(base) => Some(Spanned { value: base, span: source.span.clone() }),
            MountSource::Layer(_) => None,
        });
        self.base.iter().map(borrowed).chain(copied).chain(seen)
    }

    /// The layers, and those of which commands see the files.
    pub fn layers_within(&self) -> impl Iterator<Item = &LayerSpec> {
        let seen = self.sources().filter_map(|source| match &source.value {
            MountSource::Layer(layer) => Some(&**layer),
            MountSource::Image(_) => None,
        });
        self.layers.iter().map(|layer| &layer.value).chain(seen)
    }

    fn sources(&self) -> impl Iterator<Item = &Spanned<MountSource>> {
        let runs = self.layers.iter().filter_map(|layer| match &layer.value {
            LayerSpec::Run(run) => Some(run),
            _ => None,
        });
        runs.flat_map(Run::sources)
    }
}

impl ImageSpec {
    /// The whole name of the base, if it is one of a registry: with the tag, else with the digest.
    pub fn base_name(&self) -> Option<String> {
        let Base::Oci(OciReference { reference }) = &self.base.as_ref()?.value else { return None };
        let mut name = reference.canonical();
        name.digest = name.digest.filter(|_| name.tag.is_none());
        Some(name.to_string())
    }
}

/// Several images under one name, one for each platform, listed in the order written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexSpec {
    /// The images, as targets or labels.
    #[schemars(with = "Vec<String>")]
    pub images: Vec<Spanned<Label>>,
    /// Annotations of the index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Names under which the index is listed in a layout or pushed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Media type of the index; by default the workspace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_types: Option<MediaTypes>,
}

/// A health check as Docker's config has it. A time of 0 means the engine's default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Healthcheck {
    /// `["CMD", program, argument...]`, `["CMD-SHELL", command]`, or `["NONE"]` to switch off the base's.
    pub test: Vec<String>,
    /// Time between two checks, in milliseconds.
    #[serde(default)]
    pub interval_ms: u64,
    /// Time after which a check has failed, in milliseconds.
    #[serde(default)]
    pub timeout_ms: u64,
    /// Time at the start in which a failure does not count, in milliseconds.
    #[serde(default)]
    pub start_period_ms: u64,
    /// Time between two checks during the start, in milliseconds.
    #[serde(default)]
    pub start_interval_ms: u64,
    /// How many failures in a row mean that the program is not well.
    #[serde(default)]
    pub retries: u32,
}

/// One entry of the config's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryEntry {
    /// What made the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}
