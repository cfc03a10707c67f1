//! How deep the syntax tree of a file can become. Parser and compiler recurse over it, so a file that would overflow
//! their stack has to be found before they see it: by counting words, without understanding them.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText, Span};

/// Words of one expression, those of the brackets around it included: each can deepen the tree by one.
const EXPRESSION: usize = 1000;

/// Blocks in blocks.
const BLOCKS: usize = 64;

/// Branches with `elif` in a file: in the tree, each is a block in the one before.
const BRANCHES: usize = 1000;

/// Bytes of a line that is still quoted.
const LINE: usize = 400;

/// Digits of a number.
const DIGITS: usize = 100;

/// Checks a file before it is parsed.
///
/// # Errors
/// A place where the tree is too deep. What is no word of Starlark at all is left for the parser.
pub fn check(source: &Arc<SourceText>) -> Result<(), Diagnostic> {
    let mut scanner = Scanner { text: source.text.as_bytes(), at: 0 };
    // The words since the last comma, for the line and for each open bracket in it.
    let mut words = vec![0_usize];
    let mut total = 0_usize;
    let mut indents: Vec<usize> = Vec::new();
    let mut branches = 0;
    let fail = |place: Range<usize>, message: &str, help: &str| {
        let span = Span { source: source.clone(), start: place.start, end: place.end };
        // A report quotes the whole line, which would bury what it says.
        let line = source.text.lines().nth(span.line() - 1).unwrap_or("");
        if line.len() > LINE {
            return Err(Diagnostic::spec(format!("{message}, at {span}")).help(help));
        }
        Err(Diagnostic::spec(message).at(span).label("the limit was reached here").help(help))
    };
    while let Some((word, place)) = scanner.next() {
        match word {
            Word::Open => words.push(0),
            Word::Close if words.len() > 1 => total -= words.pop().unwrap_or(0),
            Word::Comma => {
                if let Some(innermost) = words.last_mut() {
                    total -= std::mem::take(innermost);
                }
                continue;
            }
            Word::Line { indent } if words.len() == 1 => {
                total -= std::mem::take(&mut words[0]);
                indents.retain(|outer| *outer < indent);
                if indent > 0 {
                    indents.push(indent);
                }
                if indents.len() > BLOCKS {
                    return fail(place, "blocks are nested too deep", "move an inner block into a function");
                }
                continue;
            }
            Word::Line { .. } => continue,
            Word::Elif => {
                branches += 1;
                if branches > BRANCHES {
                    return fail(place, "the file has too many `elif` branches", "look the value up in a map instead");
                }
            }
            Word::Number if place.len() > DIGITS => {
                return fail(place, "the number is too long", "keep to numbers of up to 64 bits");
            }
            Word::Close | Word::Number | Word::Other => {}
        }
        total += 1;
        if let Some(innermost) = words.last_mut() {
            *innermost += 1;
        }
        if total > EXPRESSION {
            let help = "give parts of it names, or build it in a loop";
            return fail(place, "the expression is too long or nested too deep", help);
        }
    }
    Ok(())
}

enum Word {
    Open,
    Close,
    Comma,
    /// The end of a line, before one that begins with this many blanks.
    Line {
        indent: usize,
    },
    Elif,
    Number,
    /// A string, a name, or one byte of an operator.
    Other,
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn next(&mut self) -> Option<(Word, Range<usize>)> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\\' => self.at += 1,
                b'#' => self.skip(|byte| byte != b'\n'),
                _ => break,
            }
        }
        let start = self.at;
        let byte = self.text[start];
        self.at += 1;
        let word = match byte {
            b'(' | b'[' | b'{' => Word::Open,
            b')' | b']' | b'}' => Word::Close,
            b',' | b';' => Word::Comma,
            b'\n' => {
                self.skip(|byte| matches!(byte, b' ' | b'\t'));
                match self.text.get(self.at) {
                    // A line without words says nothing about blocks.
                    None | Some(b'\n' | b'\r' | b'#') => return self.next(),
                    Some(_) => Word::Line { indent: self.at - start - 1 },
                }
            }
            b'"' | b'\'' => {
                self.string(byte);
                Word::Other
            }
            b'0'..=b'9' => {
                self.skip(|byte| byte.is_ascii_alphanumeric());
                Word::Number
            }
            byte if is_name(byte) => {
                self.skip(is_name);
                let name = &self.text[start..self.at];
                match self.text.get(self.at) {
                    Some(&quote @ (b'"' | b'\'')) if name.len() <= 2 => {
                        self.at += 1;
                        self.string(quote);
                        Word::Other
                    }
                    _ if name == b"elif" => Word::Elif,
                    _ => Word::Other,
                }
            }
            _ => Word::Other,
        };
        Some((word, start..self.at))
    }

    fn skip(&mut self, part: impl Fn(u8) -> bool) {
        self.at += self.text[self.at..].iter().take_while(|byte| part(**byte)).count();
    }

    /// Skips the rest of a string behind its first quote; in a raw one too, a backslash keeps the quote behind it from
    /// ending it.
    fn string(&mut self, quote: u8) {
        let rest = &self.text[self.at..];
        let long = rest.starts_with(&[quote; 2]);
        if !long && rest.first() == Some(&quote) {
            self.at += 1;
            return;
        }
        self.at += if long { 2 } else { 0 };
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'\n' if !long => return,
                _ if byte == quote && (!long || self.text[self.at..].starts_with(&[quote; 3])) => {
                    self.at += if long { 3 } else { 1 };
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.text.len();
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(text: &str) -> bool {
        check(&Arc::new(SourceText { name: "BUILD.star".into(), text: text.into() })).is_ok()
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let brackets = "(".repeat(2000);
        for text in [
            format!("x = '{brackets}'"),
            format!("x = \"\\\"{brackets}\""),
            format!("x = '''\n'{brackets}\n'''"),
            format!("x = r'\\{brackets}'"),
            format!("# {brackets}\nx = ''"),
            format!("x = '' # {brackets}"),
        ] {
            assert!(accepted(&text), "{}", &text[..12]);
        }
        assert!(!accepted(&format!("x = ''{brackets}")));
        assert!(!accepted(&format!("x = '\\\\'{brackets}")));
        assert!(!accepted(&format!("x = ''''''{brackets}")));
        assert!(!accepted(&format!("x = f''{brackets}")));
    }

    #[test]
    fn long_lists_and_files_are_not_deep() {
        assert!(accepted(&format!("x = [{}]", "[1, 2],\n".repeat(10_000))));
        assert!(accepted(&"x = 1 + 2\n".repeat(10_000)));
        assert!(accepted(&"if x:\n  pass\nelse:\n  pass\n".repeat(10_000)));
    }

    #[test]
    fn any_bytes_are_scanned_to_their_end() {
        for text in ["", "'", "\"\"\"", "'\\", "\\", ")", "é", "0x", "\n \n\t", "a'", ",;"] {
            assert!(accepted(text), "{text:?}");
        }
    }
}
