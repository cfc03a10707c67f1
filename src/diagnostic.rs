//! What a person is told when something is wrong: what happened, where, and what to do next.
//!
//! Modules have typed errors of their own. They become a [`Diagnostic`] where the place in the user's file is known,
//! and the command line renders it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use miette::{LabeledSpan, SourceCode};

/// A file that the user wrote, kept whole so that errors can quote it.
#[derive(PartialEq, Eq)]
pub struct SourceText {
    /// The path relative to the workspace, with `/`, or `@std//name.star`: never a path of this machine.
    pub name: String,
    /// The file's text.
    pub text: String,
}

impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceText({})", self.name)
    }
}

/// A range of bytes in a file that the user wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    pub source: Arc<SourceText>,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte; not before `start`.
    pub end: usize,
}

impl Span {
    /// The text that the span covers; empty if it does not lie in its source.
    pub fn text(&self) -> &str {
        self.source.text.get(self.start..self.end).unwrap_or("")
    }

    /// The span of `word`'s first appearance in this span as a quoted string, else this span: a call's span is known
    /// from evaluation, that of one argument is not.
    pub fn narrowed_to(&self, word: &str) -> Span {
        let found = ['"', '\''].iter().find_map(|quote| self.text().find(&format!("{quote}{word}{quote}")));
        match found {
            Some(at) => {
                let start = self.start + at;
                Span { source: self.source.clone(), start, end: start + word.len() + 2 }
            }
            None => self.clone(),
        }
    }

    /// Line of the first byte, counted from 1.
    pub fn line(&self) -> usize {
        let before = &self.source.text.as_bytes()[..self.start.min(self.source.text.len())];
        before.iter().filter(|&&b| b == b'\n').count() + 1
    }
}

/// `file:line`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source.name, self.line())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}..{}]", self.source.name, self.start, self.end)
    }
}

/// A value and where the user wrote it. Two are equal when their values are: moving a spec about changes no output.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Option<Span>,
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Whose turn it is after an error; the process's exit code says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The command line or the spec is wrong: exit code 2.
    Spec,
    /// A build or a verification failed: exit code 1.
    Failure,
}

/// What stands alone in a line of a report, where a command line belongs: reports are wrapped, and that is not. Of the private
/// use area, so in no text.
pub const COMMAND: char = '\u{e000}';

/// One error as a person reads it. It is one pointer wide, since it travels in the `Err` of hot paths.
#[derive(Debug)]
pub struct Diagnostic(Box<Parts>);

#[derive(Debug)]
struct Parts {
    class: Class,
    message: String,
    span: Option<Span>,
    label: String,
    help: Option<String>,
    command: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
    others: Vec<Diagnostic>,
}

impl Diagnostic {
    /// An error in a spec or a command line.
    #[must_use]
    pub fn spec(message: impl Into<String>) -> Self {
        Diagnostic::new(Class::Spec, message.into())
    }

    /// A failure of a build or a verification.
    #[must_use]
    pub fn failure(message: impl Into<String>) -> Self {
        Diagnostic::new(Class::Failure, message.into())
    }

    fn new(class: Class, message: String) -> Self {
        let label = "here".into();
        let (help, command, cause) = (None, None, None);
        Diagnostic(Box::new(Parts { class, message, span: None, label, help, command, cause, others: Vec::new() }))
    }

    /// Points at the user's file. A span that is already set stays: the innermost place knows best.
    #[must_use]
    pub fn at(mut self, span: impl Into<Option<Span>>) -> Self {
        self.0.span = self.0.span.or(span.into());
        self
    }

