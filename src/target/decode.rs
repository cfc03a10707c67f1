//! [`Value`] to a builtin's struct, with serde. Errors point at the argument that is wrong.
//!
//! Three things that serde's data model has no place for travel beside it, in a thread-local [`Context`] that lives
//! as long as one [`decode`] call: the package of the call, the span of the value at hand, and the node that another
//! builtin returned. Types that want one ask for it by deserializing a newtype struct of a reserved name, as `toml`
//! does for its spans.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

use crate::diagnostic::{Diagnostic, Span, Spanned, nearest};
use crate::path::WorkspacePath;

use super::base::{Base, DockerArchive, OciArchive, OciLayout};
use super::label::Label;
use super::layer::{Accounts, Archive, Copy, Dir, Files, LayerSpec, Symlink, Write};
use super::source::{Fetch, FileSource, Sources};
use super::value::{Node, Value};

/// Decodes the arguments of a builtin that was called in `package`.
///
/// # Errors
/// An unknown key (with the nearest known one), a missing key, or a value of the wrong type, each at its place.
pub fn decode<T: DeserializeOwned>(value: &Spanned<Value>, package: &WorkspacePath) -> Result<T, Diagnostic> {
    let context = Context { package: package.clone(), span: None, node: None };
    let outer = CONTEXT.replace(context);
    let result = T::deserialize(Decoder(value));
    CONTEXT.set(outer);
    result.map_err(|Error(diagnostic)| *diagnostic)
}

struct Context {
    package: WorkspacePath,
    span: Option<Span>,
    node: Option<Node>,
}

thread_local! {
    static CONTEXT: RefCell<Context> =
        RefCell::new(Context { package: WorkspacePath::root(), span: None, node: None });
}

/// The package of the call that is being decoded.
pub(super) fn package() -> WorkspacePath {
    CONTEXT.with_borrow(|context| context.package.clone())
}

/// An error on its way out of serde.
#[derive(Debug)]
struct Error(Box<Diagnostic>);

impl Error {
    fn at(self, span: Option<&Span>) -> Self {
        Error(Box::new(self.0.at(span.cloned())))
    }

    fn new(diagnostic: Diagnostic) -> Self {
        Error(Box::new(diagnostic))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error::new(Diagnostic::spec(message.to_string()))
    }

    fn invalid_type(found: de::Unexpected, expected: &dyn de::Expected) -> Self {
        Error::new(Diagnostic::spec(format!("expected {expected}, found {}", describe(&found))))
    }

