//! Checks of Dockerfiles and specs.

mod command;
mod field;
mod fixes;
mod formats;
mod own_rules;
mod robust;
mod rules;
mod specs;
mod suppression;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use ocify::diagnostic::SourceText;
use ocify::lint::{Finding, Report, Subject, lint_dockerfile};
use ocify::oci::{ImageConfig, Reference};
use ocify::platform::Platform;
use ocify::source::{IgnorePatterns, Lock, Workspace};
use tempfile::TempDir;

/// A Dockerfile, and what is around it.
pub struct Linted {
    text: String,
    context: TempDir,
    ignore: Vec<String>,
    args: BTreeMap<String, String>,
    target: Option<String>,
    contexts: Vec<String>,
    lock: Lock,
    base: Option<ImageConfig>,
    check: Option<String>,
}

impl Linted {
    pub fn new(text: &str) -> Self {
        Linted {
            text: text.to_owned(),
            context: tempfile::tempdir().unwrap(),
            ignore: Vec::new(),
            args: BTreeMap::new(),
            target: None,
            contexts: Vec::new(),
            lock: Lock::default(),
            base: None,
            check: None,
        }
    }

    /// With a file in the context.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.context.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub fn ignoring(self, text: &str) -> Self {
        Linted { ignore: IgnorePatterns::lines(text), ..self }
    }

    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With something else in the place of a name.
    pub fn context(mut self, name: &str) -> Self {
        self.contexts.push(name.to_owned());
        self
    }

    pub fn target(self, name: &str) -> Self {
        Linted { target: Some(name.to_owned()), ..self }
    }

    /// With this config for every base.
    pub fn base(self, config: serde_json::Value) -> Self {
        let document = serde_json::json!({
            "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] }, "config": config,
        });
        Linted { base: Some(serde_json::from_value(document).unwrap()), ..self }
    }

    pub fn locked(self, lock: Lock) -> Self {
        Linted { lock, ..self }
    }

    pub fn check(self, text: &str) -> Self {
        Linted { check: Some(text.to_owned()), ..self }
    }

    /// With another text and the same around it.
    pub fn text(self, text: String) -> Self {
        Linted { text, ..self }
    }

    pub fn source(&self) -> &str {
        &self.text
    }

    #[track_caller]
    pub fn report(&self) -> Report {
        self.try_report().unwrap()
    }

    pub fn try_report(&self) -> Result<Report, ocify::diagnostic::Diagnostic> {
        let source = Arc::new(SourceText { name: "Dockerfile".into(), text: self.text.clone() });
        let platform: Platform = "linux/amd64".parse().unwrap();
        let workspace = Workspace::at(self.context.path()).unwrap();
        let config = |_: &Reference, _: &Platform| self.base.clone();
        let subject = Subject {
            args: &self.args,
            target: self.target.as_deref(),
            platform: &platform,
            build_platform: &platform,
            contexts: &self.contexts,
            ignore: &self.ignore,
            context: Some(&workspace),
            lock: &self.lock,
            config: &config,
            check: self.check.as_deref(),
        };
        lint_dockerfile(&source, &subject)
    }

    #[track_caller]
    pub fn findings(&self) -> Vec<Finding> {
        self.report().findings
    }

    /// `Rule line` for each finding, without those of bases that nothing pins and of root, which most cases have.
    #[track_caller]
    pub fn lines(&self) -> Vec<String> {
        let all = self.findings();
        let told = all.iter().filter(|finding| !matches!(finding.rule.name, "UnpinnedBase" | "RootUser"));
        told.map(|finding| format!("{} {}", finding.rule.name, finding.span.line())).collect()
    }

    /// The message of the one finding of a rule.
    #[track_caller]
    pub fn only(&self, rule: &str) -> Finding {
        let mut found: Vec<Finding> = self.findings().into_iter().filter(|finding| finding.rule.name == rule).collect();
        assert_eq!(found.len(), 1, "{rule} in\n{}\n{found:#?}", self.text);
        found.remove(0)
    }
}

/// Checks a table of Dockerfiles and what is found in them.
#[track_caller]
fn table(cases: &[(&str, &[&str])]) {
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let found = Linted::new(text).lines();
        if found != *expected {
            wrong.push(format!("{text}\nexpected {expected:?}\nfound    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
