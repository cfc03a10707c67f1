//! Why a layer has to be made again, each reason with what was and what is.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use crate::entry::{Entry, Kind};
use crate::format::Compression;
use crate::path::ImagePath;

use super::key::LayerPreimage;

/// The reason of a miss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Miss {
    /// No build of this step is on record.
    NotBuiltBefore,
    /// What the last build made of this very input is no longer in the store.
    ResultGone,
    /// Another encoding.
    Encoding { old: String, new: String },
    /// Another compression.
    Compression { old: Compression, new: Compression },
    /// Other entries.
    Entries { changes: Vec<EntryChange> },
    /// Other entries than those of the last build, whose list is no longer in the store.
    EntriesUnknown,
}

/// How one path of a layer differs from the last build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryChange {
    pub path: ImagePath,
    #[serde(flatten)]
    pub kind: ChangeKind,
}

/// What happened to a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    Removed,
    Changed { fields: Vec<FieldChange> },
}

/// A field of an entry, old and new, as a person reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    pub field: &'static str,
    pub old: String,
    pub new: String,
}

impl Miss {
    /// The reason why `new` is not what was made last, as `old`. `entries` are the layer's entries now, `before` those
    /// of the last build, if they can still be had.
    pub fn between(old: &LayerPreimage, new: &LayerPreimage, before: Option<&[Entry]>, entries: &[Entry]) -> Miss {
        if old == new {
            return Miss::ResultGone;
        }
        if old.encoding != new.encoding {
            return Miss::Encoding { old: old.encoding.clone(), new: new.encoding.clone() };
        }
        if old.compression != new.compression {
            return Miss::Compression { old: old.compression, new: new.compression };
        }
        match before {
            Some(before) => Miss::Entries { changes: changes(before, entries) },
            None => Miss::EntriesUnknown,
        }
    }
}

/// One line.
impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Miss::NotBuiltBefore => f.write_str("not built before"),
            Miss::ResultGone => f.write_str("its result is no longer in the store"),
            Miss::Encoding { old, new } => write!(f, "encoding changed from {old} to {new}"),
            Miss::Compression { old, new } => write!(f, "compression changed from {old:?} to {new:?}"),
            Miss::EntriesUnknown => f.write_str("its files changed; the list of the old ones is gone"),
            Miss::Entries { changes } => match changes.as_slice() {
                [] => f.write_str("its entries are in another order"),
                [one] => one.fmt(f),
                [first, rest @ ..] => write!(f, "{first}, and {} more", rest.len()),
            },
        }
    }
}

impl fmt::Display for EntryChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ChangeKind::Added => write!(f, "{} is new", self.path),
            ChangeKind::Removed => write!(f, "{} is gone", self.path),
            ChangeKind::Changed { fields } => {
                let fields: Vec<&str> = fields.iter().map(|field| field.field).collect();
                write!(f, "{} of {} changed", fields.join(" and "), self.path)
            }
        }
    }
}

/// The paths in which two lists differ, both sorted bytewise by path as every layer's list is.
fn changes(old: &[Entry], new: &[Entry]) -> Vec<EntryChange> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.path.cmp(&new.path),
        };
        let before = if order == Ordering::Greater { None } else { old.next() };
        let after = if order == Ordering::Less { None } else { new.next() };
        match (before, after) {
            (Some(before), Some(after)) if before == after => {}
            (Some(before), Some(after)) => {
                let kind = ChangeKind::Changed { fields: fields(before, after) };
                changes.push(EntryChange { path: after.path.clone(), kind });
            }
            (Some(before), None) => changes.push(EntryChange { path: before.path.clone(), kind: ChangeKind::Removed }),
            (None, Some(after)) => changes.push(EntryChange { path: after.path.clone(), kind: ChangeKind::Added }),
            (None, None) => return changes,
        }
    }
}

fn fields(old: &Entry, new: &Entry) -> Vec<FieldChange> {
    let (a, b) = (&old.metadata, &new.metadata);
    let mode = |mode: u32| format!("{mode:04o}");
    let xattrs = |entry: &Entry| entry.metadata.xattrs.keys().cloned().collect::<Vec<_>>().join(" ");
    let rows = [
        ("content", describe(&old.kind), describe(&new.kind), old.kind != new.kind),
        ("mode", mode(a.mode), mode(b.mode), a.mode != b.mode),
        ("owner", format!("{}:{}", a.uid, a.gid), format!("{}:{}", b.uid, b.gid), (a.uid, a.gid) != (b.uid, b.gid)),
        ("time", a.mtime.to_string(), b.mtime.to_string(), a.mtime != b.mtime),
        ("extended attributes", xattrs(old), xattrs(new), a.xattrs != b.xattrs),
    ];
    let changed = rows.into_iter().filter(|(.., changed)| *changed);
    changed.map(|(field, old, new, _)| FieldChange { field, old, new }).collect()
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::File { content } => format!("file of {} bytes, {}", content.size, content.digest),
        Kind::Symlink { target } => format!("symbolic link to {}", String::from_utf8_lossy(target)),
        Kind::HardLink { target } => format!("hard link to {target}"),
        other => other.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Content, Metadata};

    fn file(path: &str, text: &str) -> Entry {
        let content = Content::inline(text.as_bytes());
        let path = ImagePath::parse(path).unwrap();
        Entry { path, metadata: Metadata::root_owned(0o644, 0), kind: Kind::File { content } }
    }

    #[test]
    fn changes_name_every_path_and_field() {
        let mut moved = file("c", "same");
        moved.metadata.mode = 0o600;
        moved.metadata.uid = 5;
        let found = changes(
            &[file("a", "old"), file("b", "gone"), file("c", "same"), file("d", "same")],
            &[file("a", "new"), moved, file("d", "same"), file("e", "fresh")],
        );
        let lines: Vec<String> = found.iter().map(EntryChange::to_string).collect();
        assert_eq!(lines, ["content of /a changed", "/b is gone", "mode and owner of /c changed", "/e is new"]);
        let miss = Miss::Entries { changes: found };
        assert_eq!(miss.to_string(), "content of /a changed, and 3 more");
    }
}
