//! Where the files of a layer come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Spanned;
use crate::digest::Digest;
use crate::path::WorkspacePath;

use super::decode;

/// One file, or a directory with all that is in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FileSource {
    /// A path relative to the package.
    Path(WorkspacePath),
    /// A file from elsewhere.
    Fetch(Spanned<Fetch>),
}

/// A list of sources, or a map from the path in the image to the source.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Sources<S> {
    /// Each keeps its own path below the destination.
    List(Vec<Spanned<S>>),
    /// Destination and source, in the order written.
    Map(Vec<(String, Spanned<S>)>),
}

/// A file from the network or from this machine, whose digest is known beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The package in which the call stands.
    #[serde(skip_deserializing, default = "decode::package")]
    #[schemars(skip)]
    pub package: WorkspacePath,
    /// Where to get the file: `https://`, `http://` or `file://` followed by a path relative to the package. The
    /// places are tried in order and must all hold the same bytes.
    pub urls: Vec<String>,
    /// SHA-256 of the file, as 64 hexadecimal digits.
    #[serde(with = "hex")]
    #[schemars(with = "String")]
    pub sha256: Digest,
    /// The file's name; by default the last component of the first URL's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Mode 0755 instead of 0644.
    #[serde(default)]
    pub executable: bool,
}

/// A digest without its algorithm, as people paste it from a checksum file.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::digest::Digest;

    pub fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.hex())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::from_hex(text.strip_prefix("sha256:").unwrap_or(&text)).map_err(D::Error::custom)
    }
}
