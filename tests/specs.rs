//! Specs as users write them, right and wrong, in both syntaxes.

mod documents;
mod evaluation;
mod failures;
mod limits;
mod platforms;
mod syntaxes;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocify::diagnostic::Diagnostic;
use ocify::eval::{Notes, evaluate};
use ocify::path::WorkspacePath;
use ocify::plan::TargetGraph;
use ocify::source::Workspace;
use ocify::target::{Pattern, Settings, Target};
use ocify::tomlspec;

/// A workspace in a temporary directory.
struct Spec {
    directory: tempfile::TempDir,
    args: BTreeMap<String, String>,
}

impl Spec {
    /// A workspace with an empty `ocify.toml`.
    fn empty() -> Spec {
        let spec = Spec { directory: tempfile::tempdir().unwrap(), args: BTreeMap::new() };
        spec.file("ocify.toml", "")
    }

    /// A workspace whose root package is `build`.
    fn build(build: &str) -> Spec {
        Spec::empty().file("BUILD.star", build)
    }

    /// A workspace with this `ocify.toml`.
    fn toml(toml: &str) -> Spec {
        Spec::empty().file("ocify.toml", toml)
    }

    fn file(self, path: &str, text: &str) -> Spec {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Adds `--arg NAME=VALUE`.
    fn arg(mut self, name: &str, value: &str) -> Spec {
        self.args.insert(name.into(), value.into());
        self
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn workspace(&self) -> Workspace {
        Workspace::at(self.root()).unwrap()
    }

    /// Evaluates every package.
    fn evaluate(&self) -> Result<Vec<Target>, Diagnostic> {
        self.evaluate_printing(&mut Vec::new())
    }

    fn evaluate_printing(&self, printed: &mut Vec<String>) -> Result<Vec<Target>, Diagnostic> {
        let workspace = self.workspace();
        let packages = workspace.packages(&WorkspacePath::root()).unwrap();
        let mut notes = Notes::default();
        let result = evaluate(&workspace, &packages, &Settings::default(), &self.args, &mut notes);
        let result = result.and_then(|targets| notes.check_arguments(&self.args).map(|()| targets));
        printed.extend(notes.printed);
        result
    }

    /// What the packages define; they have to be right.
    fn targets(&self) -> Vec<Target> {
        self.evaluate().unwrap_or_else(|error| panic!("{}", report(&error)))
    }

    /// What `ocify.toml` defines; it has to be right.
    fn parse(&self) -> (Settings, Vec<Target>) {
        tomlspec::load(&self.workspace()).unwrap_or_else(|error| panic!("{}", report(&error)))
    }

    /// The report of the error that evaluation ends with.
    fn error(&self) -> String {
        report(&self.evaluate().expect_err("the spec is accepted"))
    }

    /// The report of the error that every target together ends with, for these platforms.
    fn plan_error(&self, platforms: &[&str]) -> String {
        let platforms: Vec<_> = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
        let all = Pattern::Below(WorkspacePath::root());
        let loaded = TargetGraph::load(&self.workspace(), &[all], &self.args, &platforms, &mut Notes::default());
        report(&loaded.err().expect("the spec is accepted"))
    }

    /// The report of the error that reading `ocify.toml` ends with.
    fn toml_error(&self) -> String {
        report(&tomlspec::load(&self.workspace()).expect_err("the spec is accepted"))
    }
}

/// A diagnostic as a terminal without colours shows it.
fn report(error: &Diagnostic) -> String {
    let theme = miette::GraphicalTheme::unicode_nocolor();
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(100);
    let mut text = String::new();
    handler.render_report(&mut text, error).unwrap();
    text
}

/// Compares with a committed file; with `OCIFY_BLESS=1`, writes it.
#[track_caller]
pub fn check_file(path: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("OCIFY_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{} differs (OCIFY_BLESS=1 writes it); it is now:\n{actual}", path.display());
}
