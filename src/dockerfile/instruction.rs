//! One instruction: keyword, flags and arguments, as written.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Span, nearest};

use super::heredoc::{self, Heredoc};
use super::line::Line;
use super::word::{self, Word, part, plain, quoted, quoted_ranges};

/// An instruction and where it stands.
#[derive(Clone, Debug)]
pub struct Instruction {
    pub span: Span,
    /// The keyword as written.
    pub keyword: Word,
    /// The instruction as one line, for the image's history.
    pub text: String,
    pub flags: Vec<Flag>,
    pub body: Body,
    /// The line that it was read from.
    line: Line,
}

/// `--name=value`, or `--name`.
#[derive(Clone, Debug)]
pub struct Flag {
    pub name: Word,
    pub value: Option<Word>,
}

/// What an instruction says.
#[derive(Clone, Debug)]
pub enum Body {
    From {
        image: Word,
        name: Option<Word>,
    },
    Arg(Vec<(Word, Option<Word>)>),
    Env(Vec<(Word, Word)>),
    Label(Vec<(Word, Word)>),
    Run {
        command: Command,
        heredocs: Vec<Heredoc>,
    },
    /// COPY, and ADD.
    Copy(Copy),
    Cmd(Command),
    Entrypoint(Command),
    Shell(Vec<String>),
    /// `None` is `HEALTHCHECK NONE`.
    Healthcheck(Option<Command>),
    Expose(Vec<Word>),
    Volume(Vec<Word>),
    User(Word),
    Workdir(Word),
    Stopsignal(Word),
    Maintainer(Word),
    /// The instruction that is to be run, as written.
    Onbuild(Word),
}

/// What COPY and ADD copy.
#[derive(Clone, Debug)]
pub struct Copy {
    pub add: bool,
    pub sources: Vec<Word>,
    pub heredocs: Vec<Heredoc>,
    pub dest: Word,
}

/// A command in one of its two forms.
#[derive(Clone, Debug)]
pub enum Command {
    /// For the shell.
    Shell(Word),
    /// The program and its arguments.
    Exec(Vec<String>),
}

/// Every keyword.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

impl Instruction {
    /// Reads a line.
    ///
    /// # Errors
    /// An unknown keyword or flag, with the nearest known one; arguments that are missing or too many.
    pub(super) fn parse(line: &Line, escape: char) -> Result<Instruction, Diagnostic> {
        let keyword_end = line.text.find(char::is_whitespace).unwrap_or(line.text.len());
        let keyword = word::word(line, 0..keyword_end);
        let name = keyword.value.to_ascii_uppercase();
        let (flags, begin) = match flags_of(&name) {
            [] => (Vec::new(), keyword_end),
            known => flags(line, keyword_end, known, escape)?,
        };
        let reader = Reader { line, escape, keyword: &keyword, name: &name, begin };
        let body = reader.body()?;
        let text = format!("{name}{}", &line.text[keyword_end..]).trim().to_owned();
        Ok(Instruction { span: line.span.clone(), keyword, text, flags, body, line: line.clone() })
    }

    /// The keyword in capitals.
    pub fn name(&self) -> String {
        self.keyword.value.to_ascii_uppercase()
    }

    /// Empty lines in its continuation; each span has the line's end as well.
    pub fn blank_lines(&self) -> &[Span] {
        &self.line.blanks
    }

    /// Where a part of its last word stands: of a command in shell form, also where that goes over several lines.
    pub fn span_in(&self, last: &Word, range: Range<usize>) -> Span {
        let begin = self.line.text.trim_end().len().saturating_sub(last.value.len());
        self.line.span(begin + range.start..begin + range.end)
    }

    /// The flag of this name; of several, the last.
    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().rev().find(|flag| flag.name.value == name)
    }
}

/// The flags that an instruction takes.
fn flags_of(keyword: &str) -> &'static [&'static str] {
    match keyword {
        "ADD" => &["chmod", "chown", "checksum", "exclude", "keep-git-dir", "link", "unpack"],
        "COPY" => &["chmod", "chown", "exclude", "from", "link", "parents"],
        "FROM" => &["platform"],
        "HEALTHCHECK" => &["interval", "retries", "start-interval", "start-period", "timeout"],
        "RUN" => &["device", "mount", "network", "security"],
        _ => &[],
    }
}

