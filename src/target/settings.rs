//! The settings of a workspace, in its `ocify.toml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Spanned;
use crate::format::{Compression, MediaTypes};
use crate::platform::Platform;

/// Settings of a workspace: the top-level keys of `ocify.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The workspace's name, for people.
    pub name: Option<String>,
    /// Seconds since 1970-01-01 UTC: the time of every file and image that is made here. An older time that an archive
    /// or a base gives to a file is kept.
    pub epoch: u32,
    /// The platform of images that name none and have no base.
    #[schemars(with = "String")]
    pub platform: Platform,
    /// In place of `platform`, several: images that name none and do not stand on a target that does are made for each of
    /// them, as if they had these `platforms`. The first is what `platform()` is.
    #[schemars(with = "Vec<String>")]
    pub platforms: Vec<Spanned<Platform>>,
    /// Media types of images that name none.
    pub media_types: MediaTypes,
    /// Compression of layers where the image names none.
    pub compression: Compression,
    /// Whether steps that have the network are refused, as with `--hermetic`.
    pub hermetic: bool,
    /// Settings of registries by `host` or `host:port`, as `[registry."HOST"]`. The user's own, in
    /// `~/.config/ocify/config.toml`, go before them, key by key.
    pub registry: BTreeMap<String, RegistrySettings>,
}

/// How a registry is reached: `[registry."HOST"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrySettings {
    /// Plain http instead of https. Registries on this machine are plain unless this is false or `ca` is set. A
    /// password or token is sent over plain http only to this machine, or where the user's own settings say insecure.
    pub insecure: Option<bool>,
    /// Registries that are tried first when this one is read, in this order: `host`, `host:port`, or one of them with a
    /// path that is put before the repository's.
    pub mirrors: Vec<String>,
    /// A file of certificate authorities (PEM) that this registry may be certified by, beside the system's. Relative
    /// to the file that names it.
    pub ca: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            name: None,
            epoch: 0,
            platform: Platform::default_target(),
            platforms: Vec::new(),
            media_types: MediaTypes::default(),
            compression: Compression::default(),
            hermetic: false,
            registry: BTreeMap::new(),
        }
    }
}
