//! The files of a commit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::git::{ObjectId, RefName, RemoteRef, RepositoryUrl};
use crate::path::WorkspacePath;

use super::decode;
use super::source::hex;

/// The files of a commit, as an archive: regular files with mode 0644 or 0755 and symbolic links, as git has them, all owned
/// by 0:0. Which commit a ref means is in `ocify.lock`, unless the spec says it. Needs the program `git`, as long as the store
/// does not have the files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// The package in which the call stands.
    #[serde(skip_deserializing, default = "decode::package")]
    #[schemars(skip)]
    pub package: WorkspacePath,
    /// The repository: `https://`, `http://`, `ssh://`, or `file://` followed by a path relative to the package. It holds no
    /// password.
    #[schemars(with = "String")]
    pub url: RepositoryUrl,
    /// A branch or tag, or the whole name of a ref, `refs/...`; by default `HEAD`.
    #[serde(rename = "ref", default = "RefName::head")]
    #[schemars(with = "String")]
    pub name: RefName,
    /// The commit, as 40 or 64 hexadecimal digits. With `sha256`, `ocify.lock` is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub commit: Option<ObjectId>,
    /// SHA-256 of the commit's files as a tar, which `ocify lock` writes for a `git` without it, as 64 hexadecimal digits.
    #[serde(default, with = "hex", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub sha256: Option<Digest>,
}

impl Git {
    /// The ref, by which a lock knows the commit.
    pub fn remote(&self) -> RemoteRef {
        RemoteRef { url: self.url.in_package(&self.package), name: self.name.clone() }
    }
}
