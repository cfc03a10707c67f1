//! Starlark as it is written: expressions, and how they are laid out.
//!
//! The layout is that of buildifier where it has a say: four spaces, one argument a line with a comma behind each, and all on
//! one line where that is short enough and holds no comment.

use std::fmt::Write;

use super::comments::one_line;

/// The longest line that is not broken, in characters.
const WIDTH: usize = 100;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Code {
    /// A string made of pieces.
    Text(Vec<Piece>),
    /// A string whose lines are continued by `\`: one line once it is read.
    Continued(Vec<String>),
    /// Code as it is.
    Raw(String),
    List(Vec<Item>),
    Dict(Vec<(Code, Code)>),
    Call(Call),
    /// `a + b` or, of maps, `a | b`.
    Joined(&'static str, Vec<Code>),
}

/// A part of a string.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Literal(String),
    /// A variable that holds a string.
    Variable(String),
}

/// An element of a list, below its comments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) comments: Vec<String>,
    pub(super) code: Code,
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) function: &'static str,
    /// Each argument stands on its own line, however short.
    pub(super) tall: bool,
    pub(super) arguments: Vec<Argument>,
}

/// An argument of a call, below its comments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Argument {
    pub(super) comments: Vec<String>,
    pub(super) name: Option<&'static str>,
    pub(super) value: Code,
}

impl Code {
    /// A string without variables.
    pub(super) fn text(text: impl Into<String>) -> Code {
        Code::Text(vec![Piece::Literal(text.into())])
    }

    /// A list of elements without comments.
    pub(super) fn list(elements: impl IntoIterator<Item = Code>) -> Code {
        Code::List(elements.into_iter().map(|code| Item { comments: Vec::new(), code }).collect())
    }

    /// The code at this depth of indentation, behind `column` characters of its line.
    pub(super) fn write(&self, depth: usize, column: usize) -> String {
        match self.flat() {
            // A comma may follow.
            Some(line) if column + line.chars().count() < WIDTH => line,
            _ => self.broken(depth, column),
        }
    }

    /// The code on one line, where it can be.
    fn flat(&self) -> Option<String> {
        let joined = |parts: Option<Vec<String>>| parts.map(|parts| parts.join(", "));
        match self {
            Code::Text(pieces) => (!is_block(pieces)).then(|| text(pieces)),
            Code::Continued(_) => None,
            Code::Raw(code) => Some(code.clone()),
            Code::List(items) => {
                let element = |item: &Item| item.code.flat().filter(|_| item.comments.is_empty());
                Some(format!("[{}]", joined(items.iter().map(element).collect())?))
            }
            Code::Dict(pairs) => {
                let pair = |(key, value): &(Code, Code)| Some(format!("{}: {}", key.flat()?, value.flat()?));
                Some(format!("{{{}}}", joined(pairs.iter().map(pair).collect())?))
            }
            Code::Call(call) => {
                let flat = |argument: &Argument| {
                    let value = argument.value.flat().filter(|_| argument.comments.is_empty() && !call.tall)?;
                    Some(argument.name.map_or(value.clone(), |name| format!("{name} = {value}")))
                };
                let arguments = joined(call.arguments.iter().map(flat).collect())?;
                Some(format!("{}({arguments})", call.function))
            }
            Code::Joined(operator, parts) => {
                let parts: Option<Vec<String>> = parts.iter().map(Code::flat).collect();
                parts.map(|parts| parts.join(&format!(" {operator} ")))
            }
        }
    }

    fn broken(&self, depth: usize, column: usize) -> String {
        let mut lines = Lines { text: String::new(), depth: depth + 1 };
        match self {
            Code::Text(pieces) => text(pieces),
            Code::Continued(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| escaped(part, true)).collect();
                format!("\"\"\"{}\"\"\"", closed(parts.join("\\\n")))
            }
            Code::Raw(code) => code.clone(),
            Code::List(items) => {
                items.iter().for_each(|item| lines.add(&item.comments, "", &item.code));
                lines.between("[", "]")
            }
            Code::Dict(pairs) => {
                for (key, value) in pairs {
                    lines.add(&[], &format!("{}: ", key.write(depth + 1, 0)), value);
                }
                lines.between("{", "}")
            }
            Code::Call(call) => {
                for argument in &call.arguments {
                    let name = argument.name.map_or(String::new(), |name| format!("{name} = "));
                    lines.add(&argument.comments, &name, &argument.value);
                }
                lines.between(&format!("{}(", call.function), ")")
            }
            Code::Joined(operator, parts) => {
                let mut all = String::new();
                for (at, part) in parts.iter().enumerate() {
                    if at > 0 {
                        let _ = write!(all, " {operator} ");
                    }
                    let column = all.rfind('\n').map_or(column + all.len(), |end| all.len() - end);
                    all.push_str(&part.write(depth, column));
                }
                all
            }
        }
    }
}

