//! The packages of a workspace.

use std::path::Path;

use rustix::fs::OFlags;

use crate::path::WorkspacePath;

use super::error::SourceError;
use super::walk::{Visit, walk};
use super::workspace::{Workspace, named};

impl Workspace {
    /// The directories at and below `below` that have a `BUILD.star`, sorted bytewise. Symbolic links to directories
    /// are not followed, nested workspaces and `.git` not entered.
    ///
    /// # Errors
    /// `below` is not a directory of the workspace, a directory cannot be read, or a package has a path that no label
    /// can name.
    pub fn packages(&self, below: &WorkspacePath) -> Result<Vec<WorkspacePath>, SourceError> {
        let top = self.open(below, OFlags::PATH | OFlags::DIRECTORY)?;
        let shown = Path::new(below.as_str());
        let mut packages = walk(&top, shown, |directory| {
            if directory.has_file(Workspace::SETTINGS) && !directory.path.as_os_str().is_empty() {
                return Ok(Visit::nothing());
            }
            let mut found = Vec::new();
            if directory.has_file(Workspace::SPEC) {
                found.push(named(&shown.join(directory.path))?);
            }
            Ok(Visit { found, enter: directory.subdirectories().map(Into::into).collect() })
        })?;
        packages.sort_unstable();
        Ok(packages)
    }
}
