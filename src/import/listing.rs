//! The files of the context, as far as COPY sees them.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::path::WorkspacePath;
use crate::source::{IgnorePatterns, PathPattern, SourceKind, Workspace};

use super::known::parent;

/// Links are followed as often; path_resolution(7).
const MOST_LINKS: usize = 40;

/// The package, with what lies in it.
pub(super) struct Listing<'a> {
    workspace: &'a Workspace,
    package: &'a WorkspacePath,
    found: BTreeMap<String, Found>,
    ignore: IgnorePatterns,
    /// The patterns of `ignore`, as written.
    pub(super) patterns: Vec<String>,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    File { executable: bool },
    Directory,
    Link(String),
}

impl<'a> Listing<'a> {
    /// Reads the package. What ocify itself puts there does not count.
    ///
    /// # Errors
    /// A directory that cannot be read, a pattern that is malformed.
    pub(super) fn read(
        workspace: &'a Workspace,
        package: &'a WorkspacePath,
        ignore: &[String],
        own: &[&str],
    ) -> Result<Self, Diagnostic> {
        let mut found = BTreeMap::new();
        for file in workspace.collect(package)? {
            let Ok(path) = std::str::from_utf8(file.path.as_bytes()) else { continue };
            let path = path.strip_prefix(package.as_str()).unwrap_or(path).trim_start_matches('/');
            let kind = match file.kind {
                SourceKind::File { executable } => Found::File { executable },
                SourceKind::Directory => Found::Directory,
                SourceKind::Symlink { target } => Found::Link(String::from_utf8_lossy(&target).into_owned()),
            };
            if !own.contains(&path) && !path.is_empty() {
                found.insert(path.to_owned(), kind);
            }
        }
        let matcher = IgnorePatterns::new(ignore).map_err(|error| Diagnostic::spec(error.to_string()))?;
        Ok(Listing { workspace, package, found, ignore: matcher, patterns: ignore.to_vec() })
    }

    /// What lies at a path, unless it is ignored.
    pub(super) fn get(&self, path: &str) -> Option<Found> {
        match path {
            "" => Some(Found::Directory),
            path => self.found.get(path).filter(|_| !self.ignore.is_ignored(path.as_bytes())).cloned(),
        }
    }

    /// Where a path leads, links followed.
    pub(super) fn resolve(&self, path: &str) -> Option<(String, Found)> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            match self.get(&path)? {
                Found::Link(target) => {
                    path = relative(if target.starts_with('/') { "" } else { parent(&path) }, &target)
                }
                found => return Some((path, found)),
            }
        }
        None
    }

    /// The paths below a directory that neither `.dockerignore` nor `exclude`, relative to the directory, leaves out.
    pub(super) fn below(&self, directory: &str, exclude: &IgnorePatterns) -> Vec<(&str, &Found)> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let wanted = |(path, _): &(&String, &Found)| {
            let rest = path.strip_prefix(&prefix).unwrap_or_default();
            path.starts_with(&prefix)
                && !self.ignore.is_ignored(path.as_bytes())
                && !exclude.is_ignored(rest.as_bytes())
        };
        self.found.iter().filter(wanted).map(|(path, found)| (path.as_str(), found)).collect()
    }

    /// The paths that a pattern of COPY matches, name by name; with `deep`, `**` stands for any directories.
    pub(super) fn matching(&self, pattern: &str, deep: bool) -> Vec<(&str, &Found)> {
        let plain = if deep { pattern.to_owned() } else { single_stars(pattern) };
        let Ok(compiled) = PathPattern::new(&plain) else { return Vec::new() };
        let is_match = |path: &str| compiled.matches(path.as_bytes()) && !self.ignore.is_ignored(path.as_bytes());
        let found = self.found.iter().filter(|(path, _)| is_match(path));
        found.map(|(path, found)| (path.as_str(), found)).collect()
    }

    /// What a `glob` of the spec would find.
    pub(super) fn glob(&self, include: &[String], exclude: &[String]) -> Option<BTreeSet<String>> {
        Some(self.workspace.glob(self.package, include, exclude).ok()?.into_iter().collect())
    }

    /// What a pattern of `.dockerignore` matches now: directories, and files.
    pub(super) fn matched(&self, pattern: &str) -> (bool, bool) {
        let Ok(compiled) = PathPattern::new(pattern) else { return (false, false) };
        let matched = self.found.iter().filter(|(path, _)| compiled.matches(path.as_bytes()));
        matched.fold((false, false), |(directories, files), (_, found)| match found {
            Found::Directory => (true, files),
            _ => (directories, true),
        })
    }

    /// The path on this machine.
    pub(super) fn open(&self, path: &str) -> Option<std::fs::File> {
        self.workspace.open_file(&self.package.join(&WorkspacePath::parse(path).ok()?)).ok()
    }
}

/// `path` from the directory `from`, without `.` and `..`, which does not lead above the context.
pub(super) fn relative(from: &str, path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in from.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

/// `**` is `*` to COPY.
fn single_stars(pattern: &str) -> String {
    let mut single = pattern.to_owned();
    while single.contains("**") {
        single = single.replace("**", "*");
    }
    single
}
