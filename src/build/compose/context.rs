//! The sources of a COPY or ADD in the workspace, as a tree.

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::entry::{Entry, Kind, Metadata};
use crate::path::{ImagePath, WorkspacePath};
use crate::source::{Choice, IgnorePatterns, PathKind, SourceError, SourceFile, SourceKind, Workspace};
use crate::tree::{Changeset, Tree};

use super::pattern::SourcePattern;
use super::{Composition, insert};

/// As many links may lead to each other; path_resolution(7).
const MOST_LINKS: usize = 40;

/// What the patterns find in `workspace`, without what is ignored, and what links among it lead to.
///
/// # Errors
/// A file that cannot be read, or cannot be in a layer.
pub(super) fn tree(
    patterns: &[SourcePattern],
    ignore: &IgnorePatterns,
    workspace: &Workspace,
    composition: &Composition,
) -> Result<Tree, Diagnostic> {
    let mut context = Context { workspace, ignore, files: Vec::new(), followed: BTreeSet::new() };
    for pattern in patterns {
        context.collect(pattern)?;
    }
    // Patterns may find the same.
    let mut files = context.files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    let kinds = workspace.hash_all(&files, composition.digests)?;
    let mut changes = Changeset::new();
    for (file, kind) in files.into_iter().zip(kinds) {
        let mode = match (&file.kind, &kind) {
            (SourceKind::File { executable: false }, _) => 0o644,
            (_, Kind::Symlink { .. }) => 0o777,
            _ => 0o755,
        };
        let metadata = Metadata::root_owned(mode, composition.epoch);
        if !file.path.is_root() {
            insert(&mut changes, Entry { path: file.path, metadata, kind })?;
        }
    }
    Tree::of_layer(changes).map_err(|error| Diagnostic::failure("the sources contradict each other").caused_by(error))
}

struct Context<'a> {
    workspace: &'a Workspace,
    ignore: &'a IgnorePatterns,
    files: Vec<SourceFile>,
    /// Links whose targets were collected.
    followed: BTreeSet<ImagePath>,
}

impl Context<'_> {
    fn collect(&mut self, pattern: &SourcePattern) -> Result<(), Diagnostic> {
        let top = workspace_path(&pattern.top())?;
        match self.workspace.kind(&top)? {
            None => return Ok(()),
            Some(PathKind::Symlink) => return self.follow_top(&top, pattern),
            Some(_) => {}
        }
        let choose = |path: &[u8], is_directory: bool| {
            let ignored = self.ignore.is_ignored(path);
            match (pattern.wants(path), pattern.may_lead_to(path) && is_directory) {
                (true, _) if !ignored => Choice::Take,
                (true, _) | (_, true) if is_directory && (!ignored || self.ignore.takes_back()) => Choice::Enter,
                _ => Choice::Leave,
            }
        };
        let found = match self.workspace.collect_chosen(&top, &choose) {
            // It was removed in between, or a file stands where a directory should.
            Err(SourceError::NotFound { .. } | SourceError::NotADirectory { .. }) => return Ok(()),
            found => found?,
        };
        let mut links = Vec::new();
        for (at, file) in found.into_iter().enumerate() {
            let bytes = file.path.as_bytes();
            // The top itself, which comes first, was not asked about.
            if at == 0 && (!pattern.wants(bytes) || self.ignore.is_ignored(bytes)) {
                continue;
            }
            if let (SourceKind::Symlink { target }, true) = (&file.kind, pattern.is_match(bytes)) {
                links.push((file.path.clone(), target.clone()));
            }
            self.files.push(file);
        }
        links.into_iter().try_for_each(|(link, target)| self.follow(&link, &target))
    }

    /// The top of a pattern is a link: what it leads to, and the link itself.
    fn follow_top(&mut self, top: &WorkspacePath, pattern: &SourcePattern) -> Result<(), Diagnostic> {
        let found = self.workspace.collect(top)?;
        for file in found {
            if self.ignore.is_ignored(file.path.as_bytes()) {
                continue;
            }
            let SourceKind::Symlink { target } = file.kind.clone() else { continue };
            let link = file.path.clone();
            self.files.push(file);
            let rest = pattern.below_top();
            self.collect_at(&link, &target, &rest)?;
        }
        Ok(())
    }

    fn follow(&mut self, link: &ImagePath, target: &[u8]) -> Result<(), Diagnostic> {
        self.collect_at(link, target, "")
    }

    /// Collects `rest` below where a link leads.
    fn collect_at(&mut self, link: &ImagePath, target: &[u8], rest: &str) -> Result<(), Diagnostic> {
        if self.followed.len() > MOST_LINKS || !self.followed.insert(link.clone()) {
            return Ok(());
        }
        let from = if target.starts_with(b"/") { None } else { link.parent() };
        let joined = from.map_or(Vec::new(), |parent| parent.as_bytes().to_vec());
        let path = clamped(&[&joined, &b"/"[..], target].concat());
        let Ok(path) = String::from_utf8(path) else { return Ok(()) };
        let pattern = if rest.is_empty() { SourcePattern::literal(&path) } else { SourcePattern::below(&path, rest)? };
        self.collect(&pattern)
    }
}

/// A path without `.` and `..`; at the root, `..` stays there.
pub(super) fn clamped(path: &[u8]) -> Vec<u8> {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(components.pop()),
            name => components.push(name),
        }
    }
    components.join(&b'/')
}

fn workspace_path(path: &str) -> Result<WorkspacePath, Diagnostic> {
    WorkspacePath::parse(path).map_err(|error| Diagnostic::spec(error.to_string()))
}
