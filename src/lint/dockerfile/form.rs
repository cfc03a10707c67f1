//! Forms of instructions that were right once, or mislead.

use crate::diagnostic::Span;
use crate::dockerfile::{Body, Instruction, Word};
use crate::lint::finding::{Edit, Finding};
use crate::lint::rule::{Origin, Rule, Severity};

use super::Checked;

pub(in crate::lint) const NO_EMPTY_CONTINUATION: Rule = Rule {
    name: "NoEmptyContinuation",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "A continued line is followed by a line with something in it.",
    why: "The instruction goes on behind an empty line, although it looks as if it ended there. Builders announce that this \
          will be an error.",
    bad: "FROM debian:12\nRUN make && \\\n\n    make install\n",
    good: "FROM debian:12\nRUN make && \\\n    make install\n",
};

pub(in crate::lint) const LEGACY_KEY_VALUE_FORMAT: Rule = Rule {
    name: "LegacyKeyValueFormat",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "ENV and LABEL have `=` between name and value.",
    why: "In the form `ENV name value` all that follows is the value: several variables in one line become one, and quotes \
          mean something else than in the other form.",
    bad: "FROM debian:12\nENV LANG C.UTF-8\n",
    good: "FROM debian:12\nENV LANG=C.UTF-8\n",
};

pub(in crate::lint) const MAINTAINER_DEPRECATED: Rule = Rule {
    name: "MaintainerDeprecated",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "A label says who made the image, not MAINTAINER.",
    why: "MAINTAINER is deprecated. Labels are what tools show and search.",
    bad: "FROM debian:12\nMAINTAINER me@example.com\n",
    good: "FROM debian:12\nLABEL org.opencontainers.image.authors=\"me@example.com\"\n",
};

pub(in crate::lint) const INVALID_DEFINITION_DESCRIPTION: Rule = Rule {
    name: "InvalidDefinitionDescription",
    origin: Origin::Experimental,
    severity: Severity::Note,
    summary: "A comment right above FROM or ARG begins with the name that it describes.",
    why: "`docker build --call=outline` shows such comments as descriptions of stages and arguments. A comment about something \
          else is kept apart by an empty line.",
    bad: "# The compiler.\nFROM debian:12 AS build\n",
    good: "# build has the compiler.\nFROM debian:12 AS build\n",
};

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    for instruction in &checked.dockerfile.instructions {
        for blank in instruction.blank_lines() {
            let found =
                Finding::new(&NO_EMPTY_CONTINUATION, blank.clone(), "the instruction goes on behind this empty line");
            findings.push(found.fixed_by("take the line away", vec![Edit::replace(blank.clone(), "")]));
        }
        match &instruction.body {
            Body::Env(pairs) | Body::Label(pairs) => pairs.iter().for_each(|pair| legacy(instruction, pair, findings)),
            Body::Maintainer(author) => maintainer(instruction, author, findings),
            Body::Arg(arguments) => {
                let names: Vec<&str> = arguments.iter().map(|(name, _)| name.value.as_str()).collect();
                description(instruction, &names, findings);
            }
            Body::From { name: Some(name), .. } => description(instruction, &[&name.value], findings),
            _ => {}
        }
    }
}

fn legacy(instruction: &Instruction, (name, value): &(Word, Word), findings: &mut Vec<Finding>) {
    let (Some(name_span), Some(value_span)) = (&name.span, &value.span) else { return };
    let text = &name_span.source.text;
    if name_span.text() != name.value || text[name_span.end..].starts_with('=') {
        return;
    }
    let keyword = &instruction.keyword.value;
    let message = format!("between `{}` and its value there is no `=`", name.value);
    let found = Finding::new(&LEGACY_KEY_VALUE_FORMAT, instruction.span.clone(), message);
    // The new form takes quotes away and ends the value at a blank.
    let is_plain = !value.value.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | '`'));
    let between = Span { source: name_span.source.clone(), start: name_span.end, end: value_span.start };
    if is_plain {
        let edits = vec![Edit::replace(between, "=")];
        findings.push(found.fixed_by(format!("write `{keyword} {}={}`", name.value, value.value), edits));
        return;
    }
    let is_quotable = value_span.text() == value.value && !value.value.contains(['"', '\'', '\\', '`']);
    if !is_quotable {
        findings.push(found.help(format!("write `{keyword} {}=\"...\"`; quotes are taken away there", name.value)));
        return;
    }
    let edits = vec![Edit::replace(between, "=\""), Edit::insert(&value_span.source, value_span.end, "\"")];
    findings.push(found.fixed_by(format!("write `{keyword} {}=\"{}\"`", name.value, value.value), edits));
}

fn maintainer(instruction: &Instruction, author: &Word, findings: &mut Vec<Finding>) {
    let found = Finding::new(&MAINTAINER_DEPRECATED, instruction.span.clone(), "MAINTAINER is deprecated");
    if author.value.contains(['"', '\'', '\\', '$', '`']) {
        findings.push(found.help("write LABEL org.opencontainers.image.authors=\"...\""));
        return;
    }
    let label = match instruction.keyword.value.as_str() {
        keyword if keyword.chars().all(|c| c.is_ascii_lowercase()) => "label",
        _ => "LABEL",
    };
    let text = format!("{label} org.opencontainers.image.authors=\"{}\"", author.value);
    let edits = vec![Edit::replace(instruction.span.clone(), &text)];
    findings.push(found.changed_by(format!("write `{text}`"), edits));
}

fn description(instruction: &Instruction, names: &[&str], findings: &mut Vec<Finding>) {
    let span = &instruction.span;
    let line_begins = span.source.text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let above = span.source.text[..line_begins].trim_end_matches('\n');
    if above.len() + 1 < line_begins || above.is_empty() {
        return;
    }
    let start = above.rfind('\n').map_or(0, |newline| newline + 1);
    let Some(comment) = above[start..].trim().strip_prefix('#').map(str::trim) else { return };
    let first = comment.split_whitespace().next().unwrap_or("");
    if names.contains(&first) || first.ends_with(':') || is_directive(comment) {
        return;
    }
    let place = Span { source: span.source.clone(), start, end: above.len() };
    let message = format!("this comment would be the description of `{}`", names.join("`, `"));
    let found = Finding::new(&INVALID_DEFINITION_DESCRIPTION, place, message);
    let edits = vec![Edit::insert(&span.source, line_begins, "\n")];
    let help = format!("begin it with `{}`, or leave an empty line behind it", names.first().unwrap_or(&""));
    findings.push(found.help(help).fixed_by("put an empty line behind it", edits));
}

/// True for comments that are for programs: `syntax=`, `check=` and the like.
fn is_directive(comment: &str) -> bool {
    comment
        .split_once('=')
        .is_some_and(|(key, _)| matches!(key.trim().to_ascii_lowercase().as_str(), "syntax" | "escape" | "check"))
}
