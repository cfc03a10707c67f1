//! Why a step has to be done again, each reason with what was and what is.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::entry::{Entry, Kind};
use crate::path::ImagePath;

use super::key::{Inputs, Preimage};

/// The reason of a miss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Miss {
    /// No build of this step is on record.
    NotBuiltBefore,
    /// What was made of this very input is no longer in the store.
    ResultGone,
    /// It was asked for that it be made again.
    Anew,
    /// It takes the results of other steps, which have to be done first.
    Waits { steps: Vec<String> },
    /// Other inputs.
    Changed {
        fields: Vec<FieldChange>,
        /// What is behind another list of entries, as far as the old one can still be had.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        entries: Vec<EntryChange>,
    },
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

/// A field of a preimage or an entry, old and new, as a person reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    pub field: Cow<'static, str>,
    /// Absent if there was none.
    pub old: Option<String>,
    /// Absent if there is none any more.
    pub new: Option<String>,
}

/// The field of a layer's preimage that stands for the list of its entries.
const ENTRIES: &str = "entries";

impl Miss {
    /// The reason why `new` is not what was made before, as `old`. For a layer, `before` and `after` are its entries then
    /// and now, where they can be had.
    pub fn between(old: &Preimage, new: &Preimage, before: Option<&[Entry]>, after: Option<&[Entry]>) -> Miss {
        if old == new {
            return Miss::ResultGone;
        }
        let mut fields = differences(&leaves(old), &leaves(new));
        let of_layer = matches!((&old.inputs, &new.inputs), (Inputs::Layer { .. }, Inputs::Layer { .. }));
        let entries = match before.zip(after) {
            Some((before, after)) if of_layer => {
                fields.retain(|change| change.field != ENTRIES);
                changes(before, after)
            }
            _ => Vec::new(),
        };
        Miss::Changed { fields, entries }
    }
}

/// One line.
impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Miss::NotBuiltBefore => f.write_str("not built before"),
            Miss::ResultGone => f.write_str("its result is no longer in the store"),
            Miss::Anew => f.write_str("made anew"),
            Miss::Waits { steps } => write!(f, "depends on {}", steps.join(", ")),
            Miss::Changed { fields, entries } => {
                let first = match (fields.first(), entries.first()) {
                    (Some(field), _) => field.to_string(),
                    (None, Some(entry)) => entry.to_string(),
                    (None, None) => "its entries are in another order".to_owned(),
                };
                match (fields.len() + entries.len()).saturating_sub(1) {
                    0 => f.write_str(&first),
                    more => write!(f, "{first}, and {more} more"),
                }
            }
        }
    }
}

/// Values longer than this are left out of a line.
const SHORT: usize = 40;

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.old, &self.new) {
            _ if self.field == ENTRIES => f.write_str("its files changed; the list of the old ones is gone"),
            (None, _) => write!(f, "{} is new", self.field),
            (_, None) => write!(f, "{} is gone", self.field),
            (Some(old), Some(new)) if old.len().max(new.len()) <= SHORT => {
                write!(f, "{} changed from {old} to {new}", self.field)
            }
            _ => write!(f, "{} changed", self.field),
        }
    }
}

impl fmt::Display for EntryChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ChangeKind::Added => write!(f, "{} is new", self.path),
            ChangeKind::Removed => write!(f, "{} is gone", self.path),
            ChangeKind::Changed { fields } => {
                let fields: Vec<&str> = fields.iter().map(|field| field.field.as_ref()).collect();
                write!(f, "{} of {} changed", fields.join(" and "), self.path)
            }
        }
    }
}

/// The values in a preimage by the path that leads to each, items of a list being counted from 1. What the spec says is
/// called as in the spec.
fn leaves(preimage: &Preimage) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    let value = serde_json::to_value(preimage).expect("a preimage has string keys only");
    collect(&value, String::new(), &mut leaves);
    leaves
}

fn collect(value: &Value, path: String, leaves: &mut BTreeMap<String, String>) {
    let below = |name: &str| match path.as_str() {
        "" | "spec" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Null => {}
        Value::Object(map) => map.iter().for_each(|(name, value)| collect(value, below(name), leaves)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().zip(1..).for_each(|(item, at)| collect(item, below(&at.to_string()), leaves));
        }
        Value::String(text) => drop(leaves.insert(path, text.clone())),
        other => drop(leaves.insert(path, other.to_string())),
    }
}

fn differences(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<FieldChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    let change = |name: &String| FieldChange {
        field: Cow::Owned(name.clone()),
        old: old.get(name).cloned(),
        new: new.get(name).cloned(),
    };
    changed.map(change).collect()
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
    let change = |field, old, new| FieldChange { field: Cow::Borrowed(field), old: Some(old), new: Some(new) };
    changed.map(|(field, old, new, _)| change(field, old, new)).collect()
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
        let miss = Miss::Changed { fields: Vec::new(), entries: found };
        assert_eq!(miss.to_string(), "content of /a changed, and 3 more");
    }
}
