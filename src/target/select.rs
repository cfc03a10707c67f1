//! `select`: arguments that differ between platforms. What they are is known only when an image is made for one.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::diagnostic::{At, Diagnostic, Span, Spanned, nearest};
use crate::path::WorkspacePath;
use crate::platform::Platform;

use super::builtin::node;
use super::value::{Node, Value};

/// The key of what is taken on a platform that no other key names.
const DEFAULT: &str = "default";

/// How many values one may hold together with all that is in it.
const SIZE: usize = 1_000_000;

/// How deep values may be nested or added up: each level is a call when the value is resolved.
const DEPTH: usize = 256;

/// The operating systems that a key can name alone, in Go's names.
const SYSTEMS: [&str; 12] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "linux",
    "netbsd",
    "openbsd",
    "solaris",
    "windows",
];

/// `{"linux/amd64": value, "linux": value, "default": value}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// In the order written.
    branches: Vec<(Key, Spanned<Value>)>,
    extent: Extent,
}

/// `left + right`, of which at least one is only known when the platform is: two lists or two texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    left: Spanned<Value>,
    right: Spanned<Value>,
    extent: Extent,
}

/// A call of a builtin in whose arguments something has to be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub builtin: &'static str,
    pub arguments: Spanned<Value>,
    package: WorkspacePath,
    extent: Extent,
}

/// A key of a [`Select`].
#[derive(Clone, Debug, PartialEq)]
enum Key {
    /// `os`, `os/architecture` or `os/architecture/variant`. Without a variant it stands for all of them: what
    /// [`Platform`] takes `linux/arm` for when it is built, is `linux/arm/v7` here.
    Platform {
        os: String,
        architecture: Option<String>,
        variant: Option<String>,
    },
    Default,
}

/// How much there is in a value. It is counted once, since a value can be part of many others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Extent {
    size: usize,
    depth: usize,
}

impl Select {
    /// The select whose keys and values these are.
    ///
    /// # Errors
    /// A key that names no platform, one that is there twice, or none at all.
    pub fn new(pairs: Vec<(Spanned<String>, Spanned<Value>)>, span: Option<&Span>) -> Result<Self, Diagnostic> {
        let mut branches: Vec<(Key, Spanned<Value>)> = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let key: Key = name.value.parse().at(name.span.as_ref())?;
            if branches.iter().any(|(other, _)| *other == key) {
                let error = Diagnostic::spec(format!("`select` has two values for {key}")).at(name.span);
                return Err(error.label("the second").help("take one of them away"));
            }
            branches.push((key, value));
        }
        if branches.is_empty() {
            let error = Diagnostic::spec("`select` has no values").at(span.cloned());
            return Err(error.help("write `{\"linux/amd64\": ..., \"default\": ...}`"));
        }
        let extent = Extent::around(branches.iter().map(|(_, value)| value))?;
        Ok(Select { branches, extent })
    }

    /// The values, in the order written. What replaces one should not be larger by far: it is not counted.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Spanned<Value>> {
        self.branches.iter_mut().map(|(_, value)| value)
    }

    /// The value for `platform`: of several keys that name it, the one that says most.
    fn choose(&self, platform: &Platform) -> Option<&Spanned<Value>> {
        let named = self.branches.iter().filter(|(key, _)| key.names(platform));
        named.min_by_key(|(key, _)| Reverse(key.parts())).map(|(_, value)| value)
    }
}

impl Sum {
    /// `left + right`.
    ///
    /// # Errors
    /// If that grows beyond all bounds.
    pub fn new(left: Spanned<Value>, right: Spanned<Value>) -> Result<Self, Diagnostic> {
        let extent = Extent::around([&left, &right])?;
        Ok(Sum { left, right, extent })
    }

