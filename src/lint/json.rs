//! Findings as JSON.

use serde_json::{Value, json};

use super::finding::{Finding, Position};

/// A list with an object for each finding: `rule`, `severity`, `message`, `file`, `start` and `end` (`line` and `column`, from
/// 1, columns in characters), and where there is one `help` and `fix`: `title`, `safe`, `edits`.
pub fn json(findings: &[Finding]) -> Value {
    findings.iter().map(object).collect()
}

fn object(finding: &Finding) -> Value {
    let (start, end) = Position::of(&finding.span);
    let mut object = json!({
        "rule": finding.rule.name,
        "severity": finding.rule.severity.name(),
        "message": finding.message,
        "file": finding.span.source.name,
        "start": position(start),
        "end": position(end),
    });
    if let Some(help) = &finding.help {
        object["help"] = json!(help);
    }
    if let Some(fix) = &finding.fix {
        let edits = fix.edits.iter().map(|edit| {
            let (start, end) = Position::of(&edit.span);
            json!({ "start": position(start), "end": position(end), "text": edit.text })
        });
        object["fix"] = json!({ "title": fix.title, "safe": fix.is_safe, "edits": edits.collect::<Vec<_>>() });
    }
    object
}

fn position(position: Position) -> Value {
    json!({ "line": position.line, "column": position.column })
}
