//! What a rule found: where, in what words, and how it goes away.

use std::sync::Arc;

use crate::diagnostic::{SourceText, Span};

use super::rule::Rule;

/// One place at which a rule is broken.
#[derive(Clone, Debug)]
pub struct Finding {
    pub rule: &'static Rule,
    pub span: Span,
    /// One sentence, without a full stop.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    pub fix: Option<Fix>,
}

/// A change of the file after which a finding is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, as an order: "write `RUN`".
    pub title: String,
    /// In the order of their places; they do not overlap.
    pub edits: Vec<Edit>,
    /// The image stays as it is: its files, and how it is run.
    pub is_safe: bool,
}

/// A range of the file, and what is to stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub span: Span,
    pub text: String,
}

/// A place as people count: both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Finding {
    pub(super) fn new(rule: &'static Rule, span: Span, message: impl Into<String>) -> Self {
        Finding { rule, span, message: message.into(), help: None, fix: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Finding { help: Some(help.into()), ..self }
    }

    /// With a fix that leaves the image as it is.
    pub(super) fn fixed_by(self, title: impl Into<String>, edits: Vec<Edit>) -> Self {
        Finding { fix: Some(Fix { title: title.into(), edits, is_safe: true }), ..self }
    }

    /// With a fix that changes the image.
    pub(super) fn changed_by(self, title: impl Into<String>, edits: Vec<Edit>) -> Self {
        Finding { fix: Some(Fix { title: title.into(), edits, is_safe: false }), ..self }
    }
}

impl Edit {
    /// `text` instead of what stands at `span`.
    pub(super) fn replace(span: Span, text: impl Into<String>) -> Self {
        Edit { span, text: text.into() }
    }

    /// `text` before the byte at `at`.
    pub(super) fn insert(source: &Arc<SourceText>, at: usize, text: impl Into<String>) -> Self {
        Edit { span: Span { source: source.clone(), start: at, end: at }, text: text.into() }
    }
}

impl Position {
    /// Where a span begins and where it ends.
    pub fn of(span: &Span) -> (Position, Position) {
        (Position::at(&span.source, span.start), Position::at(&span.source, span.end))
    }

    fn at(source: &SourceText, offset: usize) -> Position {
        let before = source.text.get(..offset).unwrap_or(&source.text);
        let line_begins = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.bytes().filter(|&b| b == b'\n').count() + 1,
            column: before[line_begins..].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_characters() {
        let source = Arc::new(SourceText { name: "Dockerfile".into(), text: "é a\nbc".into() });
        let span = Span { source, start: 3, end: 6 };
        assert_eq!(Position::of(&span), (Position { line: 1, column: 3 }, Position { line: 2, column: 2 }));
    }
}