    fn resolve(&self, platform: &Platform) -> Result<Value, Diagnostic> {
        let (left, right) = (self.left.resolve(platform)?, self.right.resolve(platform)?);
        match (left.value, right.value) {
            (Value::String(left), Value::String(right)) => Ok(Value::String(left + &right)),
            (Value::List(mut left), Value::List(right)) => {
                left.extend(right);
                Ok(Value::List(left))
            }
            (left, other) => {
                let (left, other) = (left.describe(), other.describe());
                let error = Diagnostic::spec(format!("on {platform}, {other} is added to {left}"));
                let error = error.at(right.span.or(self.right.span.clone()));
                Err(error.help("every value of this `select` should be a list, or every one a string"))
            }
        }
    }
}

impl Call {
    /// The call of `builtin` in `package`.
    ///
    /// # Errors
    /// If there is too much in the arguments.
    pub fn new(builtin: &'static str, arguments: Spanned<Value>, package: &WorkspacePath) -> Result<Self, Diagnostic> {
        let extent = Extent::around([&arguments])?;
        Ok(Call { builtin, arguments, package: package.clone(), extent })
    }
}

impl Value {
    /// True if something in it has to be chosen.
    pub fn is_selected(&self) -> bool {
        match self {
            Value::Select(_) | Value::Sum(_) => true,
            Value::List(items) => items.iter().any(|item| item.value.is_selected()),
            Value::Map(pairs) => pairs.iter().any(|(_, value)| value.value.is_selected()),
            Value::Node(node) => matches!(node.value, Node::Call(_)),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::String(_) => false,
        }
    }

    /// Adds the platforms that the keys of every `select` in it name in full.
    pub fn find_platforms(&self, found: &mut BTreeSet<Platform>) {
        match self {
            Value::Select(select) => {
                for (key, value) in &select.branches {
                    found.extend(key.platform());
                    value.value.find_platforms(found);
                }
            }
            Value::Sum(sum) => [&sum.left, &sum.right].iter().for_each(|part| part.value.find_platforms(found)),
            Value::List(items) => items.iter().for_each(|item| item.value.find_platforms(found)),
            Value::Map(pairs) => pairs.iter().for_each(|(_, value)| value.value.find_platforms(found)),
            Value::Node(node) => {
                if let Node::Call(call) = &node.value {
                    call.arguments.value.find_platforms(found);
                }
            }
            Value::None | Value::Bool(_) | Value::Int(_) | Value::String(_) => {}
        }
    }

    /// How many values there are in it, itself included.
    pub fn size(&self) -> usize {
        self.extent().size
    }

    fn extent(&self) -> Extent {
        match self {
            Value::Select(select) => select.extent,
            Value::Sum(sum) => sum.extent,
            Value::Node(node) => match &node.value {
                Node::Call(call) => call.extent,
                _ => Extent::default().and_one_around(),
            },
            Value::List(items) => Extent::of(items.iter()).and_one_around(),
            Value::Map(pairs) => Extent::of(pairs.iter().map(|(_, value)| value)).and_one_around(),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::String(_) => Extent::default().and_one_around(),
        }
    }
}

impl Extent {
    fn of<'a>(parts: impl IntoIterator<Item = &'a Spanned<Value>>) -> Extent {
        parts.into_iter().fold(Extent::default(), |all, part| {
            let Extent { size, depth } = part.value.extent();
            Extent { size: all.size.saturating_add(size), depth: all.depth.max(depth) }
        })
    }

    fn and_one_around(self) -> Extent {
        Extent { size: self.size.saturating_add(1), depth: self.depth + 1 }
    }

    fn around<'a>(parts: impl IntoIterator<Item = &'a Spanned<Value>>) -> Result<Extent, Diagnostic> {
        let extent = Extent::of(parts).and_one_around();
        if extent.depth > DEPTH {
            let error = Diagnostic::spec(format!("`select` is nested or added to more than {DEPTH} times"));
            let error = error.label("the limit was reached here");
            return Err(error.help("does a value grow in a loop? add up plain lists first, and the `select` once"));
        }
        if extent.size > SIZE {
            let error = Diagnostic::spec(format!("the values of `select` are more than {SIZE}"));
            let error = error.label("the limit was reached here");
            return Err(error.help("does a value grow in a loop? give files as a directory or a pattern"));
        }
        Ok(extent)
    }
}

