//! TOML's values to [`Value`], each with its place.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned as Ranged;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, SourceText, Span, Spanned};
use crate::target::Value;

/// The document as one map.
///
/// # Errors
/// A syntax error, or a value that no builtin takes: a date, a fraction, a number beyond 64 bits.
pub fn parse(source: &Arc<SourceText>) -> Result<Spanned<Value>, Diagnostic> {
    let table = DeTable::parse(&source.text).map_err(|error| {
        let span = error.span().map(|range| span(source, range));
        Diagnostic::spec(format!("syntax error: {}", error.message().trim().replace('\n', "; "))).at(span)
    })?;
    map(source, table.get_ref(), span(source, table.span()))
}

fn value(source: &Arc<SourceText>, ranged: &Ranged<DeValue>) -> Result<Spanned<Value>, Diagnostic> {
    let span = span(source, ranged.span());
    let fail = |message: String| Err(Diagnostic::spec(message).at(span.clone()));
    let value = match ranged.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => Value::Int(number),
            Err(_) => return fail("the number is too large: it should be between -2^63 and 2^63 - 1".into()),
        },
        DeValue::Float(digits) => return fail(format!("`{}` is not a whole number", digits.as_str())),
        DeValue::Datetime(date) => return fail(format!("a date does not belong here; as text it is \"{date}\"")),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| self::value(source, item)).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => return map(source, table, span),
    };
    Ok(Spanned { value, span: Some(span) })
}

fn map(source: &Arc<SourceText>, table: &DeTable, place: Span) -> Result<Spanned<Value>, Diagnostic> {
    let mut pairs: Vec<_> = table.iter().collect();
    // The parser sorts keys by name; the order written is the order of their places.
    pairs.sort_by_key(|(key, _)| key.span().start);
    let pairs = pairs.into_iter().map(|(key, item)| {
        let key = Spanned { value: key.get_ref().clone().into_owned(), span: Some(span(source, key.span())) };
        Ok((key, value(source, item)?))
    });
    Ok(Spanned { value: Value::Map(pairs.collect::<Result<_, Diagnostic>>()?), span: Some(place) })
}

fn span(source: &Arc<SourceText>, range: Range<usize>) -> Span {
    Span { source: source.clone(), start: range.start, end: range.end }
}
