//! Expansion of variables in a word, and the taking away of quotes, as BuildKit's shell lexer does both.

use std::iter::Peekable;
use std::str::Chars;

/// The longest text that expansion gives, in bytes: values made of values can double with every line.
const LONGEST: usize = 1 << 20;
/// How deep `${a:-${b:-...}}` may go.
const MOST_NESTED: usize = 100;

/// Why a word cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    #[error("a {0} is not closed")]
    Unclosed(&'static str),
    #[error("`${{` needs the name of a variable")]
    NoName,
    #[error("`{0}` is not a way to expand a variable")]
    Modifier(String),
    #[error("variables are nested more than {MOST_NESTED} deep")]
    Nested,
    #[error("the text is longer than {LONGEST} bytes once its variables are expanded")]
    TooLong,
    /// `${name:?text}`
    #[error("{0}")]
    Required(String),
}

impl ExpandError {
    /// What to write instead.
    pub(super) fn help(&self) -> &'static str {
        match self {
            ExpandError::Unclosed(_) => "close it, or take its meaning away with the escape character",
            ExpandError::NoName | ExpandError::Modifier(_) => {
                "write `$name`, `${name}`, or with `:-`, `-`, `:+`, `+`, `:?`, `?`, `#`, `##`, `%`, `%%`, `/` or `//` behind the name"
            }
            ExpandError::Nested | ExpandError::TooLong => "write less in one word",
            ExpandError::Required(_) => "give the variable a value, with `ARG` or `--build-arg`",
        }
    }
}

/// Expands the variables of a word and takes its quotes away. `value` gives what a variable is; one that is not set
/// expands to nothing.
///
/// # Errors
/// A quote or brace that is not closed; an expansion of unknown form; a `:?` whose variable has no value.
pub fn expand(word: &str, escape: char, value: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let mut lexer = Lexer { rest: word.chars().peekable(), escape, value, heredoc: false, depth: 0 };
    lexer.until(None, false)
}

