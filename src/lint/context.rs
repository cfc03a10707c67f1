//! The files that COPY sees: their names and sizes.

use std::cell::OnceCell;
use std::io::BufReader;

use crate::archive::read::is_tar;
use crate::path::WorkspacePath;
use crate::source::{Choice, IgnorePatterns, PathPattern, SourceKind, Workspace};

/// The context's files, read when a rule first asks for them.
pub(super) struct Context<'a> {
    workspace: Option<&'a Workspace>,
    ignored: &'a [String],
    files: OnceCell<Option<Vec<ContextFile>>>,
}

/// A file or link of the context that is not ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContextFile {
    /// Relative to the context.
    pub(super) path: String,
    /// In bytes.
    pub(super) size: u64,
}

/// What a source of COPY takes.
pub(super) struct Taken<'a> {
    /// Where the file comes to lie, relative to the destination if that is a directory.
    pub(super) below: &'a str,
    pub(super) file: &'a ContextFile,
    /// It was found in a directory that the source names.
    pub(super) is_nested: bool,
}

impl<'a> Context<'a> {
    pub(super) fn new(workspace: Option<&'a Workspace>, ignored: &'a [String]) -> Self {
        Context { workspace, ignored, files: OnceCell::new() }
    }

    /// All files; none if the context cannot be read.
    pub(super) fn files(&self) -> &[ContextFile] {
        self.files.get_or_init(|| self.read()).as_deref().unwrap_or(&[])
    }

    /// What a source takes, a pattern or a path, of which variables are expanded.
    pub(super) fn taken(&self, source: &str) -> Vec<Taken<'_>> {
        let source = clean(source);
        let depth = if source.is_empty() { 0 } else { source.split('/').count() };
        let Ok(pattern) = PathPattern::new(&source) else { return Vec::new() };
        let mut taken = Vec::new();
        for file in self.files() {
            let ends = if depth == 0 { None } else { slashes(&file.path).nth(depth - 1) };
            let (head, below) = match (depth, ends) {
                (0, _) => ("", file.path.as_str()),
                (_, Some(end)) => (&file.path[..end], &file.path[end + 1..]),
                (_, None) => (file.path.as_str(), file.path.rsplit('/').next().unwrap_or("")),
            };
            if depth == 0 || (head.split('/').count() == depth && pattern.matches(head.as_bytes())) {
                taken.push(Taken { below, file, is_nested: depth == 0 || ends.is_some() });
            }
        }
        taken
    }

    /// True if there is a file or directory of this name that is ignored by no pattern, `.git` included.
    pub(super) fn has(&self, name: &str) -> bool {
        let ignored = IgnorePatterns::new(self.ignored).is_ok_and(|patterns| patterns.is_ignored(name.as_bytes()));
        let kind = |path| self.workspace.and_then(|workspace| workspace.kind(&path).ok().flatten());
        !ignored && WorkspacePath::parse(name).ok().and_then(kind).is_some()
    }

    /// True for what ADD unpacks: a tar, also compressed. Its name is not asked.
    pub(super) fn is_archive(&self, file: &ContextFile) -> bool {
        let opened = self.workspace.zip(WorkspacePath::parse(&file.path).ok());
        let opened = opened.and_then(|(workspace, path)| workspace.open_file(&path).ok());
        opened.is_some_and(|opened| is_tar(BufReader::new(opened)))
    }

    fn read(&self) -> Option<Vec<ContextFile>> {
        let patterns = IgnorePatterns::new(self.ignored).ok()?;
        let choose = |path: &[u8], is_directory: bool| match patterns.is_ignored(path) {
            false => Choice::Take,
            true if is_directory && patterns.takes_back() => Choice::Enter,
            true => Choice::Leave,
        };
        let files = self.workspace?.collect_chosen(&WorkspacePath::root(), &choose).ok()?.into_iter();
        let files = files.filter(|file| file.kind != SourceKind::Directory);
        let file = |file: crate::source::SourceFile| ContextFile {
            path: String::from_utf8_lossy(file.path.as_bytes()).into_owned(),
            size: file.size(),
        };
        Some(files.map(file).collect())
    }
}

/// A source without what does not change its meaning: slashes at its ends, `.`; `..` stays in the context.
pub(super) fn clean(source: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in source.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

fn slashes(path: &str) -> impl Iterator<Item = usize> {
    path.match_indices('/').map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn sources_take_files_and_what_is_in_directories() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["a.txt", "src/b.txt", "src/deep/c.txt", "no/x", ".env"] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "12345").unwrap();
        }
        let workspace = Workspace::at(directory.path()).unwrap();
        let ignored = ["no".to_owned()];
        let context = Context::new(Some(&workspace), &ignored);
        let cases: &[(&str, &[(&str, &str)])] = &[
            (
                ".",
                &[
                    (".env", ".env"),
                    ("a.txt", "a.txt"),
                    ("src/b.txt", "src/b.txt"),
                    ("src/deep/c.txt", "src/deep/c.txt"),
                ],
            ),
            ("/src/", &[("src/b.txt", "b.txt"), ("src/deep/c.txt", "deep/c.txt")]),
            ("./src/*.txt", &[("src/b.txt", "b.txt")]),
            ("*", &[(".env", ".env"), ("a.txt", "a.txt"), ("src/b.txt", "b.txt"), ("src/deep/c.txt", "deep/c.txt")]),
            ("a.txt", &[("a.txt", "a.txt")]),
            ("no", &[]),
            ("[", &[]),
        ];
        for (source, expected) in cases {
            let taken = context.taken(source);
            let found: Vec<_> = taken.iter().map(|taken| (taken.file.path.as_str(), taken.below)).collect();
            assert_eq!(found, *expected, "{source}");
        }
        assert!(context.has(".env") && !context.has("no") && !context.has("nothing"));
        assert_eq!(context.files()[0].size, 5);
    }
}