/// The flags behind the keyword, and where the arguments begin.
fn flags(line: &Line, start: usize, known: &[&str], escape: char) -> Result<(Vec<Flag>, usize), Diagnostic> {
    let mut flags: Vec<Flag> = Vec::new();
    for range in quoted_ranges(line, start..line.text.len(), escape) {
        let found = word::word(line, range.clone());
        if found.value == "--" {
            return Ok((flags, range.end));
        }
        if !found.value.starts_with("--") {
            return Ok((flags, range.start));
        }
        let (name, value) = match found.value.find('=') {
            Some(at) => (part(&found, 2..at), Some(part(&found, at + 1..found.value.len()))),
            None => (part(&found, 2..found.value.len()), None),
        };
        if !known.contains(&name.value.as_str()) {
            let keyword = line.text[..start].trim().to_ascii_uppercase();
            let error = Diagnostic::spec(format!("{keyword} has no flag `--{}`", name.value)).at(found.span);
            return Err(error.help(match nearest(&name.value, known.iter().copied()) {
                Some(near) => format!("did you mean `--{near}`?"),
                None => format!("it has --{}", known.join(", --")),
            }));
        }
        flags.push(Flag { name, value });
    }
    Ok((flags, line.text.len()))
}

/// Reads the arguments of one instruction.
struct Reader<'a> {
    line: &'a Line,
    escape: char,
    keyword: &'a Word,
    /// The keyword in capitals.
    name: &'a str,
    /// Where the arguments begin.
    begin: usize,
}

