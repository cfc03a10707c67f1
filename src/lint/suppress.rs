//! Rules that a file asks to leave out: `# ocify: ignore=` and `# check=`.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText, Span, nearest};
use crate::dockerfile::Dockerfile;

use super::finding::{Finding, Position};
use super::rule::{Origin, RULES, Rule, Severity, rule};

pub(super) const UNKNOWN_RULE: Rule = Rule {
    name: "UnknownRule",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "`# ocify: ignore=` and `# check=skip=` name rules that there are.",
    why: "A name that is mistyped leaves out nothing, and the comment says otherwise.",
    bad: "# check=skip=RotUser\nFROM scratch\n",
    good: "# check=skip=RootUser\nFROM scratch\n",
};

/// What a file asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// `error=true`
    pub(super) is_strict: bool,
    /// Names, or `all`.
    skip: Vec<String>,
    experimental: Vec<String>,
    ignores: Vec<Ignore>,
    /// Names that are none.
    unknown: Vec<Finding>,
}

/// One `# ocify: ignore=`.
#[derive(Debug)]
struct Ignore {
    /// Counted from 1.
    line: usize,
    /// It stands at the head of the file.
    is_for_all: bool,
    names: Vec<String>,
}

impl Asked {
    /// What a Dockerfile asks for; `check` is what its directive would say, and wins over it.
    ///
    /// # Errors
    /// A directive that says something else than `skip`, `error` and `experimental`.
    pub(super) fn read(source: &Arc<SourceText>, parsed: &Dockerfile, check: Option<&str>) -> Result<Self, Diagnostic> {
        let mut asked = Asked::of(source);
        let Some(text) = check.or(parsed.directives.check.as_deref()) else { return Ok(asked) };
        let place = source.text.find(text).filter(|_| check.is_none());
        let place = place.map(|start| Span { source: source.clone(), start, end: start + text.len() });
        let wrong = |message: String| {
            let error = Diagnostic::spec(message).at(place.clone());
            Err(error.help("write `check=skip=Rule,Rule`, `check=error=true`, or both with `;` between them"))
        };
        for option in text.split(';').map(str::trim).filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            let names = || value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
            match key.trim().to_ascii_lowercase().as_str() {
                "skip" => asked.skip.extend(names()),
                "experimental" => asked.experimental.extend(names()),
                "error" => match value.trim() {
                    "true" | "1" => asked.is_strict = true,
                    "false" | "0" => asked.is_strict = false,
                    other => return wrong(format!("`{other}` is neither `true` nor `false`")),
                },
                other => return wrong(format!("`{other}` is no option of `check`")),
            }
        }
        let Some(place) = place else { return Ok(asked) };
        let named: Vec<String> = asked.skip.iter().chain(&asked.experimental).cloned().collect();
        for name in named.iter().filter(|name| *name != "all") {
            asked.unknown.extend(unknown(name, &place));
        }
        Ok(asked)
    }

    /// What the comments of a file ask for, be it a Dockerfile or a spec.
    pub(super) fn of(source: &Arc<SourceText>) -> Self {
        let mut asked = Asked::default();
        let lines: Vec<&str> = source.text.lines().collect();
        let head = lines.iter().take_while(|line| line.trim_start().starts_with('#')).count();
        let head_ends = lines.get(head).is_none_or(|line| line.trim().is_empty());
        let mut start = 0;
        for (at, line) in source.text.split_inclusive('\n').enumerate() {
            if let Some(list) = ignore(line) {
                let span = Span { source: source.clone(), start, end: start + line.trim_end().len() };
                let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
                for name in names.iter().filter(|name| *name != "all") {
                    asked.unknown.extend(unknown(name, &span));
                }
                asked.ignores.push(Ignore { line: at + 1, is_for_all: at < head && head_ends, names });
            }
            start += line.len();
        }
        asked
    }

    /// Leaves out what nobody wants to hear of. Each of `anchors` is an instruction or a target: a comment above it is for
    /// all that is in it.
    pub(super) fn apply(&self, findings: &mut Vec<Finding>, anchors: &[Span]) {
        findings.extend(self.unknown.iter().cloned());
        findings.retain(|finding| {
            let name = finding.rule.name;
            let lists = |names: &[String]| names.iter().any(|other| other == name || other == "all");
            let is_on = finding.rule.origin != Origin::Experimental || lists(&self.experimental);
            is_on && !lists(&self.skip) && !self.is_ignored(finding, anchors)
        });
    }

    fn is_ignored(&self, finding: &Finding, anchors: &[Span]) -> bool {
        if self.ignores.is_empty() {
            return false;
        }
        let span = &finding.span;
        let around = anchors.iter().filter(|anchor| (anchor.start..=anchor.end).contains(&span.start));
        let mut lines: Vec<usize> = around.map(|anchor| Position::of(anchor).0.line).collect();
        lines.push(Position::of(span).0.line);
        let text: Vec<&str> = span.source.text.lines().collect();
        let is_comment = |line: usize| text.get(line - 1).is_some_and(|line| line.trim_start().starts_with('#'));
        self.ignores.iter().any(|ignore| {
            let is_above = |line: &usize| ignore.line < *line && (ignore.line..*line).all(is_comment);
            let is_named = ignore.names.iter().any(|name| name == finding.rule.name || name == "all");
            is_named && (ignore.is_for_all || lines.iter().any(is_above))
        })
    }
}

/// The list of `# ocify: ignore=A,B`.
fn ignore(line: &str) -> Option<&str> {
    let comment = line.trim().strip_prefix('#')?.trim_start();
    Some(comment.strip_prefix("ocify:")?.trim_start().strip_prefix("ignore=")?.trim())
}

fn unknown(name: &str, span: &Span) -> Option<Finding> {
    if rule(name).is_some() {
        return None;
    }
    let found = Finding::new(&UNKNOWN_RULE, span.clone(), format!("there is no rule `{name}`"));
    Some(match nearest(name, RULES.iter().map(|rule| rule.name)) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found.help("`ocify lint --explain` lists the rules"),
    })
}
