//! Checks of Dockerfiles and specs: what builds, and is not what its author would want.
//!
//! ```text
//! Dockerfile ─ dockerfile::stage, state ─► steps, each with what it sees ─ the rules' files ─► Vec<Finding>
//! targets    ─ spec ──────────────────────────────────────────────────────────────────────► Vec<Finding>
//!            ─ suppress ─► those that nobody asked to be left out ─ fix | json | sarif
//! ```
//!
//! Nothing is built and nothing is asked of a registry: what is known of a base is what the lock and the store have.

mod context;
mod dockerfile;
mod finding;
mod fix;
mod json;
mod reference;
mod rule;
mod sarif;
mod shell;
mod spec;
mod suppress;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText};
use crate::oci::{ImageConfig, Reference};
use crate::platform::Platform;
use crate::source::{Lock, Workspace};

pub use finding::{Edit, Finding, Fix, Position};
pub use fix::fixed;
pub use json::json;
pub use reference::{page, reference};
pub use rule::{Origin, RULES, Rule, Severity, rule};
pub use sarif::sarif;
pub use spec::{SpecImage, lint_targets};

/// What a Dockerfile is checked with.
pub struct Subject<'a> {
    /// Values of ARGs, from the command line.
    pub args: &'a BTreeMap<String, String>,
    /// The stage that is built; by default the last.
    pub target: Option<&'a str>,
    pub platform: &'a Platform,
    /// What `BUILDPLATFORM` is.
    pub build_platform: &'a Platform,
    /// Names in the place of which another context stands.
    pub contexts: &'a [String],
    /// Patterns of what COPY and ADD do not see.
    pub ignore: &'a [String],
    /// The directory of its context; none if there is none to look at.
    pub context: Option<&'a Workspace>,
    pub lock: &'a Lock,
    /// The config of an image, if it is here.
    pub config: &'a dyn Fn(&Reference, &Platform) -> Option<ImageConfig>,
    /// What `check=` would say, from the command line; it wins over the Dockerfile's.
    pub check: Option<&'a str>,
}

/// What was found in a file.
#[derive(Debug)]
pub struct Report {
    /// In the order of their places.
    pub findings: Vec<Finding>,
    /// The file asks that a finding be an error.
    pub is_strict: bool,
}

/// Checks a Dockerfile.
///
/// # Errors
/// It cannot be read as one.
pub fn lint_dockerfile(source: &Arc<SourceText>, subject: &Subject) -> Result<Report, Diagnostic> {
    let parsed = crate::dockerfile::parse(source)?;
    let asked = suppress::Asked::read(source, &parsed, subject.check)?;
    let mut findings = dockerfile::check(&parsed, subject)?;
    let anchors: Vec<_> = parsed.instructions.iter().map(|instruction| instruction.span.clone()).collect();
    asked.apply(&mut findings, &anchors);
    Ok(Report { findings: sorted(findings), is_strict: asked.is_strict })
}

/// In the order of files, places and rules, each once.
fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    let key = |finding: &Finding| {
        let span = &finding.span;
        (span.source.name.clone(), span.start, span.end, finding.rule.name, finding.message.clone())
    };
    findings.sort_by_key(key);
    findings.dedup_by(|a, b| key(a) == key(b));
    findings
}