/// As [`expand`], of the content of a heredoc, in which quotes are text.
///
/// # Errors
/// As [`expand`].
pub fn expand_heredoc(
    content: &str,
    escape: char,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<String, ExpandError> {
    let mut lexer = Lexer { rest: content.chars().peekable(), escape, value, heredoc: true, depth: 0 };
    lexer.until(None, false)
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    escape: char,
    value: &'a dyn Fn(&str) -> Option<String>,
    /// Quotes are text.
    heredoc: bool,
    depth: usize,
}

impl Lexer<'_> {
    /// Up to `stop`, which is taken, or the end. With `raw`, escaped characters keep their escape: they are for a pattern.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<String, ExpandError> {
        let mut result = String::new();
        while let Some(c) = self.rest.next() {
            if result.len() > LONGEST {
                return Err(ExpandError::TooLong);
            }
            match c {
                c if stop == Some(c) => return Ok(result),
                '\'' if !self.heredoc => self.single_quoted(&mut result)?,
                '"' if !self.heredoc => self.double_quoted(&mut result)?,
                '$' => result.push_str(&self.dollar()?),
                c if c == self.escape => match self.rest.peek().copied() {
                    None if self.heredoc => result.push(c),
                    None => {}
                    Some(next) if self.heredoc && next != '$' && next != self.escape => result.push(c),
                    Some(next) => {
                        self.rest.next();
                        result.extend(raw.then_some(c));
                        result.push(next);
                    }
                },
                c => result.push(c),
            }
        }
        match stop {
            None => Ok(result),
            Some(_) => Err(ExpandError::Unclosed("`${`")),
        }
    }

    fn single_quoted(&mut self, result: &mut String) -> Result<(), ExpandError> {
        for c in self.rest.by_ref() {
            match c {
                '\'' => return Ok(()),
                c => result.push(c),
            }
        }
        Err(ExpandError::Unclosed("single quote"))
    }

    fn double_quoted(&mut self, result: &mut String) -> Result<(), ExpandError> {
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return Ok(()),
                '$' => result.push_str(&self.dollar()?),
                c if c == self.escape => match self.rest.next() {
                    None => {}
                    Some(next) if matches!(next, '"' | '$') || next == self.escape => result.push(next),
                    Some(next) => result.extend([c, next]),
                },
                c => result.push(c),
            }
        }
        Err(ExpandError::Unclosed("double quote"))
    }

    /// What stands behind a `$`.
    fn dollar(&mut self) -> Result<String, ExpandError> {
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { (self.value)(&name).unwrap_or_default() });
        }
        let name = self.name();
        if name.is_empty() {
            return Err(ExpandError::NoName);
        }
        self.depth += 1;
        if self.depth > MOST_NESTED {
            return Err(ExpandError::Nested);
        }
        let expanded = self.braced(&name);
        self.depth -= 1;
        expanded
    }

    /// What stands behind `${name`.
    fn braced(&mut self, name: &str) -> Result<String, ExpandError> {
        let value = (self.value)(name);
        let mut modifier = self.rest.next().ok_or(ExpandError::Unclosed("`${`"))?;
        let counts_empty = modifier == ':';
        if counts_empty {
            modifier = self.rest.next().ok_or(ExpandError::Unclosed("`${`"))?;
        }
        let present = value.clone().filter(|value| !counts_empty || !value.is_empty());
        match modifier {
            '}' if !counts_empty => Ok(value.unwrap_or_default()),
            '-' => self.until(Some('}'), false).map(|word| present.unwrap_or(word)),
            '+' => self.until(Some('}'), false).map(|word| present.map_or(String::new(), |_| word)),
            '?' => {
                let word = self.until(Some('}'), false)?;
                present.ok_or_else(|| {
                    ExpandError::Required(match (word.as_str(), &value) {
                        ("", None) => format!("`{name}` is not set, and it has to be"),
                        ("", Some(_)) => format!("`{name}` is empty, and it must not be"),
                        _ => format!("{name}: {word}"),
                    })
                })
            }
            '#' | '%' if !counts_empty => {
                let longest = self.rest.next_if_eq(&modifier).is_some();
                let pattern = Pattern::new(&self.until(Some('}'), true)?, self.escape);
                let value = value.unwrap_or_default();
                Ok(if modifier == '#' {
                    pattern.without_prefix(&value, longest)
                } else {
                    pattern.without_suffix(&value, longest)
                })
            }
            '/' if !counts_empty => {
                let all = self.rest.next_if_eq(&'/').is_some();
                let pattern = Pattern::new(&self.until(Some('/'), true)?, self.escape);
                let by = self.until(Some('}'), false)?;
                Ok(pattern.replace(&value.unwrap_or_default(), &by, all))
            }
            other => Err(ExpandError::Modifier(format!("${{{name}{}{other}", if counts_empty { ":" } else { "" }))),
        }
    }

    /// The name of a variable: letters, digits and `_`, only digits, or one of the shell's special characters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
                while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
            Some(c) if c.is_ascii_digit() => {
                while let Some(c) = self.rest.next_if(char::is_ascii_digit) {
                    name.push(c);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.rest.next()),
            _ => {}
        }
        name
    }
}

/// A pattern of `#`, `%` and `/`: `*` and `?`.
struct Pattern(Vec<Part>);

enum Part {
    Char(char),
    Any,
    Some,
}

