//! The words of an instruction, as written: variables are not expanded and quotes stay.

use std::ops::Range;

use crate::diagnostic::Spanned;

use super::line::Line;

/// A part of an instruction before expansion.
pub type Word = Spanned<String>;

/// Part of a line with its place; white space around it goes.
pub(super) fn word(line: &Line, range: Range<usize>) -> Word {
    let text = &line.text[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    let range = start..start + text.trim().len();
    Word { value: line.text[range.clone()].to_owned(), span: Some(line.span(range)) }
}

/// The words that white space separates; quotes mean nothing.
pub(super) fn plain(line: &Line, range: Range<usize>) -> Vec<Word> {
    split(&line.text[range.clone()], |_| false)
        .into_iter()
        .map(|found| word(line, found.start + range.start..found.end + range.start))
        .collect()
}

/// The words that white space outside of quotes separates.
pub(super) fn quoted(line: &Line, range: Range<usize>, escape: char) -> Vec<Word> {
    quoted_ranges(line, range, escape).into_iter().map(|found| word(line, found)).collect()
}

/// As [`quoted`], as places in the line.
pub(super) fn quoted_ranges(line: &Line, range: Range<usize>, escape: char) -> Vec<Range<usize>> {
    let text = &line.text[range.clone()];
    let mut hidden = vec![false; text.len()];
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in text.char_indices() {
        hidden[at] = quote.is_some() || escaped;
        if escaped {
            escaped = false;
        } else if c == escape && quote != Some('\'') {
            escaped = true;
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '"' | '\'') {
            quote = Some(c);
        }
    }
    let found = split(text, |at| hidden[at]).into_iter();
    found.map(|found| found.start + range.start..found.end + range.start).collect()
}

fn split(text: &str, is_hidden: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let (mut words, mut start) = (Vec::new(), None);
    for (at, c) in text.char_indices() {
        if c.is_whitespace() && !is_hidden(at) {
            words.extend(start.take().map(|start| start..at));
        } else {
            start.get_or_insert(at);
        }
    }
    words.extend(start.map(|start| start..text.len()));
    words
}

/// A part of a word, with its place.
pub(super) fn part(word: &Word, range: Range<usize>) -> Word {
    let value = word.value[range.clone()].to_owned();
    let span = word.span.clone().map(|mut span| {
        // Where a continuation lies within the word, only the whole word has a place.
        if span.text() == word.value {
            (span.start, span.end) = (span.start + range.start, span.start + range.end);
        }
        span
    });
    Word { value, span }
}
