//! The files of a commit.

use std::ops::Not;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;
use crate::git::{NameError, ObjectId, RefName, RemoteRef, RepositoryUrl, WrongCommit};
use crate::path::WorkspacePath;

use super::decode::{self, HELP};
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
    #[serde(deserialize_with = "name")]
    #[schemars(with = "String")]
    pub url: RepositoryUrl,
    /// A branch or tag, the whole name of a ref, `refs/...`, or the ID of a commit; by default `HEAD`.
    #[serde(rename = "ref", default = "RefName::head", deserialize_with = "name")]
    #[schemars(with = "String")]
    pub name: RefName,
    /// The commit that the ref has to stand for, as 40 or 64 hexadecimal digits; together with `sha256`, in place of
    /// `ocify.lock`.
    #[serde(default, deserialize_with = "optional_name", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub commit: Option<ObjectId>,
    /// SHA-256 of the commit's files as a tar, as 64 hexadecimal digits; given together with `commit`.
    #[serde(default, with = "hex", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub sha256: Option<Digest>,
    /// Whether there is a `.git` beside the files, for programs that ask git for the version: the repository with this one
    /// commit and the branch or tag that it has in `ref`. It is pinned in `ocify.lock` only.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub keep_git_dir: bool,
}

impl Git {
    /// The ref, by which a lock knows the commit.
    pub fn remote(&self) -> RemoteRef {
        let Git { keep_git_dir, .. } = *self;
        RemoteRef { url: self.url.in_package(&self.package), name: self.name.clone(), keep_git_dir }
    }

    /// Nothing, if the ref may stand for the commit `found`.
    ///
    /// # Errors
    /// It has to be another.
    pub fn check(&self, found: &ObjectId) -> Result<(), WrongCommit> {
        WrongCommit::check(&self.url, &self.name, self.commit.as_ref(), found)
    }
}

/// The name that a text is; the error ends with what to write instead.
fn name<'de, T: FromStr<Err = NameError>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error: NameError| D::Error::custom(format!("{error}{HELP}{}", error.help())))
}

fn optional_name<'de, T: FromStr<Err = NameError>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent, bound = "T: FromStr<Err = NameError>")]
    struct Name<T>(#[serde(deserialize_with = "name")] T);

    Ok(Option::<Name<T>>::deserialize(d)?.map(|Name(name)| name))
}