    fn invalid_value(found: de::Unexpected, expected: &dyn de::Expected) -> Self {
        Error::new(Diagnostic::spec(format!("expected {expected}, found {}", describe(&found))))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let diagnostic = Diagnostic::spec(format!("unknown key `{field}`")).label("not a key of this builtin");
        Error::new(diagnostic.help(suggestion(field, expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Error::new(Diagnostic::spec(format!("unknown value `{variant}`")).help(suggestion(variant, expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Error::new(Diagnostic::spec(format!("`{field}` is missing")).label(format!("needs `{field}`")))
    }
}

/// As [`Value::describe`].
fn describe(found: &de::Unexpected) -> String {
    match found {
        de::Unexpected::Bool(truth) => Value::Bool(*truth).describe(),
        de::Unexpected::Signed(number) => Value::Int(*number).describe(),
        de::Unexpected::Str(text) => Value::String((*text).to_owned()).describe(),
        de::Unexpected::Seq => "a list".into(),
        de::Unexpected::Map => "a map".into(),
        de::Unexpected::Unit => "None".into(),
        other => other.to_string(),
    }
}

fn suggestion(word: &str, known: &[&'static str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "it takes no keys".into(),
        None => format!("known are: {}", known.join(", ")),
    }
}

const SPANNED: &str = "$ocify::Spanned";
const NODE: &str = "$ocify::Node";
const FLAT: &str = "$ocify::Flat";

struct Decoder<'a>(&'a Spanned<Value>);

impl<'a> Decoder<'a> {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Spanned { value, span } = self.0;
        let result = match value {
            Value::None => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Int(i) => visitor.visit_i64(*i),
            Value::String(s) => visitor.visit_str(s),
            Value::List(items) => visitor.visit_seq(Items(items.iter().collect::<Vec<_>>().into_iter())),
            Value::Map(pairs) => visitor.visit_map(Pairs { rest: pairs.iter(), value: None }),
            Value::Node(_) => Err(de::Error::custom(format!("{} does not belong here", value.describe()))),
        };
        result.map_err(|error| error.at(span.as_ref()))
    }
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.value {
            Value::None => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        let Spanned { value, span } = self.0;
        match (name, value) {
            (SPANNED, _) => {
                CONTEXT.with_borrow_mut(|context| context.span = span.clone());
                visitor.visit_newtype_struct(self)
            }
            (NODE, Value::Node(node)) => {
                CONTEXT.with_borrow_mut(|context| context.node = Some(node.clone()));
                visitor.visit_unit::<Error>().map_err(|error| error.at(span.as_ref()))
            }
            (FLAT, Value::List(items)) => {
                let mut flat = Vec::new();
                flatten(items, &mut flat);
                visitor.visit_seq(Items(flat.into_iter()))
            }
            (NODE | FLAT, _) => self.visit(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Spanned { value, span } = self.0;
        let result = match value {
            Value::String(s) => visitor.visit_enum(s.as_str().into_deserializer()),
            other => Err(de::Error::custom(format!("expected a word, found {}", other.describe()))),
        };
        result.map_err(|error: Error| error.at(span.as_ref()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a>(std::vec::IntoIter<&'a Spanned<Value>>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(item) = self.0.next() else { return Ok(None) };
        seed.deserialize(Decoder(item)).map(Some).map_err(|error| error.at(item.span.as_ref()))
    }
}

/// The keys of a map whose value is not `None`: leaving an argument out and passing `None` are the same.
struct Pairs<'a> {
    rest: std::slice::Iter<'a, (Spanned<String>, Spanned<Value>)>,
    value: Option<&'a Spanned<Value>>,
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some((key, value)) = self.rest.by_ref().find(|(_, value)| !matches!(value.value, Value::None)) else {
            return Ok(None);
        };
        self.value = Some(value);
        let name: de::value::StrDeserializer<'_, Error> = key.value.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|error| error.at(key.span.as_ref()))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let value = self.value.take().expect("serde asks for a value after its key");
        // A field that reads a string and then rejects it does so outside of the value's own visit.
        seed.deserialize(Decoder(value)).map_err(|error| error.at(value.span.as_ref()))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpannedVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
            type Value = Spanned<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Spanned<T>, D::Error> {
                let span = CONTEXT.with_borrow_mut(|context| context.span.take());
                Ok(Spanned { value: T::deserialize(inner)?, span })
            }
        }

        deserializer.deserialize_newtype_struct(SPANNED, SpannedVisitor(PhantomData))
    }
}

impl<T: serde::Serialize> serde::Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// A type that another builtin's value, a text, or a table with one key (the builtin's name) can stand for.
trait FromNode: Sized {
    const EXPECTED: &'static str;
    const BUILTINS: &'static [&'static str];

    /// The value as `node`; `None` if the node is something else.
    fn from_node(node: Node) -> Option<Self>;

    /// The value that a text stands for.
    fn from_text(text: &str) -> Result<Self, String>;

    /// The value of the table `{builtin = ...}`.
    fn from_table<'de, A: MapAccess<'de>>(builtin: &str, table: &mut A) -> Result<Self, A::Error>;
}

struct NodeVisitor<T>(PhantomData<T>);

impl<'de, T: FromNode> Visitor<'de> for NodeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        let node = CONTEXT.with_borrow_mut(|context| context.node.take());
        let node = node.ok_or_else(|| E::custom(format!("expected {}, found None", T::EXPECTED)))?;
        let builtin = node.builtin();
        T::from_node(node)
            .ok_or_else(|| E::custom(format!("expected {}, found the value of `{builtin}(...)`", T::EXPECTED)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<T, A::Error> {
        let one = || de::Error::custom(format!("expected {}: a table with one key, the builtin's name", T::EXPECTED));
        let builtin: String = table.next_key()?.ok_or_else(one)?;
        if !T::BUILTINS.contains(&builtin.as_str()) {
            return Err(de::Error::unknown_variant(&builtin, T::BUILTINS));
        }
        let value = T::from_table(&builtin, &mut table)?;
        match table.next_key::<String>()? {
            None => Ok(value),
            Some(_) => Err(one()),
        }
    }
}

macro_rules! deserialize_node {
    ($($type:ty),*) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_newtype_struct(NODE, NodeVisitor(PhantomData))
            }
        })*
    };
}

deserialize_node!(Base, LayerSpec, FileSource, Label);

impl FromNode for Base {
    const EXPECTED: &'static str = "a base image or a label";
    const BUILTINS: &'static [&'static str] = &["oci_layout", "oci_archive", "docker_archive"];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Base(base) => Some(base),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "scratch" {
            return Ok(Base::Scratch);
        }
        if Label::looks_like(text) {
            return Label::from_text(text).map(Base::Target);
        }
        Err(format!(
            "`{text}` names an image in a registry, which this version cannot read; save it into the workspace with \
             `skopeo copy docker://{text} oci:DIRECTORY` and use `oci_layout`"
        ))
    }

