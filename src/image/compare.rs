//! Where two images differ, as whoever runs them sees it: the config field by field and the file tree entry by entry.
//! History and the boundaries of layers say how an image was made, not what it is: they are only counted.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::entry::{Entry, Kind};
use crate::oci::ImageConfig;
use crate::path::ImagePath;
use crate::store::Store;

use super::{Image, ImageError, contents};

/// What [`compare`] found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Fields of the config, and entries of the tree, that differ.
    pub differences: Vec<Difference>,
    /// How much was compared, of the first image and of the second.
    pub sizes: [Size; 2],
}

/// One thing that is not the same in both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub place: Place,
    /// What differs there: `mode`, `content`; nothing where one of them lacks the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aspect: Option<&'static str>,
    /// What the first has, in a few words; `None` if nothing.
    pub first: Option<String>,
    pub second: Option<String>,
}

/// Where two images differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A field of the config, as in `config.Labels.version`.
    Config(String),
    /// A path of the tree.
    Path(ImagePath),
}

/// How large an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Fields of the config.
    pub fields: usize,
    pub entries: usize,
    pub layers: usize,
    pub history: usize,
}

/// Compares two images whose layers are in the store: of the tree names, types, modes, owners, contents, links, extended
/// attributes and, with `times`, modification times.
///
/// # Errors
/// A layer cannot be read, or does not fit on those below it.
pub fn compare(store: &Store, first: &Image, second: &Image, times: bool) -> Result<Comparison, ImageError> {
    let mut differences = Vec::new();
    let configs = [first, second].map(|image| config(image.config()));
    fields("", Some(&configs[0]), Some(&configs[1]), &mut differences);
    let trees = [contents::tree(store, first)?, contents::tree(store, second)?];
    let [mut left, mut right] = trees.each_ref().map(|tree| tree.entries().peekable());
    let mut counted = [0, 0];
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some(a), Some(b)) => a.path.cmp(&b.path),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
        };
        let a = order.is_le().then(|| left.next()).flatten();
        let b = order.is_ge().then(|| right.next()).flatten();
        counted[0] += usize::from(a.is_some());
        counted[1] += usize::from(b.is_some());
        entries(a.as_ref(), b.as_ref(), times, &mut differences);
    }
    let size = |image: &Image, at: usize| Size {
        fields: leaves(&configs[at]),
        entries: counted[at],
        layers: image.layers().len(),
        history: image.config().history.len(),
    };
    Ok(Comparison { differences, sizes: [size(first, 0), size(second, 1)] })
}

/// The config without what only says how the image was made.
fn config(config: &ImageConfig) -> Json {
    let mut json = serde_json::to_value(config).unwrap_or_default();
    if let Some(fields) = json.as_object_mut() {
        fields.remove("history");
        fields.remove("rootfs");
    }
    json
}

fn leaves(json: &Json) -> usize {
    json.as_object().map_or(1, |fields| fields.values().map(leaves).sum())
}

fn fields(path: &str, first: Option<&Json>, second: Option<&Json>, found: &mut Vec<Difference>) {
    let maps = (first.and_then(Json::as_object), second.and_then(Json::as_object));
    match maps {
        (Some(a), Some(b)) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                fields(&path, a.get(key), b.get(key), found);
            }
        }
        _ if first != second => found.push(Difference {
            place: Place::Config(path.to_owned()),
            aspect: None,
            first: first.map(Json::to_string),
            second: second.map(Json::to_string),
        }),
        _ => {}
    }
}

fn entries(first: Option<&Entry>, second: Option<&Entry>, times: bool, found: &mut Vec<Difference>) {
    let (Some(a), Some(b)) = (first, second) else {
        let Some(one) = first.or(second) else { return };
        let (first, second) = (first.map(described), second.map(described));
        found.push(Difference { place: Place::Path(one.path.clone()), aspect: None, first, second });
        return;
    };
    let mut differ = |aspect: &'static str, first: String, second: String| {
        if first != second {
            let place = Place::Path(a.path.clone());
            found.push(Difference { place, aspect: Some(aspect), first: Some(first), second: Some(second) });
        }
    };
    if a.kind.name() != b.kind.name() {
        return differ("type", a.kind.name().into(), b.kind.name().into());
    }
    differ("content", content(&a.kind), content(&b.kind));
    // The metadata of a further name is that of the first.
    if matches!(a.kind, Kind::HardLink { .. }) {
        return;
    }
    differ("mode", format!("{:04o}", a.metadata.mode), format!("{:04o}", b.metadata.mode));
    let owner = |entry: &Entry| format!("{}:{}", entry.metadata.uid, entry.metadata.gid);
    differ("owner", owner(a), owner(b));
    if times {
        differ("time", a.metadata.mtime.to_string(), b.metadata.mtime.to_string());
    }
    let attributes = a.metadata.xattrs.keys().chain(b.metadata.xattrs.keys()).collect::<BTreeSet<_>>();
    for name in attributes {
        let value =
            |entry: &Entry| entry.metadata.xattrs.get(name).map(|value| format!("{name}={}", value.escape_ascii()));
        differ("attribute", value(a).unwrap_or_default(), value(b).unwrap_or_default());
    }
}

/// What a node holds, for comparison and to be read.
fn content(kind: &Kind) -> String {
    match kind {
        Kind::File { content } => format!("{} bytes, {}", content.size, content.digest),
        Kind::Symlink { target } => format!("-> {}", target.escape_ascii()),
        Kind::HardLink { target } => format!("the same file as {target}"),
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => format!("{major}:{minor}"),
        _ => String::new(),
    }
}

fn described(entry: &Entry) -> String {
    let Entry { metadata, kind, .. } = entry;
    let text = format!("{} {:04o} {}:{} {}", kind.name(), metadata.mode, metadata.uid, metadata.gid, content(kind));
    text.trim_end().to_owned()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Config(field) => f.write_str(field),
            Place::Path(path) => path.fmt(f),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: ", self.place)?;
        self.aspect.iter().try_for_each(|aspect| write!(f, "{aspect} "))?;
        write!(f, "{} | {}", side(&self.first), side(&self.second))
    }
}

impl fmt::Display for Comparison {
    /// A line for each difference, and one for what was compared.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.differences.iter().try_for_each(|difference| writeln!(f, "{difference}"))?;
        let [a, b] = &self.sizes;
        writeln!(
            f,
            "{} {} in {} | {} config fields and {} | {} entries; not compared: {} | {} layers, {} | {} history entries",
            self.differences.len(),
            if self.differences.len() == 1 { "difference" } else { "differences" },
            a.fields,
            b.fields,
            a.entries,
            b.entries,
            a.layers,
            b.layers,
            a.history,
            b.history,
        )
    }
}
