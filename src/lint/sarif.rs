//! Findings as SARIF 2.1.0 (OASIS), which services that host code show beside it.

use serde_json::{Value, json};

use crate::diagnostic::Span;

use super::finding::{Finding, Position};
use super::rule::{RULES, Rule};

/// The log of one run. `is_error` says which findings are errors.
pub fn sarif(findings: &[Finding], is_error: &dyn Fn(&Finding) -> bool) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "ocify",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": RULES.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(|finding| result(finding, is_error(finding))).collect::<Vec<_>>(),
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.name,
        "shortDescription": { "text": plain(rule.summary) },
        "fullDescription": { "text": plain(rule.why) },
        "defaultConfiguration": { "level": rule.severity.name() },
    })
}

fn result(finding: &Finding, is_error: bool) -> Value {
    let index = RULES.iter().position(|rule| rule.name == finding.rule.name);
    let message = match &finding.help {
        Some(help) => format!("{}. Help: {help}", finding.message),
        None => finding.message.clone(),
    };
    let mut result = json!({
        "ruleId": finding.rule.name,
        "ruleIndex": index,
        "level": if is_error { "error" } else { finding.rule.severity.name() },
        "message": { "text": message },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.span) },
            "region": region(&finding.span),
        } }],
    });
    if let Some(fix) = &finding.fix {
        let replacements = fix
            .edits
            .iter()
            .map(|edit| json!({ "deletedRegion": region(&edit.span), "insertedContent": { "text": edit.text } }));
        result["fixes"] = json!([{
            "description": { "text": fix.title },
            "artifactChanges": [{
                "artifactLocation": { "uri": uri(&finding.span) },
                "replacements": replacements.collect::<Vec<_>>(),
            }],
        }]);
    }
    result
}

fn region(span: &Span) -> Value {
    let (start, end) = Position::of(span);
    json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    })
}

/// The file's path as a relative reference (RFC 3986, section 4.2).
fn uri(span: &Span) -> String {
    let mut uri = String::new();
    for byte in span.source.name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

/// Text without the marks of Markdown.
fn plain(text: &str) -> String {
    text.replace('`', "")
}
