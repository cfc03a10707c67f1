//! Selecting files by pattern: the one way in which evaluation sees the file tree.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::{FileType, OFlags};

use crate::path::WorkspacePath;

use super::error::SourceError;
use super::walk::{Visit, walk};
use super::workspace::{Workspace, named};

impl Workspace {
    /// The files of a package that match one of `include` and none of `exclude`: paths relative to the package, sorted
    /// bytewise.
    ///
    /// `*` and `?` match within one name, a leading dot included, `[a-z]` one character of a set, `{a,b}` either
    /// pattern, and `**` as a whole component any number of directories. Case always matters. Files and symbolic links
    /// match, directories do not; a link to a directory matches as the link that it is. Sub-packages (a sub-directory
    /// with its own `BUILD.star`), nested workspaces and `.git` are not entered.
    ///
    /// # Errors
    /// A pattern that is malformed, absolute, or has an empty, `.` or `..` component; a match whose name a spec cannot
    /// write (not UTF-8, a backslash, a control character); a directory that cannot be read.
    pub fn glob(
        &self,
        package: &WorkspacePath,
        include: &[String],
        exclude: &[String],
    ) -> Result<Vec<String>, SourceError> {
        let selection = Selection::new(include, exclude)?;
        let top = self.open(package, OFlags::PATH | OFlags::DIRECTORY)?;
        let shown = Path::new(package.as_str());
        let mut matches = walk(&top, shown, |directory| {
            let below = !directory.path.as_os_str().is_empty();
            if below && (directory.has_file(Workspace::SPEC) || directory.has_file(Workspace::SETTINGS)) {
                return Ok(Visit::nothing());
            }
            let mut visit = Visit::nothing();
            for item in &directory.items {
                let path = directory.path.join(&item.name);
                match item.file_type {
                    FileType::Directory if selection.enters(&path) => visit.enter.push(item.name.clone()),
                    FileType::RegularFile | FileType::Symlink if selection.takes(&path) => {
                        named(&shown.join(&path))?;
                        visit.found.push(named(&path)?.into());
                    }
                    _ => {}
                }
            }
            Ok(visit)
        })?;
        matches.sort_unstable();
        Ok(matches)
    }
}

/// The patterns of one call.
struct Selection {
    include: GlobSet,
    exclude: GlobSet,
    /// Directories in which a match of `include` may lie. `src/*.py` must not cost a walk through all else.
    way: GlobSet,
    /// Directories of which `exclude` leaves nothing.
    closed: GlobSet,
}

impl Selection {
    fn new(include: &[String], exclude: &[String]) -> Result<Self, SourceError> {
        let mut way = Vec::new();
        for pattern in include {
            check(pattern)?;
            way.extend(directories_on_the_way(pattern));
        }
        let mut closed = Vec::new();
        for pattern in exclude {
            check(pattern)?;
            closed.extend(pattern.strip_suffix("/**").filter(|directory| is_plain(directory)).map(str::to_owned));
        }
        Ok(Selection {
            include: compile(include)?,
            exclude: compile(exclude)?,
            way: compile(&way)?,
            closed: compile(&closed)?,
        })
    }

    fn takes(&self, file: &Path) -> bool {
        self.include.is_match(file) && !self.exclude.is_match(file)
    }

    fn enters(&self, directory: &Path) -> bool {
        self.way.is_match(directory) && !self.closed.is_match(directory)
    }
}

fn check(pattern: &str) -> Result<(), SourceError> {
    let fail = |reason: &str| Err(SourceError::Pattern { pattern: pattern.to_owned(), reason: reason.to_owned() });
    if pattern.is_empty() {
        return fail("is empty");
    }
    if pattern.starts_with('/') {
        return fail("is absolute; patterns are relative to the package's directory");
    }
    if pattern.ends_with('/') {
        return fail("ends with a slash, but only files match: write `**` behind it");
    }
    for component in pattern.split('/') {
        match component {
            ".." => return fail("has a `..` component; a package sees only the files below its own directory"),
            "" | "." => return fail("has an empty or `.` component, which matches nothing"),
            "**" => {}
            _ if component.contains("**") && is_plain(component) => {
                return fail("has `**` beside other characters; it stands alone between slashes");
            }
            _ => {}
        }
    }
    Ok(())
}

/// For `a/*/**/x`: the patterns `a`, `a/*` and `a/*/**`. A component that may hide a slash (`{a/b,c}`, `[!a]`, an escape)
/// opens all that is below, as `**` does.
fn directories_on_the_way(pattern: &str) -> Vec<String> {
    let components: Vec<&str> = pattern.split('/').collect();
    let mut patterns = Vec::new();
    for (depth, component) in components.iter().enumerate() {
        let before = &components[..depth];
        if *component == "**" || !is_plain(component) {
            patterns.push([before, &["**"]].concat().join("/"));
            break;
        }
        if depth + 1 < components.len() {
            patterns.push(components[..=depth].join("/"));
        }
    }
    patterns
}

/// True if slashes in `pattern` do separate components.
fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['{', '[', '\\'])
}

