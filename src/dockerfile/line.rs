//! Physical lines to logical ones: comments out, continuations joined, heredocs attached.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText, Span};

use super::directive::bom;
use super::heredoc::{self, Heredoc};

/// One instruction as a line of text. Each byte of it knows where it stands in the file.
#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    pub heredocs: Vec<Heredoc>,
    /// From the first byte of the instruction to the last of its heredocs.
    pub span: Span,
    /// Where a part of `text` begins, and where that is in the file.
    pieces: Vec<(usize, usize)>,
    /// Lines of a continuation in which there is nothing.
    pub(super) blanks: Vec<Span>,
}

impl Line {
    /// Where a part of the text stands in the file.
    pub fn span(&self, range: Range<usize>) -> Span {
        let end = if range.is_empty() { self.at(range.start) } else { self.at(range.end - 1) + 1 };
        Span { source: self.span.source.clone(), start: self.at(range.start), end: end.max(self.at(range.start)) }
    }

    /// The line from an offset on.
    pub(super) fn tail(&self, from: usize) -> Line {
        let later = self.pieces.iter().filter(|(begins, _)| *begins > from);
        let later = later.map(|(begins, place)| (begins - from, *place));
        let pieces = [(0, self.at(from))].into_iter().chain(later).collect();
        Line { text: self.text[from..].to_owned(), pieces, ..self.clone() }
    }

    fn at(&self, offset: usize) -> usize {
        let piece = self.pieces.partition_point(|(begins, _)| *begins <= offset).saturating_sub(1);
        self.pieces.get(piece).map_or(self.span.start, |(begins, place)| place + (offset - begins))
    }
}

/// The logical lines of a file, from `escape` at the end of one to the next.
///
/// # Errors
/// A heredoc without an end.
pub(super) fn lines(source: &Arc<SourceText>, escape: char) -> Result<Vec<Line>, Diagnostic> {
    let text = &source.text;
    let mut physical = Physical { text, at: bom(text) };
    let mut lines = Vec::new();
    while let Some((start, first)) = physical.next() {
        if is_comment(first) || first.trim().is_empty() {
            continue;
        }
        let indent = first.len() - first.trim_start().len();
        let (part, mut continues) = continuation(first.trim_end_matches(['\r', '\n']), escape);
        let mut line = Line {
            text: part.get(indent..).unwrap_or("").to_owned(),
            heredocs: Vec::new(),
            span: Span {
                source: source.clone(),
                start: start + indent,
                end: start + part.trim_end().len().max(indent),
            },
            pieces: vec![(0, start + indent)],
            blanks: Vec::new(),
        };
        while continues && let Some((start, next)) = physical.next() {
            if next.trim().is_empty() {
                line.blanks.push(Span { source: source.clone(), start, end: start + next.len() });
                continue;
            }
            if is_comment(next) {
                continue;
            }
            let (part, more) = continuation(next.trim_end_matches(['\r', '\n']), escape);
            line.pieces.push((line.text.len(), start));
            line.text.push_str(part);
            line.span.end = start + part.trim_end().len();
            continues = more;
        }
        for (range, opening) in heredoc::openings(&line.text, escape) {
            let (content, end) = body(&mut physical, &opening).ok_or_else(|| {
                let error = Diagnostic::spec(format!("the heredoc `{}` has no end", opening.name));
                error.at(line.span(range)).help(format!("it ends at a line with nothing but `{}`", opening.name))
            })?;
            line.heredocs.push(Heredoc { content, ..opening });
            line.span.end = end;
        }
        if !line.text.trim().is_empty() {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// The lines of the file with their line ends, and where each begins.
struct Physical<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Physical<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<(usize, &'a str)> {
        let (start, rest) = (self.at, &self.text[self.at..]);
        let line = rest.split_inclusive('\n').next()?;
        self.at += line.len();
        Some((start, line))
    }
}

/// The content of a heredoc, and where its last line ends; `None` if the file ends first.
fn body(physical: &mut Physical, opening: &Heredoc) -> Option<(String, usize)> {
    let mut content = String::new();
    for (start, line) in physical {
        let kept = if opening.chomp { line.trim_start_matches('\t') } else { line };
        if kept.trim_end_matches(['\r', '\n']) == opening.name {
            return Some((content, start + line.trim_end().len()));
        }
        content.push_str(kept);
    }
    None
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// The line without the character that continues it, and whether there was one. Behind it there may be blanks; one that
/// is escaped itself continues nothing.
fn continuation(line: &str, escape: char) -> (&str, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape) {
        Some(rest) if !rest.ends_with(escape) => (rest, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, escape: char) -> Vec<String> {
        let source = Arc::new(SourceText { name: "Dockerfile".into(), text: text.into() });
        lines(&source, escape).unwrap().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn continuations_join_and_comments_within_them_vanish() {
        let cases: &[(&str, &[&str])] = &[
            ("FROM a\nRUN b", &["FROM a", "RUN b"]),
            ("RUN a \\\n  b", &["RUN a   b"]),
            ("RUN a \\  \n# c\n\n  # d\nb\nRUN c", &["RUN a b", "RUN c"]),
            ("  RUN a # b", &["RUN a # b"]),
            ("RUN a \\\\\nRUN b", &["RUN a \\\\", "RUN b"]),
            ("RUN a \\\r\n b\r\n", &["RUN a  b"]),
            ("RUN a \\", &["RUN a "]),
            ("\\\nRUN a", &["RUN a"]),
            ("# only\n\n", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(texts(text, '\\'), *expected, "{text:?}");
        }
        assert_eq!(texts("RUN dir `\nc:\\\nRUN x", '`'), ["RUN dir c:\\", "RUN x"]);
    }

    #[test]
    fn every_part_knows_its_place() {
        let text = "\n# c\nRUN one \\\n   two";
        let source = Arc::new(SourceText { name: "Dockerfile".into(), text: text.into() });
        let line = lines(&source, '\\').unwrap().remove(0);
        let at = line.text.find("two").unwrap();
        assert_eq!((line.span(at..at + 3).text(), line.span(at..at + 3).line()), ("two", 4));
        assert_eq!(line.span.text(), "RUN one \\\n   two");
    }

    #[test]
    fn heredocs_belong_to_their_line() {
        let text = "COPY <<A <<-\"B\" /x/\n$a\n\tA\nA\n\tb\n\tB\nRUN true";
        let source = Arc::new(SourceText { name: "Dockerfile".into(), text: text.into() });
        let found = lines(&source, '\\').unwrap();
        let heredocs: Vec<_> = found[0].heredocs.iter().map(|h| (h.content.as_str(), h.expand)).collect();
        assert_eq!(heredocs, [("$a\n\tA\n", true), ("b\n", false)]);
        assert_eq!(found[1].text, "RUN true");
        let source = Arc::new(SourceText { name: "Dockerfile".into(), text: "RUN cat <<E\nx\n".into() });
        let error = lines(&source, '\\').unwrap_err();
        assert_eq!(error.span().unwrap().text(), "<<E");
    }
}