    /// The words beside the marked place, instead of "here".
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.0.label = label.into();
        self
    }

    /// What to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// A command line that the help ends with, in one piece, so that it can be copied.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.0.command = Some(command.into());
        self
    }

    /// The command lines of this error and of the others, each in the place of a [`COMMAND`] of the report.
    pub fn commands(&self) -> Vec<&str> {
        let others = self.0.others.iter().flat_map(Diagnostic::commands);
        self.0.command.as_deref().into_iter().chain(others).collect()
    }

    /// The error below this one.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Box::new(cause));
        self
    }

    /// Further errors found in the same pass.
    #[must_use]
    pub fn and(mut self, others: impl IntoIterator<Item = Diagnostic>) -> Self {
        self.0.others.extend(others);
        self
    }

    /// Which exit code this asks for.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// Where in the user's files, if known.
    pub fn span(&self) -> Option<&Span> {
        self.0.span.as_ref()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for Diagnostic {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

impl miette::Diagnostic for Diagnostic {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        match (&self.0.help, &self.0.command) {
            (help, None) => help.as_ref().map(|help| Box::new(help) as _),
            (help, Some(_)) => Some(Box::new(format!("{}\n{COMMAND}", help.as_deref().unwrap_or("run")))),
        }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.span.as_ref().map(|span| span as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.0.span.as_ref()?;
        let label = LabeledSpan::new(Some(self.0.label.clone()), span.start, span.end - span.start);
        Some(Box::new(std::iter::once(label)))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        (!self.0.others.is_empty())
            .then(|| Box::new(self.0.others.iter().map(|other| other as &dyn miette::Diagnostic)) as _)
    }
}

impl SourceCode for Span {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let contents = self.source.text.read_span(span, lines_before, lines_after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.source.name.clone(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

/// Adds the place in the user's file to an error on its way up.
pub trait At<T> {
    /// As [`Diagnostic::at`].
    fn at(self, span: Option<&Span>) -> Result<T, Diagnostic>;
}

impl<T> At<T> for Result<T, Diagnostic> {
    fn at(self, span: Option<&Span>) -> Result<T, Diagnostic> {
        self.map_err(|error| error.at(span.cloned()))
    }
}

/// The known word that `word` was probably meant to be, for "did you mean ...?".
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|known| (strsim::damerau_levenshtein(word, known), known));
    let (distance, best) = scored.min()?;
    (distance <= 1 + word.chars().count() / 4).then_some(best)
}

/// Bytes in decimal units, as `docker images` shows them.
pub fn human_size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes}B");
    }
    let mut size = bytes as f64 / 1000.0;
    let mut units = ["kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while let (true, Some(next)) = (size >= 999.5, units.next()) {
        (size, unit) = (size / 1000.0, next);
    }
    let decimals = if size < 10.0 { 2 } else { 1 };
    format!("{size:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str, start: usize, end: usize) -> Span {
        Span { source: Arc::new(SourceText { name: "BUILD.star".into(), text: text.into() }), start, end }
    }

    #[test]
    fn a_report_shows_the_place_and_the_next_step() {
        let error = Diagnostic::spec("no such file").at(span("a = 1\nb = 2\n", 6, 7)).help("write it");
        let mut report = String::new();
        miette::NarratableReportHandler::new().render_report(&mut report, &error).unwrap();
        assert!(
            report.contains("no such file") && report.contains("BUILD.star") && report.contains("line 2"),
            "{report}"
        );
        assert!(report.contains("write it"), "{report}");
    }

    #[test]
    fn the_innermost_place_stays() {
        let error = Diagnostic::spec("x").at(span("abc", 1, 2)).at(span("abc", 0, 3));
        assert_eq!(error.span().map(Span::text), Some("b"));
    }

    #[test]
    fn spans_narrow_to_a_quoted_argument() {
        let call = span("files(srcs = ['a', \"b\"])", 0, 24);
        assert_eq!(call.narrowed_to("b").text(), "\"b\"");
        assert_eq!(call.narrowed_to("c").text(), call.text());
    }

    #[test]
    fn sizes_have_decimal_units() {
        for (bytes, text) in [(0, "0B"), (999, "999B"), (1000, "1.00kB"), (12_345_678, "12.3MB")] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn suggestions_are_near_or_absent() {
        assert_eq!(nearest("entrypont", ["env", "entrypoint"]), Some("entrypoint"));
        assert_eq!(nearest("colour", ["env", "entrypoint"]), None);
    }
}