impl Pattern {
    fn new(text: &str, escape: char) -> Self {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Some,
                '?' => Part::Any,
                c if c == escape => Part::Char(chars.next().unwrap_or(c)),
                c => Part::Char(c),
            });
        }
        Pattern(parts)
    }

    fn without_prefix(&self, value: &str, longest: bool) -> String {
        let found = pick(ends(value).filter(|&end| self.is_match(&value[..end])), longest);
        found.map_or(value, |end| &value[end..]).to_owned()
    }

    fn without_suffix(&self, value: &str, longest: bool) -> String {
        let found = pick(ends(value).filter(|&start| self.is_match(&value[start..])), !longest);
        found.map_or(value, |start| &value[..start]).to_owned()
    }

    fn replace(&self, value: &str, by: &str, all: bool) -> String {
        let (mut result, mut rest) = (String::new(), value);
        while let Some(first) = rest.chars().next() {
            match ends(rest).filter(|&end| end > 0 && self.is_match(&rest[..end])).last() {
                Some(end) => {
                    result.push_str(by);
                    rest = &rest[end..];
                    if !all {
                        break;
                    }
                }
                None => {
                    result.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        result + rest
    }

    /// True if it matches all of the text. Time is the product of both lengths.
    fn is_match(&self, text: &str) -> bool {
        // Which prefixes of the pattern match what was read so far.
        let mut states = vec![false; self.0.len() + 1];
        states[0] = true;
        let skip_stars = |states: &mut Vec<bool>| {
            for (at, part) in self.0.iter().enumerate() {
                states[at + 1] |= states[at] && matches!(part, Part::Some);
            }
        };
        skip_stars(&mut states);
        for c in text.chars() {
            let mut next = vec![false; states.len()];
            for (at, part) in self.0.iter().enumerate().filter(|(at, _)| states[*at]) {
                match part {
                    Part::Some => next[at] = true,
                    Part::Any => next[at + 1] = true,
                    Part::Char(own) => next[at + 1] |= *own == c,
                }
            }
            skip_stars(&mut next);
            states = next;
        }
        states.last().copied().unwrap_or(false)
    }
}

/// Every place at which a text can be cut.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()])
}

fn pick(mut places: impl Iterator<Item = usize>, last: bool) -> Option<usize> {
    if last { places.last() } else { places.next() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        let variables = [("a", "foo"), ("empty", ""), ("path", "/usr/local/lib.tar.gz"), ("s", "a b"), ("1", "one")];
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn variables_expand_with_every_modifier() {
        for (word, expected) in [
            ("$a", "foo"),
            ("${a}bar", "foobar"),
            ("x$a.y", "xfoo.y"),
            ("$unset|", "|"),
            ("$", "$"),
            ("a$/b", "a$/b"),
            ("$$a", "a"),
            ("$1", "one"),
            ("${unset:-$a}", "foo"),
            ("${empty:-x}", "x"),
            ("${empty-x}", ""),
            ("${unset-x}", "x"),
            ("${a:+x}", "x"),
            ("${empty:+x}", ""),
            ("${empty+x}", "x"),
            ("${unset+x}", ""),
            ("${a:?no}", "foo"),
            ("${empty?no}", ""),
            ("${unset:-${empty:-deep}}", "deep"),
            ("${unset:-\"a b\"}", "a b"),
            ("${path#*/}", "usr/local/lib.tar.gz"),
            ("${path##*/}", "lib.tar.gz"),
            ("${path%.*}", "/usr/local/lib.tar"),
            ("${path%%.*}", "/usr/local/lib"),
            ("${path#nothing}", "/usr/local/lib.tar.gz"),
            ("${path/l?/X}", "/usr/Xcal/lib.tar.gz"),
            ("${path//l/L}", "/usr/LocaL/Lib.tar.gz"),
            ("${a//o/}", "f"),
            ("${a/#/x}", "foo"),
        ] {
            assert_eq!(expand(word, '\\', &value), Ok(expected.to_owned()), "{word}");
        }
    }

    #[test]
    fn quotes_and_escapes_go() {
        for (word, expected) in [
            ("'$a'", "$a"),
            ("\"$a\"", "foo"),
            ("\"'$a'\"", "'foo'"),
            ("\\$a", "$a"),
            ("a\\ b", "a b"),
            ("\"\\n\\\"\\$\"", "\\n\"$"),
            ("'a\\'", "a\\"),
            ("a\\", "a"),
            ("\"$s\"x'y'", "a bxy"),
        ] {
            assert_eq!(expand(word, '\\', &value), Ok(expected.to_owned()), "{word}");
        }
        assert_eq!(expand("c:\\x`$a", '`', &value), Ok("c:\\x$a".to_owned()));
    }

    #[test]
    fn heredocs_keep_their_quotes() {
        for (content, expected) in
            [("'$a' \"$a\"", "'foo' \"foo\""), ("\\$a", "$a"), ("\\\\", "\\"), ("\\n", "\\n"), ("$$", ""), ("\\", "\\")]
        {
            assert_eq!(expand_heredoc(content, '\\', &value), Ok(expected.to_owned()), "{content}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_an_error() {
        for word in ["'a", "\"a", "${a", "${", "${}", "${:-x}", "${a:}", "${a!x}", "${a/x}", "${a:#x}", "\"${a\""] {
            assert!(expand(word, '\\', &value).is_err(), "{word}");
        }
        assert_eq!(expand("${unset:?give it}", '\\', &value).unwrap_err().to_string(), "unset: give it");
        assert_eq!(expand("${empty:?}", '\\', &value).unwrap_err().to_string(), "`empty` is empty, and it must not be");
    }

    #[test]
    fn nesting_and_length_have_a_limit() {
        assert_eq!(expand(&"${x:-".repeat(5000), '\\', &value), Err(ExpandError::Nested));
        let long = |_: &str| Some("x".repeat(LONGEST));
        assert_eq!(expand("$a$a$a", '\\', &long), Err(ExpandError::TooLong));
    }

    #[test]
    fn many_stars_take_little_time() {
        let word = format!("${{a#{}b}}", "*".repeat(1000));
        assert_eq!(expand(&word, '\\', &|_| Some("a".repeat(300))), Ok("a".repeat(300)));
    }
}