impl Reader<'_> {
    fn body(&self) -> Result<Body, Diagnostic> {
        Ok(match self.name {
            "FROM" => self.from()?,
            "ARG" => Body::Arg(self.arguments()?),
            "ENV" => Body::Env(self.pairs()?),
            "LABEL" => Body::Label(self.pairs()?),
            "RUN" => Body::Run { command: self.command()?, heredocs: self.line.heredocs.clone() },
            "COPY" | "ADD" => Body::Copy(self.copy()?),
            "CMD" => Body::Cmd(self.command()?),
            "ENTRYPOINT" => Body::Entrypoint(self.command()?),
            "SHELL" => match self.command()? {
                Command::Exec(words) if !words.is_empty() => Body::Shell(words),
                _ => return Err(self.wrong("SHELL takes the JSON form only", "write SHELL [\"/bin/sh\", \"-c\"]")),
            },
            "HEALTHCHECK" => self.healthcheck()?,
            "EXPOSE" => Body::Expose(self.some(plain(self.line, self.rest()))?),
            "VOLUME" => Body::Volume(self.some(self.list()?)?),
            "USER" => Body::User(self.one()?),
            "WORKDIR" => Body::Workdir(self.one()?),
            "STOPSIGNAL" => Body::Stopsignal(self.one()?),
            "MAINTAINER" => Body::Maintainer(self.one()?),
            "ONBUILD" => self.onbuild()?,
            _ => {
                let error = Diagnostic::spec(format!("unknown instruction `{}`", self.keyword.value));
                let error = error.at(self.keyword.span.clone()).label("not an instruction");
                return Err(match nearest(self.name, KEYWORDS) {
                    Some(near) => error.help(format!("did you mean {near}?")),
                    None => error.help(format!("known are {}", KEYWORDS.join(", "))),
                });
            }
        })
    }

    fn rest(&self) -> Range<usize> {
        self.begin..self.line.text.len()
    }

    fn wrong(&self, message: impl Into<String>, help: &str) -> Diagnostic {
        Diagnostic::spec(message).at(self.line.span(0..self.line.text.trim_end().len())).help(help)
    }

    fn missing(&self) -> Diagnostic {
        let help = match self.name {
            "COPY" | "ADD" => "name one or more sources and the destination: COPY src/ /app/",
            "FROM" => "name an image, a stage or `scratch`: FROM debian:12 AS build",
            "HEALTHCHECK" => "write HEALTHCHECK CMD and a command, or HEALTHCHECK NONE",
            "ENV" | "LABEL" | "ARG" => "write a name and a value: NAME=value",
            _ => "write something behind it, or take it away",
        };
        self.wrong(format!("{} needs arguments", self.name), help)
    }

    fn some<T>(&self, items: Vec<T>) -> Result<Vec<T>, Diagnostic> {
        if items.is_empty() { Err(self.missing()) } else { Ok(items) }
    }

    /// All arguments as one word.
    fn one(&self) -> Result<Word, Diagnostic> {
        let all = word::word(self.line, self.rest());
        if all.value.is_empty() { Err(self.missing()) } else { Ok(all) }
    }

    fn from(&self) -> Result<Body, Diagnostic> {
        let mut words = plain(self.line, self.rest()).into_iter();
        match (words.next(), words.next(), words.next(), words.next()) {
            (None, ..) => Err(self.missing()),
            (Some(image), None, ..) => Ok(Body::From { image, name: None }),
            (Some(image), Some(keyword), Some(name), None) if keyword.value.eq_ignore_ascii_case("as") => {
                Ok(Body::From { image, name: Some(name) })
            }
            _ => Err(self.wrong("FROM takes an image, and may give the stage a name", "write FROM image AS name")),
        }
    }

    fn arguments(&self) -> Result<Vec<(Word, Option<Word>)>, Diagnostic> {
        let words = self.some(quoted(self.line, self.rest(), self.escape))?;
        words.into_iter().map(|word| self.named(word)).collect()
    }

    /// `name=value`, or `name`.
    fn named(&self, word: Word) -> Result<(Word, Option<Word>), Diagnostic> {
        match word.value.find('=') {
            Some(0) => Err(Diagnostic::spec(format!("{} needs a name before `=`", self.name)).at(word.span)),
            Some(at) => Ok((part(&word, 0..at), Some(part(&word, at + 1..word.value.len())))),
            None => Ok((word, None)),
        }
    }

    fn pairs(&self) -> Result<Vec<(Word, Word)>, Diagnostic> {
        let words = self.some(quoted(self.line, self.rest(), self.escape))?;
        if !words[0].value.contains('=') {
            // The old form: a name, and all the rest is its value.
            let text = &self.line.text[self.begin..];
            let name_begins = self.begin + (text.len() - text.trim_start().len());
            let name_ends = name_begins + words[0].value.len();
            let value = word::word(self.line, name_ends..self.line.text.len());
            if value.value.is_empty() {
                return Err(
                    self.wrong(format!("{} needs a value for `{}`", self.name, words[0].value), "write NAME=value")
                );
            }
            return Ok(vec![(words[0].clone(), value)]);
        }
        let pair = |word: Word| {
            let span = word.span.clone();
            let (name, value) = self.named(word)?;
            let missing = || {
                let error = Diagnostic::spec(format!("`{}` has no `=`", name.value)).at(span);
                error.help("quote a value that has blanks: NAME=\"a b\"")
            };
            value.map(|value| (name.clone(), value)).ok_or_else(missing)
        };
        words.into_iter().map(pair).collect()
    }

    /// The exec form, if the arguments are a JSON array, else the shell form.
    fn command(&self) -> Result<Command, Diagnostic> {
        match self.json()? {
            Some(words) => Ok(Command::Exec(words)),
            None => self.one().map(Command::Shell),
        }
    }

    /// The arguments as a JSON array of texts; `None` if they are no JSON array.
    fn json(&self) -> Result<Option<Vec<String>>, Diagnostic> {
        let text = self.line.text[self.begin..].trim();
        if !text.starts_with('[') {
            return Ok(None);
        }
        let Ok(items) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return Ok(None) };
        let texts: Option<Vec<String>> = items.into_iter().map(|item| item.as_str().map(str::to_owned)).collect();
        let error = || self.wrong("the JSON form is a list of texts", "quote every word: [\"program\", \"1\"]");
        texts.map(Some).ok_or_else(error)
    }

    /// Words, of the JSON form or separated by white space.
    fn list(&self) -> Result<Vec<Word>, Diagnostic> {
        let Some(texts) = self.json()? else { return Ok(plain(self.line, self.rest())) };
        let span = word::word(self.line, self.rest()).span;
        Ok(texts
            .into_iter()
            .map(|value| Word { span: span.as_ref().map(|span| span.narrowed_to(&value)), value })
            .collect())
    }

    fn copy(&self) -> Result<Copy, Diagnostic> {
        let mut words = self.list()?;
        let dest = words.pop().filter(|_| !words.is_empty()).ok_or_else(|| self.missing())?;
        let sources =
            words.into_iter().filter(|word| heredoc::opening(&word.value).is_none() || self.line.heredocs.is_empty());
        Ok(Copy { add: self.name == "ADD", sources: sources.collect(), heredocs: self.line.heredocs.clone(), dest })
    }

    fn healthcheck(&self) -> Result<Body, Diagnostic> {
        let text = &self.line.text[self.begin..];
        let start = self.begin + (text.len() - text.trim_start().len());
        let end = self.line.text[start..].find(char::is_whitespace).map_or(self.line.text.len(), |at| start + at);
        match self.line.text[start..end].to_ascii_uppercase().as_str() {
            "NONE" if self.line.text[end..].trim().is_empty() => Ok(Body::Healthcheck(None)),
            "NONE" => Err(self.wrong("HEALTHCHECK NONE takes no arguments", "take them away")),
            "CMD" => {
                let command = Reader { begin: end, ..*self }.command()?;
                Ok(Body::Healthcheck(Some(command)))
            }
            "" => Err(self.missing()),
            other => Err(self.wrong(
                format!("`{other}` is not a kind of health check"),
                "write HEALTHCHECK CMD and a command, or HEALTHCHECK NONE",
            )),
        }
    }

    fn onbuild(&self) -> Result<Body, Diagnostic> {
        let trigger = self.one()?;
        let keyword = trigger.value.split_whitespace().next().unwrap_or("").to_ascii_uppercase();
        if matches!(keyword.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
            let error = Diagnostic::spec(format!("{keyword} cannot stand behind ONBUILD")).at(trigger.span);
            return Err(error.help("it would have to change the Dockerfile that builds on this image"));
        }
        let start = self.line.text.len() - self.line.text[self.begin..].trim_start().len();
        Instruction::parse(&self.line.tail(start), self.escape).map_err(|error| error.at(trigger.span.clone()))?;
        let heredocs = self.line.heredocs.iter().map(|heredoc| format!("\n{}{}", heredoc.content, heredoc.name));
        let value = trigger.value.clone() + &heredocs.collect::<String>();
        Ok(Body::Onbuild(Word { value, span: trigger.span }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::line::lines;
    use super::*;
    use crate::diagnostic::SourceText;

    fn parse(text: &str) -> Result<Instruction, Diagnostic> {
        let source = Arc::new(SourceText { name: "Dockerfile".into(), text: text.into() });
        Instruction::parse(&lines(&source, '\\').unwrap()[0], '\\')
    }

    fn pairs(text: &str) -> Vec<(String, String)> {
        match parse(text).unwrap().body {
            Body::Env(pairs) | Body::Label(pairs) => pairs.into_iter().map(|(a, b)| (a.value, b.value)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_and_values_in_both_forms() {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect::<Vec<_>>();
        assert_eq!(
            pairs("ENV a=1 b='x y' \\\n c=\"q\" d="),
            owned(&[("a", "1"), ("b", "'x y'"), ("c", "\"q\""), ("d", "")])
        );
        assert_eq!(pairs("env a some  thing=1"), owned(&[("a", "some  thing=1")]));
        assert_eq!(pairs("LABEL a\\ b=c\\ d"), owned(&[("a\\ b", "c\\ d")]));
        for text in ["ENV", "ENV a", "ENV a=1 b", "ENV =1", "LABEL x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn commands_have_two_forms() {
        let is_exec = |text: &str| match parse(text).unwrap().body {
            Body::Cmd(command) | Body::Run { command, .. } | Body::Entrypoint(command) => {
                matches!(command, Command::Exec(_))
            }
            other => panic!("{other:?}"),
        };
        for (text, exec) in [
            ("CMD [\"a\", \"b\"]", true),
            ("CMD []", true),
            ("CMD a b", false),
            ("RUN ['a']", false),
            ("CMD [\"a\"] trailing", false),
            ("ENTRYPOINT [a", false),
            ("RUN --network=none [\"a\"]", true),
        ] {
            assert_eq!(is_exec(text), exec, "{text}");
        }
        for text in ["CMD [\"a\", 1]", "CMD", "SHELL sh -c", "SHELL []", "RUN"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_end_at_the_first_word_that_is_none() {
        let copy = parse("COPY --from=a --link  --chown=\"b c\" -- --x /y").unwrap();
        let names: Vec<_> = copy.flags.iter().map(|flag| flag.name.value.as_str()).collect();
        assert_eq!(names, ["from", "link", "chown"]);
        let Body::Copy(body) = &copy.body else { panic!() };
        assert_eq!((body.sources[0].value.as_str(), body.dest.value.as_str()), ("--x", "/y"));
        let error = parse("COPY --chwn=a b c").unwrap_err();
        assert_eq!(error.span().unwrap().text(), "--chwn=a");
        assert!(parse("CMD --x").is_ok());
    }

    #[test]
    fn heredocs_are_no_sources() {
        let Body::Copy(copy) = parse("COPY a <<B /x/\nb\nB\n").unwrap().body else { panic!() };
        assert_eq!(copy.sources.iter().map(|word| word.value.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!((copy.heredocs[0].name.as_str(), copy.heredocs[0].content.as_str()), ("B", "b\n"));
    }

    #[test]
    fn what_is_wrong_is_said_at_its_place() {
        for (text, message, place) in [
            ("COPPY a b", "unknown instruction `COPPY`", "COPPY"),
            ("COPY a", "COPY needs arguments", "COPY a"),
            ("FROM a AS", "FROM takes an image, and may give the stage a name", "FROM a AS"),
            ("FROM a AS b c", "FROM takes an image, and may give the stage a name", "FROM a AS b c"),
            ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments", "HEALTHCHECK NONE x"),
            ("HEALTHCHECK curl", "`CURL` is not a kind of health check", "HEALTHCHECK curl"),
            ("ONBUILD FROM x", "FROM cannot stand behind ONBUILD", "FROM x"),
            ("ONBUILD COPY x", "COPY needs arguments", "COPY x"),
            ("ONBUILD", "ONBUILD needs arguments", "ONBUILD"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.span().unwrap().text()), (message, place));
        }
    }

    #[test]
    fn an_onbuild_keeps_its_text() {
        let Body::Onbuild(word) = parse("ONBUILD   copy  . \\\n /x").unwrap().body else { panic!() };
        assert_eq!(word.value, "copy  .  /x");
    }
}
