//! Starlark's values to [`target::Value`](crate::target::Value), each with its place where it is written out.

use std::sync::Arc;

use starlark::collections::SmallMap;
use starlark::values::dict::DictRef;
use starlark::values::list::ListRef;
use starlark::values::structs::StructRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{UnpackValue, Value as Starlark, ValueLike};

use crate::diagnostic::{Diagnostic, SourceText, Span, Spanned};
use crate::target::Value;

use super::limit;
use super::node::{NodeValue, PlatformValue, SelectValue};
use super::place::{Argument, Parts, Written};
use super::session::Site;

/// How deep lists and maps may be nested in an argument. A list can contain itself.
const DEPTH: usize = 64;

/// How many values one call may be given, counting a shared one as often as it appears.
const VALUES: usize = 1_000_000;

/// The arguments of a call as one map. `names` are the keywords that positional arguments stand for, in order.
///
/// # Errors
/// More positional arguments than names, a name given twice, or a value that no builtin takes.
pub fn collect<'v>(
    builtin: &str,
    names: &[&str],
    positional: &[Starlark<'v>],
    keywords: &SmallMap<String, Starlark<'v>>,
    site: &Site,
) -> Result<Spanned<Value>, Diagnostic> {
    let mut reader = Reader { source: site.span.as_ref().map(|span| &span.source), left: VALUES };
    let call = site.span.as_ref();
    let mut pairs = Vec::with_capacity(positional.len() + keywords.len());
    let mut unnamed = site.arguments.iter().filter(|argument| argument.keyword.is_none());
    for (index, value) in positional.iter().enumerate() {
        let written = unnamed.next().map(|argument| &argument.value);
        let span = reader.span(written).or(call.cloned());
        let Some(name) = names.get(index) else {
            let error = Diagnostic::spec(format!("too many positional arguments for `{builtin}`"));
            let help = match names {
                [] => "it takes keyword arguments only, such as `name = value`".to_owned(),
                names => format!("positional are only: {}", names.join(", ")),
            };
            return Err(error.at(span).label("not expected").help(help));
        };
        if keywords.contains_key(*name) {
            return Err(Diagnostic::spec(format!("`{name}` is given twice")).at(span).label("positional here"));
        }
        let value = reader.read(*value, written, call, DEPTH)?;
        pairs.push((Spanned { value: (*name).to_owned(), span }, value));
    }
    for (name, value) in keywords {
        let argument = site.arguments.iter().find(|argument| argument.is(name));
        let keyword = argument.and_then(|argument| argument.keyword.as_ref()).map(|(_, place)| place.clone());
        let span = reader.source.zip(keyword).map(|(source, place)| Span {
            source: source.clone(),
            start: place.start,
            end: place.end,
        });
        let value = reader.read(*value, argument.map(|argument| &argument.value), call, DEPTH)?;
        pairs.push((Spanned { value: name.clone(), span: span.or(call.cloned()) }, value));
    }
    Ok(Spanned { value: Value::Map(pairs), span: call.cloned() })
}

/// A value that stands in no call.
///
/// # Errors
/// If no builtin takes it.
pub fn unplaced<'v>(value: Starlark<'v>) -> starlark::Result<Spanned<Value>> {
    let mut reader = Reader { source: None, left: VALUES };
    reader.read(value, None, None, DEPTH).map_err(starlark::Error::new_native)
}

impl Argument {
    fn is(&self, name: &str) -> bool {
        self.keyword.as_ref().is_some_and(|(keyword, _)| keyword == name)
    }
}

struct Reader<'a> {
    source: Option<&'a Arc<SourceText>>,
    left: usize,
}

impl Reader<'_> {
    fn span(&self, written: Option<&Written>) -> Option<Span> {
        Some(written?.span(self.source?))
    }

    /// Counts `values` more.
    fn count(&mut self, values: usize, span: Option<&Span>) -> Result<(), Diagnostic> {
        match self.left.checked_sub(values) {
            Some(left) => self.left = left,
            None => return Err(limit::diagnostic("the arguments of a call").at(span.cloned())),
        }
        Ok(())
    }

    /// Reads a value; `outer` is the place of what it is part of.
    fn read<'v>(
        &mut self,
        value: Starlark<'v>,
        written: Option<&Written>,
        outer: Option<&Span>,
        depth: usize,
    ) -> Result<Spanned<Value>, Diagnostic> {
        let span = self.span(written).or(outer.cloned());
        let fail = |message: String| Err(Diagnostic::spec(message).at(span.clone()));
        self.count(1, span.as_ref())?;
        let Some(below) = depth.checked_sub(1) else {
            return fail(format!("lists and maps are nested more than {DEPTH} deep here"));
        };
        let value = if value.is_none() {
            Value::None
        } else if let Some(value) = value.unpack_bool() {
            Value::Bool(value)
        } else if let Some(text) = value.unpack_str() {
            Value::String(text.to_owned())
        } else if let Ok(Some(number)) = i64::unpack_value(value) {
            Value::Int(number)
        } else if let Some(value) = value.downcast_ref::<NodeValue>() {
            let node = Value::Node(Box::new(Spanned { value: value.node.clone(), span: value.span.clone() }));
            self.count(node.size(), span.as_ref())?;
            node
        } else if let Some(SelectValue(select)) = value.downcast_ref::<SelectValue>() {
            self.count(select.value.size(), span.as_ref())?;
            return Ok(Spanned { value: select.value.clone(), span: select.span.clone().or(span) });
        } else if let Some(platform) = value.downcast_ref::<PlatformValue>() {
            Value::String(platform.to_string())
        } else if let Some(items) = ListRef::from_value(value)
            .map(ListRef::content)
            .or_else(|| TupleRef::from_value(value).map(TupleRef::content))
        {
            let parts = match written.map(|written| &written.parts) {
                Some(Parts::List(parts)) if parts.len() == items.len() => parts.as_slice(),
                _ => &[],
            };
            let items = items.iter().enumerate();
            let read = items.map(|(n, item)| self.read(*item, parts.get(n), span.as_ref(), below));
            Value::List(read.collect::<Result<_, _>>()?)
        } else if let Some(map) = DictRef::from_value(value) {
            let parts = match written.map(|written| &written.parts) {
                Some(Parts::Map(parts)) if parts.len() == map.len() => parts.as_slice(),
                _ => &[],
            };
            let mut pairs = Vec::with_capacity(map.len());
            for (n, (key, value)) in map.iter().enumerate() {
                let (key_written, value_written) = parts.get(n).map(|(key, value)| (key, value)).unzip();
                let key_span = self.span(key_written).or(span.clone());
                let Some(key) = key.unpack_str() else {
                    let message =
                        format!("the key of a map should be a string, found a value of type `{}`", key.get_type());
                    return Err(Diagnostic::spec(message).at(key_span));
                };
                let value = self.read(value, value_written, span.as_ref(), below)?;
                pairs.push((Spanned { value: key.to_owned(), span: key_span }, value));
            }
            Value::Map(pairs)
        } else if let Some(fields) = StructRef::from_value(value) {
            let mut pairs = Vec::new();
            for (name, value) in fields.iter() {
                let value = self.read(value, None, span.as_ref(), below)?;
                pairs.push((Spanned { value: name.as_str().to_owned(), span: span.clone() }, value));
            }
            Value::Map(pairs)
        } else {
            return match value.get_type() {
                "int" => fail("the number is too large: it should be between -2^63 and 2^63 - 1".into()),
                other => fail(format!("a value of type `{other}` does not belong here")),
            };
        };
        Ok(Spanned { value, span })
    }
}
