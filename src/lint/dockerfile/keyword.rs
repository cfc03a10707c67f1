//! The case in which keywords are written.

use crate::dockerfile::{Body, Instruction};
use crate::lint::finding::{Edit, Finding};
use crate::lint::rule::{Origin, Rule, Severity};

use super::Checked;

pub(in crate::lint) const CONSISTENT_INSTRUCTION_CASING: Rule = Rule {
    name: "ConsistentInstructionCasing",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "All instructions are written in the same case, in capitals or in small letters.",
    why: "A file in one style is easier to read. What most instructions have is right for all; as many of each means capitals.",
    bad: "FROM debian:12\nRun make\nCMD [\"app\"]\n",
    good: "FROM debian:12\nRUN make\nCMD [\"app\"]\n",
};

pub(in crate::lint) const FROM_AS_CASING: Rule = Rule {
    name: "FromAsCasing",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "AS has the case of its FROM.",
    why: "`FROM debian as build` mixes two styles in one line.",
    bad: "FROM debian:12 as build\n",
    good: "FROM debian:12 AS build\n",
};

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    let all: Vec<&Instruction> = checked.stages.iter().flat_map(|stage| stage.instructions()).collect();
    let count =
        |is: fn(char) -> bool| all.iter().filter(|instruction| instruction.keyword.value.chars().all(is)).count();
    let lower = count(|c| c.is_ascii_lowercase()) > count(|c| c.is_ascii_uppercase());
    for instruction in all {
        instruction_case(instruction, lower, findings);
        as_case(instruction, findings);
    }
}

fn cased(text: &str, lower: bool) -> String {
    if lower { text.to_ascii_lowercase() } else { text.to_ascii_uppercase() }
}

fn instruction_case(instruction: &Instruction, lower: bool, findings: &mut Vec<Finding>) {
    let keyword = &instruction.keyword;
    let right = cased(&keyword.value, lower);
    let Some(span) = keyword.span.clone().filter(|_| right != keyword.value) else { return };
    let others = if lower { "in small letters" } else { "in capitals" };
    let message = format!("`{}` is not {others}, as most instructions here are", keyword.value);
    let edits = vec![Edit::replace(span.clone(), &right)];
    findings
        .push(Finding::new(&CONSISTENT_INSTRUCTION_CASING, span, message).fixed_by(format!("write `{right}`"), edits));
}

/// Of a FROM that is in neither case, the other rule says enough.
fn as_case(instruction: &Instruction, findings: &mut Vec<Finding>) {
    let Body::From { image, name: Some(name), .. } = &instruction.body else { return };
    let keyword = &instruction.keyword.value;
    let lower = keyword.chars().all(|c| c.is_ascii_lowercase());
    if !lower && !keyword.chars().all(|c| c.is_ascii_uppercase()) {
        return;
    }
    let (Some(image), Some(name)) = (&image.span, &name.span) else { return };
    let between = &image.source.text[image.end..name.start];
    let Some(at) = between.find(['a', 'A']) else { return };
    let mut span = image.clone();
    (span.start, span.end) = (image.end + at, image.end + at + 2);
    let right = cased("as", lower);
    if span.text() == right {
        return;
    }
    let message = format!("`{}` does not have the case of `{keyword}`", span.text());
    let edits = vec![Edit::replace(span.clone(), &right)];
    findings.push(Finding::new(&FROM_AS_CASING, span, message).fixed_by(format!("write `{right}`"), edits));
}
