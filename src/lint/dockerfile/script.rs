//! The commands of a RUN, and where they stand in the file.

use std::ops::Range;

use crate::diagnostic::Span;
use crate::dockerfile::{Body, Command, Instruction, Word};
use crate::lint::finding::Edit;
use crate::lint::shell::{self, Call, ShellWord};

/// What a RUN runs.
pub(super) struct Script<'a> {
    pub(super) instruction: &'a Instruction,
    pub(super) calls: Vec<Call>,
    /// The text in which the calls stand, if it is that of the instruction: else they have no place of their own.
    text: Option<&'a Word>,
}

impl<'a> Script<'a> {
    /// The script of a RUN; none of other instructions.
    pub(super) fn of(instruction: &'a Instruction) -> Option<Self> {
        let Body::Run { command, heredocs } = &instruction.body else { return None };
        let script = |calls, text| Some(Script { instruction, calls, text });
        match command {
            Command::Shell(text) => {
                let calls = shell::calls(&text.value);
                let is_for_shell = calls.is_empty() || calls.iter().any(|call| is_shell(call.program()));
                match heredocs.first() {
                    Some(first) if is_for_shell => script(shell::calls(&first.content), None),
                    _ => script(calls, Some(text)),
                }
            }
            Command::Exec(words) => match words.as_slice() {
                [program, flags, text]
                    if is_shell(program.rsplit('/').next().unwrap_or("")) && flags.ends_with('c') =>
                {
                    script(shell::calls(text), None)
                }
                words => {
                    let words = words.iter().map(|text| ShellWord { text: text.clone(), range: 0..0 }).collect();
                    script(vec![Call { words, is_piped: false, end: 0 }], None)
                }
            },
        }
    }

    /// Where a part of the script stands; else the first line of the instruction.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        match self.text {
            Some(text) => self.instruction.span_in(text, range),
            None => first_line(&self.instruction.span),
        }
    }

    /// Where a call stands.
    pub(super) fn span_of(&self, call: &Call) -> Span {
        self.span(call.words.first().map_or(0, |word| word.range.start)..call.end)
    }

    /// `text` behind a word, if the word has a place.
    pub(super) fn insert_behind(&self, word: &ShellWord, text: &str) -> Option<Edit> {
        let span = self.instruction.span_in(self.text?, word.range.clone());
        Some(Edit::insert(&span.source, span.end, text))
    }

    /// `text` behind the whole command, if it has a place and something can go there.
    pub(super) fn append(&self, text: &str) -> Option<Edit> {
        let command = self.text.filter(|command| !command.value.ends_with([';', '&', '|', '\\', ')', '}']))?;
        let is_open =
            command.value.contains(" #") || self.calls.last().is_none_or(|call| call.end != command.value.len());
        let span = self.instruction.span_in(command, 0..command.value.len());
        (!is_open).then(|| Edit::insert(&span.source, span.end, text))
    }

    /// True if a `--mount` of the instruction is at this path or above it.
    pub(super) fn is_mounted(&self, path: &str) -> bool {
        let values = self.instruction.flags.iter().filter(|flag| flag.name.value == "mount");
        let mut targets = values.filter_map(|flag| flag.value.as_ref()).flat_map(|value| value.value.split(','));
        targets.any(|option| {
            let target = option.split_once('=').filter(|(key, _)| matches!(*key, "target" | "dst" | "destination"));
            target.is_some_and(|(_, target)| is_at_or_below(path, target.trim_end_matches('/')))
        })
    }
}

/// True if `path` is `above` or lies in it.
pub(super) fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || above == "/")
}

/// True for programs that run what is given to them.
pub(super) fn is_shell(program: &str) -> bool {
    matches!(program, "ash" | "bash" | "dash" | "ksh" | "sh" | "zsh")
}

pub(super) fn first_line(span: &Span) -> Span {
    let end = span.text().lines().next().map_or(span.end, |line| span.start + line.len());
    Span { end, ..span.clone() }
}
