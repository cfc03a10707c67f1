//! A path inside the workspace: what specs name and what evaluation may read.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path relative to the workspace's root: UTF-8, `/` between components, none of them empty, `.` or `..`; the root
/// itself is the empty path. Where the checkout lies never reaches an output, so nothing but this type does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkspacePath(String);

impl WorkspacePath {
    /// The workspace's root directory.
    pub fn root() -> Self {
        WorkspacePath(String::new())
    }

    /// Parses a path relative to the workspace's root. `./a` and `a/` are `a`.
    ///
    /// # Errors
    /// An absolute path, a `..` component, a backslash or a control character.
    pub fn parse(text: &str) -> Result<Self, WorkspacePathError> {
        let fail = |reason| Err(WorkspacePathError { path: text.to_owned(), reason });
        if text.starts_with('/') {
            return fail("is absolute; paths are relative to the package's directory");
        }
        if text.contains('\\') || text.contains(char::is_control) {
            return fail("has a backslash or a control character");
        }
        let components: Vec<&str> = text.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        if components.contains(&"..") {
            return fail("has a `..` component; a package sees only the files below its own directory");
        }
        Ok(WorkspacePath(components.join("/")))
    }

    /// This path with `below` appended.
    pub fn join(&self, below: &WorkspacePath) -> WorkspacePath {
        match (self.is_root(), below.is_root()) {
            (true, _) => below.clone(),
            (_, true) => self.clone(),
            _ => WorkspacePath(format!("{self}/{below}")),
        }
    }

    /// True for the workspace's root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as text, without a leading or trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component; `None` for the root.
    pub fn file_name(&self) -> Option<&str> {
        self.0.rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<WorkspacePath> {
        if self.is_root() {
            return None;
        }
        Some(WorkspacePath(self.0.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned())))
    }

    /// What is left of this path below `directory`; `None` when it does not lie below it.
    pub fn strip_prefix(&self, directory: &WorkspacePath) -> Option<WorkspacePath> {
        if directory.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(directory.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| WorkspacePath(rest.trim_start_matches('/').to_owned()))
    }

    /// Where the path is on this machine's disk, for a workspace at `root`.
    pub fn on_disk(&self, root: &Path) -> PathBuf {
        if self.is_root() { root.to_owned() } else { root.join(&self.0) }
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for WorkspacePath {
    type Error = WorkspacePathError;

    fn try_from(text: String) -> Result<Self, WorkspacePathError> {
        WorkspacePath::parse(&text)
    }
}

impl From<WorkspacePath> for String {
    fn from(path: WorkspacePath) -> String {
        path.0
    }
}

/// A path that cannot be inside the workspace, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path `{path}` {reason}")]
pub struct WorkspacePathError {
    path: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_outside_the_workspace_are_rejected() {
        for text in ["/etc/passwd", "../x", "a/../b", "a\\b", "a\nb"] {
            assert!(WorkspacePath::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn joining_and_stripping_are_inverse() {
        let (package, file) = (WorkspacePath::parse("a/b").unwrap(), WorkspacePath::parse("./c/d/").unwrap());
        assert_eq!(package.join(&file).as_str(), "a/b/c/d");
        assert_eq!(package.join(&file).strip_prefix(&package), Some(file));
        assert_eq!(WorkspacePath::parse("ab").unwrap().strip_prefix(&WorkspacePath::parse("a").unwrap()), None);
    }
}
