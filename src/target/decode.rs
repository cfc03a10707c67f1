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

use super::source::Sources;
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

/// The node that was asked for with [`NODE`], once.
pub(super) fn take_node() -> Option<Node> {
    CONTEXT.with_borrow_mut(|context| context.node.take())
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
        let message = message.to_string();
        Error::new(match message.split_once(HELP) {
            Some((message, help)) => Diagnostic::spec(message).help(help),
            None => Diagnostic::spec(message),
        })
    }

    fn invalid_type(found: de::Unexpected, expected: &dyn de::Expected) -> Self {
        Error::new(Diagnostic::spec(format!("expected {}, found {}", words(expected), describe(&found))))
    }

    fn invalid_value(found: de::Unexpected, expected: &dyn de::Expected) -> Self {
        Error::new(Diagnostic::spec(format!("expected {}, found {}", words(expected), describe(&found))))
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

/// What serde expected, in the words of the spec.
fn words(expected: &dyn de::Expected) -> String {
    match expected.to_string().as_str() {
        "a sequence" => "a list".into(),
        "a boolean" => "`true` or `false`".into(),
        "u32" => format!("a number from 0 to {}", u32::MAX),
        "a nonzero u16" => format!("a number from 1 to {}", u16::MAX),
        "u64" => "a number that is not negative".into(),
        text if text.starts_with("struct ") => "a map".into(),
        text => text.into(),
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

pub(super) fn suggestion(word: &str, known: &[&'static str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "it takes no keys".into(),
        None => format!("known are: {}", known.join(", ")),
    }
}

/// Stands between message and help in a custom error: serde has room for one text only.
pub(super) const HELP: char = '\u{1f}';

const SPANNED: &str = "$ocify::Spanned";
pub(super) const NODE: &str = "$ocify::Node";
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
            Value::Select(_) | Value::Sum(_) => {
                let help = "only what is in an image can differ between platforms";
                Err(de::Error::custom(format!("{} does not belong here{HELP}{help}", value.describe())))
            }
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
                // What is built has its place where its builtin was called, not where the value was passed on.
                let made = match value {
                    Value::Node(node) => node.span.as_ref(),
                    _ => None,
                };
                CONTEXT.with_borrow_mut(|context| context.span = made.or(span.as_ref()).cloned());
                visitor.visit_newtype_struct(self)
            }
            (NODE, Value::Node(node)) => {
                CONTEXT.with_borrow_mut(|context| context.node = Some(node.value.clone()));
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

#[cfg(test)]
mod tests;