    fn from_table<'de, A: MapAccess<'de>>(builtin: &str, table: &mut A) -> Result<Self, A::Error> {
        Ok(match builtin {
            "oci_layout" => Base::OciLayout(table.next_value::<OciLayout>()?),
            "oci_archive" => Base::OciArchive(table.next_value::<OciArchive>()?),
            _ => Base::DockerArchive(table.next_value::<DockerArchive>()?),
        })
    }
}

impl FromNode for LayerSpec {
    const EXPECTED: &'static str = "a layer";
    const BUILTINS: &'static [&'static str] = &["files", "write", "dir", "symlink", "accounts", "archive", "copy"];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Layer(layer) => Some(layer),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Err(format!("expected a layer, found the string `{text}`; for files of the workspace use `files`"))
    }

    fn from_table<'de, A: MapAccess<'de>>(builtin: &str, table: &mut A) -> Result<Self, A::Error> {
        Ok(match builtin {
            "files" => LayerSpec::Files(table.next_value::<Files>()?),
            "write" => LayerSpec::Write(table.next_value::<Write>()?),
            "dir" => LayerSpec::Dir(table.next_value::<Dir>()?),
            "symlink" => LayerSpec::Symlink(table.next_value::<Symlink>()?),
            "accounts" => LayerSpec::Accounts(table.next_value::<Accounts>()?),
            "archive" => LayerSpec::Archive(table.next_value::<Archive>()?),
            _ => LayerSpec::Copy(table.next_value::<Copy>()?),
        })
    }
}

impl FromNode for FileSource {
    const EXPECTED: &'static str = "a path or `fetch(...)`";
    const BUILTINS: &'static [&'static str] = &["fetch"];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Fetch(fetch) => Some(FileSource::Fetch(Spanned { value: fetch, span: None })),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        WorkspacePath::parse(text).map(FileSource::Path).map_err(|error| error.to_string())
    }

    fn from_table<'de, A: MapAccess<'de>>(_: &str, table: &mut A) -> Result<Self, A::Error> {
        Ok(FileSource::Fetch(Spanned { value: table.next_value::<Fetch>()?, span: None }))
    }
}

impl FromNode for Label {
    const EXPECTED: &'static str = "a target or a label";
    const BUILTINS: &'static [&'static str] = &[];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Base(Base::Target(label)) => Some(label),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Label::parse(text, &package()).map_err(|error| error.to_string())
    }

    fn from_table<'de, A: MapAccess<'de>>(_: &str, _: &mut A) -> Result<Self, A::Error> {
        Err(de::Error::custom("expected a label"))
    }
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for Sources<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourcesVisitor<S>(PhantomData<S>);

        impl<'de, S: Deserialize<'de>> Visitor<'de> for SourcesVisitor<S> {
            type Value = Sources<S>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of sources, or a map `{destination: source}`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sources<S>, A::Error> {
                let mut sources = Vec::new();
                while let Some(source) = items.next_element()? {
                    sources.push(source);
                }
                Ok(Sources::List(sources))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sources<S>, A::Error> {
                let mut sources = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    sources.push(pair);
                }
                Ok(Sources::Map(sources))
            }
        }

        deserializer.deserialize_any(SourcesVisitor(PhantomData))
    }
}

/// A list of `T` and of nested lists of them, flattened.
pub(super) fn flat_list<'de, D, T>(deserializer: D) -> Result<Vec<Spanned<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct ListVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
        type Value = Vec<Spanned<T>>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_newtype_struct(FLAT, ListVisitor(PhantomData))
}

/// A list of text, or one text in place of a list with just that.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct TextsVisitor;

    impl<'de> Visitor<'de> for TextsVisitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = items.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }

    deserializer.deserialize_any(TextsVisitor)
}

fn flatten<'a>(items: &'a [Spanned<Value>], flat: &mut Vec<&'a Spanned<Value>>) {
    for item in items {
        match &item.value {
            Value::List(nested) => flatten(nested, flat),
            Value::None => {}
            _ => flat.push(item),
        }
    }
}

/// A map from text to text that keeps its order.
pub(super) mod pairs {
    use std::fmt;

    use serde::de::{MapAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Vec<(String, String)>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map from text to text")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}