impl Call {
    pub(super) fn new(function: &'static str) -> Self {
        Call { function, tall: false, arguments: Vec::new() }
    }

    /// With a positional argument.
    pub(super) fn with(self, value: Code) -> Self {
        self.push(None, value)
    }

    /// With a named argument.
    pub(super) fn named(self, name: &'static str, value: Code) -> Self {
        self.push(Some(name), value)
    }

    /// With a named argument, if there is a value for it.
    pub(super) fn optional(self, name: &'static str, value: Option<Code>) -> Self {
        match value {
            Some(value) => self.named(name, value),
            None => self,
        }
    }

    fn push(mut self, name: Option<&'static str>, value: Code) -> Self {
        self.arguments.push(Argument { comments: Vec::new(), name, value });
        self
    }
}

/// Lines of one depth.
struct Lines {
    text: String,
    depth: usize,
}

impl Lines {
    fn add(&mut self, comments: &[String], before: &str, code: &Code) {
        let indent = "    ".repeat(self.depth);
        for comment in comments {
            let _ = writeln!(self.text, "{indent}{}", one_line(comment));
        }
        let code = code.write(self.depth, indent.len() + before.chars().count());
        let _ = writeln!(self.text, "{indent}{before}{code},");
    }

    fn between(self, open: &str, close: &str) -> String {
        format!("{open}\n{}{}{close}", self.text, "    ".repeat(self.depth - 1))
    }
}

/// True for a text of several lines: it is written as such.
fn is_block(pieces: &[Piece]) -> bool {
    let literal = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Variable(_) => "x".to_owned(),
    };
    pieces.iter().map(literal).collect::<String>().trim_end_matches('\n').contains('\n')
}

fn text(pieces: &[Piece]) -> String {
    let block = is_block(pieces);
    let part = |piece: &Piece| match piece {
        Piece::Variable(name) => name.clone(),
        Piece::Literal(text) if block && text.contains('\n') => format!("\"\"\"{}\"\"\"", closed(escaped(text, true))),
        Piece::Literal(text) => format!("\"{}\"", escaped(text, false)),
    };
    match pieces {
        [] => "\"\"".to_owned(),
        pieces => pieces.iter().map(part).collect::<Vec<_>>().join(" + "),
    }
}

/// The text for between quotes; with `block` for between three of them, where lines and quotes may stand as they are.
fn escaped(text: &str, block: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' if !block => escaped.push_str("\\\""),
            '\n' if !block => escaped.push_str("\\n"),
            '\n' => escaped.push('\n'),
            '\t' => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    if block { escaped.replace("\"\"\"", "\\\"\\\"\\\"") } else { escaped }
}

/// The text of a block, whose last quote must not be taken for one of the three behind it.
fn closed(text: String) -> String {
    let is_escaped = |rest: &str| rest.bytes().rev().take_while(|&b| b == b'\\').count() % 2 == 1;
    match text.strip_suffix('"') {
        Some(rest) if !is_escaped(rest) => format!("{rest}\\\""),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_stands_on_one_line() {
        let call = Call::new("dir").with(Code::text("/a")).named("mode", Code::text("0700"));
        assert_eq!(Code::Call(call.clone()).write(0, 0), "dir(\"/a\", mode = \"0700\")");
        let tall = Code::Call(Call { tall: true, ..call });
        assert_eq!(tall.write(1, 4), "dir(\n        \"/a\",\n        mode = \"0700\",\n    )");
        let list = Code::list((0..30).map(|n| Code::text(n.to_string())));
        assert!(list.write(0, 0).starts_with("[\n    \"0\",\n") && list.write(0, 0).ends_with("    \"29\",\n]"));
    }

    #[test]
    fn strings_keep_what_they_say() {
        for (given, expected) in [
            ("a\\b\"c\"\n", "\"a\\\\b\\\"c\\\"\\n\""),
            ("a\n\"b\"\n", "\"\"\"a\n\"b\"\n\"\"\""),
            ("a\nb\"", "\"\"\"a\nb\\\"\"\"\""),
            ("a\nb\\\"", "\"\"\"a\nb\\\\\\\"\"\"\""),
            ("a\n\"\"\"b", "\"\"\"a\n\\\"\\\"\\\"b\"\"\""),
            ("a\u{1b}", "\"a\\u001b\""),
        ] {
            assert_eq!(Code::text(given).write(0, 0), expected, "{given:?}");
        }
        let continued = Code::Continued(vec!["a ".into(), " b\\n".into()]);
        assert_eq!(continued.write(0, 0), "\"\"\"a \\\n b\\\\n\"\"\"");
    }
}
