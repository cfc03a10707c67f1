//! Entries for the tests of this module.

use crate::entry::{Content, Entry, Kind, Metadata};
use crate::path::ImagePath;
use crate::tree::{Changeset, Tree};

pub fn path(text: &str) -> ImagePath {
    ImagePath::parse(text).unwrap()
}

pub fn entry(text: &str, kind: Kind) -> Entry {
    let mode = if kind.is_directory() { 0o755 } else { 0o644 };
    Entry { path: path(text), metadata: Metadata::root_owned(mode, 0), kind }
}

pub fn file(path: &str, text: &str) -> Entry {
    entry(path, Kind::File { content: Content::inline(text.as_bytes()) })
}

pub fn directory(path: &str) -> Entry {
    entry(path, Kind::Directory)
}

pub fn link(path: &str, target: &str) -> Entry {
    entry(path, Kind::Symlink { target: target.as_bytes().into() })
}

pub fn hard_link(text: &str, target: &str) -> Entry {
    entry(text, Kind::HardLink { target: path(target) })
}

pub fn with_mode(mode: u32, mut entry: Entry) -> Entry {
    entry.metadata.mode = mode;
    entry
}

pub fn layer(entries: impl IntoIterator<Item = Entry>) -> Changeset {
    Changeset::from_layer(entries.into_iter().collect()).unwrap()
}

pub fn tree(entries: impl IntoIterator<Item = Entry>) -> Tree {
    Tree::of([&layer(entries)]).unwrap()
}

pub fn paths(entries: impl IntoIterator<Item = Entry>) -> Vec<String> {
    entries.into_iter().map(|entry| entry.path.to_string()).collect()
}

/// A base whose `/lib` is a link, as in every current distribution.
pub fn merged_usr() -> Tree {
    tree([
        link("lib", "usr/lib"),
        file("usr/lib/libc.so", ""),
        with_mode(0o1777, directory("tmp")),
        with_mode(0o700, directory("root")),
        link("var/run", "/run"),
        file("etc/os-release", ""),
    ])
}
