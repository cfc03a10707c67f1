//! What COPY leaves out of a directory, as patterns of `glob`.

use crate::source::IgnorePatterns;

use super::listing::{Found, Listing};

/// Names that are those of directories, where nothing of the name is there to look at.
const DIRECTORIES: [&str; 22] = [
    ".cache",
    ".github",
    ".idea",
    ".mypy_cache",
    ".next",
    ".pytest_cache",
    ".svn",
    ".venv",
    ".vscode",
    "__pycache__",
    "bin",
    "build",
    "coverage",
    "dist",
    "docs",
    "logs",
    "node_modules",
    "obj",
    "out",
    "target",
    "tmp",
    "venv",
];

/// Which files of a directory are taken: `glob(include, exclude)`, and what later patterns take back.
#[derive(Debug, PartialEq)]
pub(super) struct Chosen {
    /// Calls of `glob`, of which the results are added.
    pub(super) globs: Vec<(Vec<String>, Vec<String>)>,
    /// Directories in which nothing is left, and which COPY makes all the same.
    pub(super) empty: Vec<String>,
    /// The files, where no patterns say which they are.
    pub(super) listed: Option<Vec<String>>,
}

/// What COPY takes of `directory`; `None` if that is all, now and later. `exclude` is relative to it.
pub(super) fn chosen(directory: &str, exclude: &[String], own: &[String], listing: &Listing) -> Option<Chosen> {
    let own = if directory.is_empty() { own } else { &[] };
    let mut patterns: Vec<String> = listing.patterns.iter().filter(|one| may_matter(one, directory)).cloned().collect();
    let below = |pattern: &String| match (pattern.strip_prefix('!'), directory) {
        (_, "") => pattern.clone(),
        (Some(rest), _) => format!("!{directory}/{}", rest.trim_start_matches('/')),
        (None, _) => format!("{directory}/{}", pattern.trim_start_matches('/')),
    };
    patterns.extend(exclude.iter().map(below));
    if patterns.is_empty() && own.is_empty() {
        return None;
    }

    let all = if directory.is_empty() { "**".to_owned() } else { format!("{directory}/**") };
    let mut globs: Vec<(Vec<String>, Vec<String>)> = vec![(vec![all], own.to_vec())];
    for pattern in &patterns {
        match pattern.strip_prefix('!') {
            Some(taken_back) => globs.push((globs_of(taken_back, listing), Vec::new())),
            // All that came before is left out: only what is taken back counts.
            None if matches!(pattern.as_str(), "*" | "**") => globs.clear(),
            None => {
                let new = globs_of(pattern, listing);
                globs.iter_mut().for_each(|(_, exclude)| exclude.extend(new.iter().cloned()));
            }
        }
    }
    let excluded = IgnorePatterns::new(exclude).ok()?;
    let taken = listing.below(directory, &excluded);
    let files: Vec<String> =
        taken.iter().filter(|(_, found)| **found != Found::Directory).map(|(path, _)| (*path).to_owned()).collect();
    let is_empty = |path: &str| !taken.iter().any(|(other, _)| is_below(other, path));
    let empty = taken.iter().filter(|(path, found)| **found == Found::Directory && is_empty(path));
    let empty = empty.map(|(path, _)| (*path).to_owned()).collect();

    let mut matched = std::collections::BTreeSet::new();
    let says_it = globs.iter().all(|(include, exclude)| match listing.glob(include, exclude) {
        Some(found) => {
            matched.extend(found);
            true
        }
        None => false,
    });
    let listed = (!says_it || matched.iter().ne(files.iter())).then_some(files);
    Some(Chosen { globs, empty, listed })
}

/// True if the pattern may match something below the directory.
fn may_matter(pattern: &str, directory: &str) -> bool {
    let pattern = pattern.trim_start_matches('!');
    // Never part of a context here.
    if matches!(pattern, ".git" | "**/.git" | ".git/**" | "**/.git/**") {
        return false;
    }
    let (mut ours, mut theirs) = (directory.split('/'), pattern.split('/'));
    loop {
        match (ours.next().filter(|name| !name.is_empty()), theirs.next()) {
            (None, left) => return left.is_some(),
            (Some(_), None) => return false,
            (Some(_), Some(theirs)) if theirs.contains("**") => return true,
            (Some(own), Some(theirs)) if own == theirs || theirs.contains(['*', '?', '[']) => {}
            _ => return false,
        }
    }
}

/// The patterns of `glob` for one of `.dockerignore`: for files, and for what is in directories.
fn globs_of(pattern: &str, listing: &Listing) -> Vec<String> {
    let text = to_glob(pattern);
    if text.ends_with("/**") || text == "**" {
        return vec![text];
    }
    let name = pattern.rsplit('/').next().unwrap_or_default();
    let (directory, file) = match listing.matched(pattern) {
        (false, false) if DIRECTORIES.contains(&name) => (true, false),
        (false, false) => (!name.trim_start_matches('.').contains('.'), true),
        known => known,
    };
    let below = directory.then(|| format!("{text}/**"));
    file.then(|| text.clone()).into_iter().chain(below).collect()
}

/// A pattern as Go writes it, for `glob`.
pub(super) fn to_glob(pattern: &str) -> String {
    pattern.replace('{', "[{]").replace("[^", "[!")
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_patterns_for_the_directory_matter() {
        for (pattern, directory, expected) in [
            ("node_modules", "", true),
            ("node_modules", "src", false),
            ("**/node_modules", "src", true),
            ("src/*.md", "src", true),
            ("src", "src", false),
            ("*/x", "src", true),
            ("!src/keep", "src", true),
            (".git", "", false),
        ] {
            assert_eq!(may_matter(pattern, directory), expected, "{pattern} {directory}");
        }
    }
}
