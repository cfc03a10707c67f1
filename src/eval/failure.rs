//! What the evaluator says is wrong, as a [`Diagnostic`] at its place in the user's file.

use std::sync::Arc;

use starlark::ErrorKind;

use crate::diagnostic::{Diagnostic, SourceText, Span, nearest};

use super::limit;
use super::session::Session;

/// How many callers of the failing function a report shows.
const CALLERS: usize = 4;

/// A syntax error.
pub fn syntax(error: &starlark::Error, source: &Arc<SourceText>) -> Diagnostic {
    let span = error.span().map(|span| Span {
        source: source.clone(),
        start: span.span.begin().get() as usize,
        end: span.span.end().get() as usize,
    });
    let text = error.without_diagnostic().to_string();
    let text = text.strip_prefix("Parse error: ").unwrap_or(&text);
    let diagnostic = Diagnostic::spec(format!("syntax error: {text}")).at(span);
    let missing = [")", "]", "}"].iter().any(|bracket| text.ends_with(&format!("expected symbol '{bracket}'")));
    if missing { diagnostic.help("is a comma or a bracket missing before this?") } else { diagnostic }
}

/// An error of a running evaluation, with the calls that led to it.
pub fn evaluation(error: starlark::Error, session: &Session) -> Diagnostic {
    // An error in what was inserted has an empty place, one of the evaluator's own limits may have none.
    let span = error.span().and_then(|span| session.span(span)).filter(|span| span.start < span.end);
    let span = span.or_else(|| session.statement());
    let mut places: Vec<Span> = span.iter().cloned().collect();
    let mut callers = Vec::new();
    for frame in error.call_stack().clone().into_frames().into_iter().rev() {
        let Some(place) = frame.location.as_ref().and_then(|location| session.span(location)) else { continue };
        if callers.len() < CALLERS && place.start < place.end && !places.contains(&place) {
            places.push(place.clone());
            let name = frame.name;
            callers.push(Diagnostic::spec(format!("`{name}` was called here")).at(place).label("call"));
        }
    }
    let diagnostic = match error.into_kind() {
        ErrorKind::Native(error) | ErrorKind::Other(error) | ErrorKind::Value(error) => {
            error.downcast::<Diagnostic>().unwrap_or_else(|error| limit::explain(&error.to_string()))
        }
        ErrorKind::Fail(error) => Diagnostic::spec(error.to_string().trim().to_owned()).label("fails here"),
        ErrorKind::Scope(error) => undefined(&error.to_string()),
        ErrorKind::StackOverflow(_) => limit::diagnostic("calls"),
        other => Diagnostic::spec(lower(&other.to_string())),
    };
    let diagnostic = diagnostic.at(span.clone());
    let callers = callers.into_iter().filter(|caller| caller.span() != diagnostic.span());
    let callers: Vec<_> = callers.collect();
    diagnostic.and(callers)
}

/// A name that is not defined. The evaluator suggests names that have little in common with it.
fn undefined(text: &str) -> Diagnostic {
    let mut quoted = text.split('`').skip(1).step_by(2);
    match (text.starts_with("Variable"), quoted.next(), quoted.next()) {
        (true, Some(name), suggested) => {
            let diagnostic = Diagnostic::spec(format!("`{name}` is not defined")).label("not defined");
            match suggested.and_then(|suggested| nearest(name, [suggested])) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic.help("it is no builtin, and no name that this file defines or loads"),
            }
        }
        _ => Diagnostic::spec(lower(text)),
    }
}

/// A message of the evaluator's in our form: a fragment that begins in lower case.
pub fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !chars.clone().next().is_some_and(|c| c.is_uppercase()) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
