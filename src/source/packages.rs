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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn packages_are_sorted_and_do_not_follow_links() {
        let root = tempfile::tempdir().unwrap();
        for package in ["", "b", "a/x", "a-b", "a", "deep/er/and/deeper", ".hidden", "nested/inner", ".git/x", "target"]
        {
            fs::create_dir_all(root.path().join(package)).unwrap();
            fs::write(root.path().join(package).join("BUILD.star"), "").unwrap();
        }
        fs::write(root.path().join("ocify.toml"), "").unwrap();
        fs::write(root.path().join("nested/ocify.toml"), "").unwrap();
        fs::create_dir_all(root.path().join("no_package/BUILD.star")).unwrap();
        symlink("a", root.path().join("link")).unwrap();
        let workspace = Workspace::at(root.path()).unwrap();
        let packages = |below: &str| {
            let packages = workspace.packages(&WorkspacePath::parse(below).unwrap())?;
            Ok::<_, SourceError>(packages.iter().map(|package| package.to_string()).collect::<Vec<_>>())
        };
        let all = ["", ".hidden", "a", "a-b", "a/x", "b", "deep/er/and/deeper", "target"];
        assert_eq!(packages("").unwrap(), all);
        assert_eq!(packages("a").unwrap(), ["a", "a/x"]);
        assert_eq!(packages("no_package").unwrap(), [""; 0]);
        assert!(matches!(packages("gone"), Err(SourceError::NotFound { .. })));
        assert!(matches!(packages("a/BUILD.star"), Err(SourceError::NotADirectory { .. })));
    }
}