impl Spanned<Value> {
    /// The value on `platform`: with everything chosen, added up and called. A `select` that is an item of a list can
    /// stand for any number of items: for those of a list, or with `None` for none.
    ///
    /// # Errors
    /// A `select` that has nothing for the platform; values that cannot be added; arguments that a builtin does not take.
    pub fn resolve(&self, platform: &Platform) -> Result<Spanned<Value>, Diagnostic> {
        let span = self.span.clone();
        let value = match &self.value {
            Value::Select(select) => {
                let chosen = select.choose(platform).ok_or_else(|| no_match(select, platform).at(span.clone()))?;
                let chosen = chosen.resolve(platform).at(span.as_ref())?;
                return Ok(Spanned { span: chosen.span.or(span), ..chosen });
            }
            Value::Sum(sum) => sum.resolve(platform).at(span.as_ref())?,
            Value::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    let resolved = item.resolve(platform)?;
                    match (&item.value, resolved.value) {
                        (Value::Select(_) | Value::Sum(_), Value::List(several)) => list.extend(several),
                        (Value::Select(_), Value::None) => {}
                        (_, value) => list.push(Spanned { value, span: resolved.span }),
                    }
                }
                Value::List(list)
            }
            Value::Map(pairs) => {
                let resolved = pairs.iter().map(|(key, value)| Ok((key.clone(), value.resolve(platform)?)));
                Value::Map(resolved.collect::<Result<_, Diagnostic>>()?)
            }
            Value::Node(made) => match &made.value {
                Node::Call(call) => {
                    let arguments = call.arguments.resolve(platform)?;
                    let value = node(call.builtin, arguments, &call.package).at(made.span.as_ref())?;
                    Value::Node(Box::new(Spanned { value, span: made.span.clone() }))
                }
                _ => self.value.clone(),
            },
            Value::None | Value::Bool(_) | Value::Int(_) | Value::String(_) => self.value.clone(),
        };
        Ok(Spanned { value, span })
    }
}

fn no_match(select: &Select, platform: &Platform) -> Diagnostic {
    let keys: Vec<String> = select.branches.iter().map(|(key, _)| key.to_string()).collect();
    Diagnostic::spec(format!("this `select` has nothing for {platform}"))
        .help(format!("it has values for {}; add one for \"{platform}\", or a \"default\"", keys.join(", ")))
}

impl Key {
    fn names(&self, platform: &Platform) -> bool {
        match self {
            Key::Default => true,
            Key::Platform { os, architecture, variant } => {
                *os == platform.os
                    && architecture.as_ref().is_none_or(|architecture| *architecture == platform.architecture)
                    && (variant.is_none() || *variant == platform.variant)
            }
        }
    }

    /// The platform that the key names, unless it stands for several.
    fn platform(&self) -> Option<Platform> {
        match self {
            Key::Platform { os, architecture: Some(architecture), variant } => {
                Some(Platform::new(os, architecture, variant.as_deref()))
            }
            _ => None,
        }
    }

    /// How much the key says.
    fn parts(&self) -> usize {
        match self {
            Key::Default => 0,
            Key::Platform { architecture, variant, .. } => 1 + architecture.iter().chain(variant).count(),
        }
    }
}

impl FromStr for Key {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Self, Diagnostic> {
        if text == DEFAULT {
            return Ok(Key::Default);
        }
        let not_one = || Diagnostic::spec(format!("`{text}` is not a key of `select`")).label("not a platform");
        if !text.contains('/') {
            let os = text.to_lowercase();
            if SYSTEMS.contains(&os.as_str()) {
                return Ok(Key::Platform { os, architecture: None, variant: None });
            }
            return Err(not_one().help(match nearest(text, SYSTEMS.into_iter().chain([DEFAULT])) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "a key is a platform such as `linux/amd64`, an operating system, or `default`".into(),
            }));
        }
        let Platform { os, architecture, variant } =
            text.parse().map_err(|error: crate::platform::PlatformError| not_one().help(error.to_string()))?;
        let any_arm = text.split('/').count() == 2 && text.to_lowercase().ends_with("/arm");
        Ok(Key::Platform { os, architecture: Some(architecture), variant: variant.filter(|_| !any_arm) })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Default => f.write_str(DEFAULT),
            Key::Platform { os, architecture, variant } => {
                f.write_str(os)?;
                architecture.iter().chain(variant).try_for_each(|part| write!(f, "/{part}"))
            }
        }
    }
}

