//! `ocify.lock`: what names that move stood for when a person last looked.
//!
//! A tag names another image tomorrow. The lock says which one is meant, by digest, so a build asks nobody and gives the
//! same bits until the lock itself is changed, by `ocify lock` and `ocify update` only.
//!
//! ```toml
//! # Written by `ocify lock`; commit it.
//! version = 1
//!
//! [[image]]
//! reference = "docker.io/library/python:3.12-slim"
//! digest = "sha256:..."              # what the tag named: an index or a manifest
//! [image.platforms]
//! "linux/amd64" = "sha256:..."       # the manifest for each platform
//!
//! [[fetch]]
//! url = "https://example.com/tool.tar.gz"
//! sha256 = "..."
//!
//! [[git]]
//! url = "https://example.com/lib.git"
//! ref = "v1.4"
//! commit = "..."                     # what the ref named
//! sha256 = "..."                     # the tar of the commit's files
//!
//! [[git]]
//! url = "https://example.com/lib.git"
//! ref = "v1.4"
//! keep_git_dir = true                # with a `.git` beside them
//! commit = "..."
//! tag = "..."                        # if the ref is a tag: what that named, which may be an object of its own
//! sha256 = "..."
//! ```
//!
//! One table an entry, sorted, without counts or times: two branches that add entries touch different lines, and what a
//! merge leaves is either a lock or refused.

mod parse;
mod write;

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::git::{Pin, RemoteRef};
use crate::oci::Reference;
use crate::path::WorkspacePath;
use crate::platform::Platform;

use super::{SourceError, Workspace};

/// What the lock pins. The order of its entries is that of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// By the whole name, which has a tag and no digest.
    pub images: BTreeMap<Reference, ImagePin>,
    /// SHA-256 of files, by URL; one of the workspace is `file://` and its path from the root.
    pub fetches: BTreeMap<String, Digest>,
    /// Commits, by ref.
    pub commits: BTreeMap<RemoteRef, Pin>,
}

/// What the name of an image stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePin {
    /// Of the index or manifest.
    pub digest: Digest,
    /// The manifest for each platform; at least one.
    pub platforms: BTreeMap<Platform, Digest>,
}

impl Lock {
    /// The file, beside the workspace's settings.
    pub const FILE: &'static str = "ocify.lock";
    /// The version of the file's form.
    const VERSION: u32 = 1;

    /// The workspace's lock; an empty one if there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or is not as ocify writes it; the place in it is shown.
    pub fn load(workspace: &Workspace) -> Result<Lock, Diagnostic> {
        let path = WorkspacePath::parse(Self::FILE).map_err(|error| Diagnostic::spec(error.to_string()))?;
        match workspace.read_spec(&path) {
            Ok(source) => parse::parse(&source),
            Err(SourceError::NotFound { .. }) => Ok(Lock::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// The file's text: the same for the same pins.
    pub fn text(&self) -> String {
        write::text(self)
    }
}

#[cfg(test)]
mod tests;
