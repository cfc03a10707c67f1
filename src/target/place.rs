//! The layer of a Dockerfile's COPY, ADD or WORKDIR.

use serde::Serialize;

use crate::diagnostic::Spanned;

use super::base::Base;
use super::chmod::Chmod;
use super::directory::NamedDirectory;
use super::field::Owner;

/// Files that come to lie where a Dockerfile says: no builtin makes this layer, as where things go depends on what lies
/// below. docs/dockerfile.md has the rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    /// The instruction, for the image's history.
    pub instruction: String,
    /// The image or target that has the sources; `None` for the workspace, which is the build's context.
    pub from: Option<Spanned<Base>>,
    /// The directory that has the sources, in place of the workspace.
    pub directory: Option<NamedDirectory>,
    /// Paths from the root, with `*`, `?` and `[a-z]`; with `parents` also `**` and a pivot `/./`.
    pub srcs: Vec<Spanned<String>>,
    /// Files whose content stands in the instruction, by name.
    pub contents: Vec<(String, String)>,
    /// An absolute path; one that ends in `/` is a directory.
    pub dest: String,
    /// The owner of what is new, by default 0:0; files of an image keep theirs.
    pub owner: Option<Spanned<Owner>>,
    pub chmod: Option<Chmod>,
    /// A destination that is a symbolic link stands for what it leads to.
    pub follow: bool,
    /// Sources keep their directories.
    pub parents: bool,
    /// Sources that are tar files are unpacked.
    pub unpack: bool,
    /// Patterns of what is left out below a source.
    pub exclude: Vec<String>,
    /// Patterns of what the workspace, or the directory, does not show.
    pub ignore: Vec<String>,
}

impl Place {
    /// A layer that makes the directory `dest`.
    pub fn at(dest: String) -> Self {
        Place {
            instruction: String::new(),
            from: None,
            directory: None,
            srcs: Vec::new(),
            contents: Vec::new(),
            dest,
            owner: None,
            chmod: None,
            follow: true,
            parents: false,
            unpack: false,
            exclude: Vec::new(),
            ignore: Vec::new(),
        }
    }
}