/// As a select is written in TOML.
impl serde::Serialize for Select {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.branches.iter().map(|(key, value)| (key.to_string(), value)))
    }
}

impl serde::Serialize for Sum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [&self.left, &self.right].serialize(serializer)
    }
}

impl From<Select> for Value {
    fn from(select: Select) -> Self {
        Value::Select(Arc::new(select))
    }
}

impl From<Sum> for Value {
    fn from(sum: Sum) -> Self {
        Value::Sum(Arc::new(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Spanned<Value> {
        Spanned { value: Value::String(text.into()), span: None }
    }

    fn select(pairs: &[(&str, &str)]) -> Spanned<Value> {
        let pair = |(key, value): &(&str, &str)| (Spanned { value: (*key).to_owned(), span: None }, text(value));
        let select = Select::new(pairs.iter().map(pair).collect(), None).unwrap();
        Spanned { value: select.into(), span: None }
    }

    fn chosen(keys: &[&str], platform: &str) -> Option<String> {
        let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (*key, *key)).collect();
        match select(&pairs).resolve(&platform.parse().unwrap()).ok()?.value {
            Value::String(text) => Some(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_key_that_says_most_is_taken() {
        let all = ["default", "linux", "linux/arm", "linux/arm/v7", "windows/amd64"];
        for (platform, key) in [
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm"),
            ("linux/amd64", "linux"),
            ("windows/amd64", "windows/amd64"),
            ("windows/arm64", "default"),
        ] {
            assert_eq!(chosen(&all, platform).as_deref(), Some(key), "{platform}");
        }
        assert_eq!(chosen(&["linux/x86_64"], "linux/amd64").as_deref(), Some("linux/x86_64"));
        assert_eq!(chosen(&["linux/arm64/v8"], "linux/arm64").as_deref(), Some("linux/arm64/v8"));
        assert_eq!(chosen(&["linux/amd64"], "linux/amd64/v3").as_deref(), Some("linux/amd64"));
        assert_eq!(chosen(&["linux/amd64/v3"], "linux/amd64"), None);
        assert_eq!(chosen(&["linux/arm64"], "linux/amd64"), None);
    }

    #[test]
    fn a_key_that_is_there_twice_in_another_spelling_is_an_error() {
        let pair = |key: &str| (Spanned { value: key.to_owned(), span: None }, text("x"));
        let twice = Select::new(vec![pair("linux/amd64"), pair("linux/x86_64")], None);
        assert_eq!(twice.unwrap_err().to_string(), "`select` has two values for linux/amd64");
        assert!(Select::new(Vec::new(), None).is_err());
        for key in ["", "linx", "amd64", "defautl", "linux/", "a/b/c/d"] {
            assert!(Select::new(vec![pair(key)], None).is_err(), "{key}");
        }
    }

    #[test]
    fn values_cannot_grow_beyond_bounds() {
        let mut value = select(&[("default", "x")]);
        let mut added = 0;
        while let Ok(sum) = Sum::new(value.clone(), value.clone()) {
            value = Spanned { value: sum.into(), span: None };
            added += 1;
        }
        assert!((10..30).contains(&added), "{added}");
        let mut value = select(&[("default", "x")]);
        while let Ok(sum) = Sum::new(value.clone(), text("y")) {
            value = Spanned { value: sum.into(), span: None };
        }
        assert!(value.resolve(&Platform::default_target()).is_ok());
    }
}