fn compile(patterns: &[String]) -> Result<GlobSet, SourceError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let fail = |error: globset::Error| SourceError::Pattern {
            pattern: pattern.clone(),
            reason: format!("is malformed: {}", error.kind()),
        };
        set.add(GlobBuilder::new(pattern).literal_separator(true).build().map_err(fail)?);
    }
    // Each pattern compiled alone, so only their sum can be too much for the automaton.
    let all = || patterns.join("`, `");
    set.build().map_err(|error| SourceError::Pattern { pattern: all(), reason: format!("is too large: {error}") })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn workspace(files: &[&str]) -> (TempDir, Workspace) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let workspace = Workspace::at(directory.path()).unwrap();
        (directory, workspace)
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn glob(workspace: &Workspace, include: &[&str], exclude: &[&str]) -> Result<Vec<String>, SourceError> {
        workspace.glob(&WorkspacePath::root(), &strings(include), &strings(exclude))
    }

    #[test]
    fn patterns_match_as_documented() {
        let (_directory, workspace) = workspace(&[
            "a.py",
            "b.PY",
            ".hidden",
            "src/a.py",
            "src/b.txt",
            "src/deep/er/c.py",
            "src/deep/.x/d.py",
            "srcs/e.py",
        ]);
        let cases: &[(&[&str], &[&str], &[&str])] = &[
            (&["*.py"], &[], &["a.py"]),
            (&["*"], &[], &[".hidden", "a.py", "b.PY"]),
            (&["src/*"], &[], &["src/a.py", "src/b.txt"]),
            (&["src/**"], &[], &["src/a.py", "src/b.txt", "src/deep/.x/d.py", "src/deep/er/c.py"]),
            (&["src/**/*.py"], &[], &["src/a.py", "src/deep/.x/d.py", "src/deep/er/c.py"]),
            (&["**/*.py"], &["src/deep/**"], &["a.py", "src/a.py", "srcs/e.py"]),
            (&["**/*.py"], &["**/d.py", "*.py", "src/*.py"], &["src/deep/er/c.py", "srcs/e.py"]),
            (&["**"], &["**"], &[]),
            (&["src/d*/e?/*"], &[], &["src/deep/er/c.py"]),
            (&["src/deep/er/c.py", "a.py", "a.*"], &[], &["a.py", "src/deep/er/c.py"]),
            (&["src/{a.py,deep/er/c.py}"], &[], &["src/a.py", "src/deep/er/c.py"]),
            (&["{src/deep,srcs}/**/[ce].py"], &[], &["src/deep/er/c.py", "srcs/e.py"]),
            (&["[a-b].*"], &[], &["a.py", "b.PY"]),
            (&["none/**"], &[], &[]),
            (&["src"], &[], &[]),
            (&[], &[], &[]),
        ];
        for (include, exclude, expected) in cases {
            assert_eq!(glob(&workspace, include, exclude).unwrap(), strings(expected), "{include:?} - {exclude:?}");
        }
    }

    #[test]
    fn the_order_is_bytewise() {
        let (_directory, workspace) = workspace(&["a/x", "a-b", "a.b", "B", "é", "_"]);
        assert_eq!(glob(&workspace, &["**"], &[]).unwrap(), strings(&["B", "_", "a-b", "a.b", "a/x", "é"]));
    }

    #[test]
    fn other_packages_workspaces_and_git_are_not_entered() {
        let (_directory, workspace) = workspace(&[
            "p/BUILD.star",
            "p/f",
            "p/q/BUILD.star",
            "p/q/f",
            "p/w/ocify.toml",
            "p/w/f",
            "p/.git/f",
            "p/d/f",
        ]);
        let package = WorkspacePath::parse("p").unwrap();
        let found = workspace.glob(&package, &strings(&["**"]), &[]).unwrap();
        assert_eq!(found, strings(&["BUILD.star", "d/f", "f"]));
        assert_eq!(workspace.glob(&package, &strings(&["q/f"]), &[]).unwrap(), strings(&[]));
    }

    #[test]
    fn links_match_as_links_and_special_files_never() {
        let (directory, workspace) = workspace(&["d/f"]);
        symlink("d", directory.path().join("to_directory")).unwrap();
        symlink("/nowhere", directory.path().join("dangling")).unwrap();
        std::os::unix::net::UnixListener::bind(directory.path().join("socket")).unwrap();
        assert_eq!(glob(&workspace, &["**"], &[]).unwrap(), strings(&["d/f", "dangling", "to_directory"]));
    }

    #[test]
    fn names_that_a_spec_cannot_write_are_errors_only_where_they_match() {
        let (directory, workspace) = workspace(&["ok.py"]);
        fs::write(directory.path().join(OsStr::from_bytes(b"caf\xe9.txt")), "").unwrap();
        assert_eq!(glob(&workspace, &["*.py"], &[]).unwrap(), strings(&["ok.py"]));
        let error = glob(&workspace, &["*"], &[]).unwrap_err();
        assert!(matches!(&error, SourceError::Name { path, .. } if path.starts_with("caf")), "{error}");
        assert_eq!(glob(&workspace, &["*"], &["*.txt"]).unwrap(), strings(&["ok.py"]));
    }

    #[test]
    fn bad_patterns_are_named() {
        let (_directory, workspace) = workspace(&[]);
        for pattern in
            ["", "/etc/*", "../x", "a/../b", "./a", "a//b", "a/", "a**", "src/**.py", "[a", "{a", "a]{", "***"]
        {
            let error = glob(&workspace, &["ok", pattern], &[]).unwrap_err();
            assert!(error.to_string().starts_with(&format!("pattern `{pattern}` ")), "{error}");
            assert!(glob(&workspace, &["ok"], &[pattern]).is_err(), "{pattern}");
        }
    }
}
