//! Directories outside of the workspace.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// A directory to which the command line gave a name. What is built from it is decided by what it holds, never by where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDirectory {
    pub name: String,
    pub root: PathBuf,
}

impl Serialize for NamedDirectory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}
