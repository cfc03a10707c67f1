//! The commands of a shell script, as far as one can know them without running it.

use std::ops::Range;

/// One command: a program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The program first. Assignments, redirections and words such as `sudo` and `then` are left out.
    pub words: Vec<ShellWord>,
    /// Its output is the input of the next.
    pub is_piped: bool,
    /// Behind its last word.
    pub end: usize,
}

/// A word without its quotes, and where it stands in the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellWord {
    pub text: String,
    pub range: Range<usize>,
}

/// Words before a program that say nothing of what it does.
const PREFIXES: [&str; 14] =
    ["!", "{", "}", "command", "do", "else", "env", "exec", "if", "nice", "sudo", "then", "time", "while"];

impl Call {
    /// The program's name, without the directories before it.
    pub fn program(&self) -> &str {
        self.words.first().map_or("", |word| word.text.rsplit('/').next().unwrap_or(""))
    }

    /// What stands behind the program.
    pub fn arguments(&self) -> &[ShellWord] {
        self.words.get(1..).unwrap_or(&[])
    }

    /// True if one of the arguments is this text.
    pub fn has(&self, argument: &str) -> bool {
        self.arguments().iter().any(|word| word.text == argument)
    }

    /// The arguments that are no options; those of `valued` take the word behind them with them.
    pub fn operands<'a>(&'a self, valued: &'a [&str]) -> impl Iterator<Item = &'a ShellWord> {
        let mut skip = false;
        self.arguments().iter().filter(move |word| {
            let is_value = std::mem::replace(&mut skip, valued.contains(&word.text.as_str()));
            !is_value && !word.text.starts_with('-')
        })
    }
}

/// The commands of a script, in their order. What substitutions and quoted scripts do is not looked at.
pub fn calls(script: &str) -> Vec<Call> {
    let mut reader = Reader { script, calls: Vec::new(), words: Vec::new(), word: None, is_target: false };
    let mut chars = script.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, '\n')) | None => reader.end_word(at),
                Some((_, next)) => reader.push(at, next),
            },
            '\'' => {
                reader.begin(at);
                for (at, c) in chars.by_ref().take_while(|(_, c)| *c != '\'') {
                    reader.push(at, c);
                }
            }
            '"' => {
                reader.begin(at);
                while let Some((at, c)) = chars.next_if(|(_, c)| *c != '"') {
                    match c {
                        '\\' => reader.push(at, chars.next().map_or(c, |(_, next)| next)),
                        c => reader.push(at, c),
                    }
                }
                chars.next();
            }
            '$' if chars.next_if(|(_, next)| *next == '(').is_some() => {
                reader.push(at, c);
                reader.push(at, '(');
                let mut depth = 1;
                while depth > 0
                    && let Some((at, c)) = chars.next()
                {
                    depth = depth + usize::from(c == '(') - usize::from(c == ')');
                    reader.push(at, c);
                }
            }
            '`' => {
                reader.push(at, c);
                for (at, c) in chars.by_ref().take_while(|(_, c)| *c != '`') {
                    reader.push(at, c);
                }
                reader.push(at, '`');
            }
            '#' if reader.word.is_none() => while chars.next_if(|(_, next)| *next != '\n').is_some() {},
            '<' | '>' => {
                // The number before it, as in `2>&1`, is no argument.
                reader.word.take_if(|(_, text)| text.bytes().all(|b| b.is_ascii_digit()));
                reader.end_word(at);
                while chars.next_if(|(_, next)| matches!(next, '<' | '>' | '&' | '|' | '-')).is_some() {}
                reader.is_target = true;
            }
            '&' if chars.peek().is_some_and(|(_, next)| *next == '>') => reader.end_word(at),
            '|' => {
                let is_or = chars.next_if(|(_, next)| *next == '|').is_some();
                reader.end_call(at, !is_or);
                chars.next_if(|(_, next)| !is_or && *next == '&');
            }
            '&' | ';' | '(' | ')' | '\n' => reader.end_call(at, false),
            c if c.is_whitespace() => reader.end_word(at),
            c => reader.push(at, c),
        }
    }
    reader.end_call(script.len(), false);
    reader.calls
}

struct Reader<'a> {
    script: &'a str,
    calls: Vec<Call>,
    words: Vec<ShellWord>,
    /// Where the word that is being read begins, and what it is so far.
    word: Option<(usize, String)>,
    /// The next word is where a redirection leads.
    is_target: bool,
}

impl Reader<'_> {
    fn begin(&mut self, at: usize) {
        self.word.get_or_insert((at, String::new()));
    }

    fn push(&mut self, at: usize, c: char) {
        self.word.get_or_insert((at, String::new())).1.push(c);
    }

    fn end_word(&mut self, at: usize) {
        let Some((start, text)) = self.word.take() else { return };
        if std::mem::take(&mut self.is_target) {
            return;
        }
        let is_assignment = || {
            let name = self.script[start..].split('=').next().unwrap_or("");
            text.contains('=') && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if self.words.is_empty() && (PREFIXES.contains(&text.as_str()) || is_assignment()) {
            return;
        }
        self.words.push(ShellWord { text, range: start..at });
    }

    fn end_call(&mut self, at: usize, is_piped: bool) {
        self.end_word(at);
        self.is_target = false;
        if let Some(last) = self.words.last() {
            let end = last.range.end;
            self.calls.push(Call { words: std::mem::take(&mut self.words), is_piped, end });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        let text = |call: Call| {
            let words: Vec<&str> = call.words.iter().map(|word| word.text.as_str()).collect();
            words.join("_") + if call.is_piped { "|" } else { "" }
        };
        calls(script).into_iter().map(text).collect()
    }

    #[test]
    fn a_script_is_its_commands() {
        let cases: &[(&str, &[&str])] = &[
            ("a b && c || d; e & f", &["a_b", "c", "d", "e", "f"]),
            ("a | b |& c\nd", &["a|", "b|", "c", "d"]),
            ("A=1 B='x y' sudo env C=2 a 'b  c' \"d\\\"e\" f\\ g", &["a_b  c_d\"e_f g"]),
            ("a x=1", &["a_x=1"]),
            ("if a; then b; fi", &["a", "b", "fi"]),
            ("a >out 2>&1 <in b &> log c", &["a_b_c"]),
            ("a # b && c\nd#e", &["a", "d#e"]),
            ("(cd a && b)", &["cd_a", "b"]),
            ("a $(b && c) `d; e` \"$(f)\"", &["a_$(b && c)_`d; e`_$(f)"]),
            ("a \\\n  b", &["a_b"]),
            ("a ''", &["a_"]),
            ("", &[]),
        ];
        for (script, expected) in cases {
            assert_eq!(texts(script), *expected, "{script}");
        }
    }

    #[test]
    fn words_know_their_place() {
        let script = "a && 'b c' -y";
        let call = &calls(script)[1];
        assert_eq!(&script[call.words[0].range.clone()], "'b c'");
        assert_eq!((call.program(), call.end), ("b c", script.len()));
        assert!(call.has("-y"));
    }

    #[test]
    fn operands_are_no_options_nor_their_values() {
        let call = &calls("apt-get -o A=b install -y -t testing x")[0];
        let operands: Vec<&str> = call.operands(&["-o", "-t"]).map(|word| word.text.as_str()).collect();
        assert_eq!(operands, ["install", "x"]);
    }
}
