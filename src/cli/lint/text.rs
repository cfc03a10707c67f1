//! Findings as a person reads them.

use crate::lint::{Finding, Position, Severity};

use super::super::report::harmless;

/// A paragraph for each finding: place, rule, what is wrong, the line, what to do.
pub(super) fn text(findings: &[Finding], is_denied: &dyn Fn(&Finding) -> bool) -> String {
    harmless(&findings.iter().map(|finding| paragraph(finding, is_denied(finding))).collect::<String>(), false)
}

fn paragraph(finding: &Finding, is_denied: bool) -> String {
    let (start, end) = Position::of(&finding.span);
    let level = if is_denied { "error" } else { finding.rule.severity.name() };
    let Position { line, column } = start;
    let name = &finding.span.source.name;
    let mut text = format!("{name}:{line}:{column}: {level}[{}]: {}\n", finding.rule.name, finding.message);
    let shown = finding.span.source.text.lines().nth(line - 1).unwrap_or("").replace('\t', " ");
    if !shown.trim().is_empty() {
        let ends = if end.line == line { end.column } else { shown.chars().count() + 1 };
        let marks = "^".repeat(ends.saturating_sub(column).max(1));
        text.push_str(&format!("{line:5} | {shown}\n      | {:>1$}\n", marks, column - 1 + marks.len()));
    }
    if let Some(help) = &finding.help {
        text.push_str(&format!("      = help: {help}\n"));
    }
    if let Some(fix) = &finding.fix {
        let how = if fix.is_safe { "--fix" } else { "--fix --unsafe-fixes, as it changes the image" };
        text.push_str(&format!("      = fix: {} ({how})\n", fix.title));
    }
    text + "\n"
}

/// How many there are, and what can be done about them.
pub(super) fn summary(findings: &[Finding], unsafe_too: bool) -> String {
    if findings.is_empty() {
        return "nothing found\n".to_owned();
    }
    let of = |severity| findings.iter().filter(|finding| finding.rule.severity == severity).count();
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        count => Some(format!("{count} {what}s")),
    };
    let counts = [counted(of(Severity::Warning), "warning"), counted(of(Severity::Note), "note")];
    let mut text = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let fixes =
        |safe| findings.iter().filter_map(|finding| finding.fix.as_ref()).filter(|fix| fix.is_safe == safe).count();
    match (fixes(true), fixes(false)) {
        (0, 0) => {}
        (0, others) if !unsafe_too => {
            text.push_str(&format!("; --fix --unsafe-fixes can mend {others}, and changes the image"))
        }
        (0, _) => {}
        (safe, 0) => text.push_str(&format!("; --fix can mend {safe}")),
        (safe, others) => text.push_str(&format!("; --fix can mend {safe}, with --unsafe-fixes {others} more")),
    }
    text + "\n"
}
