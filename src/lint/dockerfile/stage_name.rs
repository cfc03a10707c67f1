//! The names of stages.

use std::collections::BTreeMap;

use crate::lint::finding::{Edit, Finding};
use crate::lint::rule::{Origin, Rule, Severity};

use super::Checked;

/// Names that mean something else in `COPY --from` and FROM.
const RESERVED: [&str; 2] = ["context", "scratch"];

pub(in crate::lint) const DUPLICATE_STAGE_NAME: Rule = Rule {
    name: "DuplicateStageName",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "Every stage has a name of its own.",
    why: "Of two stages with one name, only the last before it is meant by an instruction that names it; the other can be \
          reached by its number only.",
    bad: "FROM debian:12 AS build\nRUN make\nFROM debian:12 AS build\nRUN make test\n",
    good: "FROM debian:12 AS build\nRUN make\nFROM debian:12 AS test\nRUN make test\n",
};

pub(in crate::lint) const RESERVED_STAGE_NAME: Rule = Rule {
    name: "ReservedStageName",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "No stage is called `scratch` or `context`.",
    why: "`FROM scratch` is the empty image and `context` the directory that is built from. A stage with such a name hides \
          what readers take it for.",
    bad: "FROM debian:12 AS scratch\n",
    good: "FROM debian:12 AS base\n",
};

pub(in crate::lint) const STAGE_NAME_CASING: Rule = Rule {
    name: "StageNameCasing",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "Names of stages are in small letters.",
    why: "Case does not count in them: two names that differ in it only are one name. In small letters nobody is misled, and \
          the instruction's keywords stand out.",
    bad: "FROM debian:12 AS Build\n",
    good: "FROM debian:12 AS build\n",
};

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for stage in &checked.stages {
        let Some((name, span)) = stage.name.and_then(|name| Some((&name.value, name.span.clone()?))) else { continue };
        let lower = name.to_lowercase();
        if *name != lower {
            let edits = vec![Edit::replace(span.clone(), &lower)];
            let found = Finding::new(&STAGE_NAME_CASING, span.clone(), format!("the name `{name}` has capitals"));
            findings.push(found.fixed_by(format!("write `{lower}`"), edits));
        }
        if RESERVED.contains(&lower.as_str()) {
            let message = format!("`{lower}` means something else, and cannot well be the name of a stage");
            findings.push(Finding::new(&RESERVED_STAGE_NAME, span.clone(), message).help("give it another name"));
        }
        if let Some(line) = seen.insert(lower, span.line()) {
            let message = format!("the stage in line {line} is called `{name}` as well");
            findings.push(Finding::new(&DUPLICATE_STAGE_NAME, span, message).help("give one of them another name"));
        }
    }
}
