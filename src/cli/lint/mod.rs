//! `ocify lint`: checks of a Dockerfile or of targets.

mod dockerfile;
mod spec;
mod text;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::diagnostic::Diagnostic;
use crate::lint::{self, Finding, RULES, Report, Severity};
use crate::source::Workspace;

use super::dockerfile::Dockerfile;
use super::selection::{Selection, key_value};
use super::{environment, print};

/// Check a Dockerfile or targets for what builds and goes wrong later
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify lint -f Dockerfile .
  ocify lint -f Dockerfile --fix
  ocify lint //shop:web --deny warnings
  ocify lint -f Dockerfile --format sarif > lint.sarif
  ocify lint --explain CopyBeforeInstall

Exit codes: 0 nothing was found, or nothing that is denied; 1 something that is denied; 2 what is checked cannot be read.
A comment `# ocify: ignore=RULE` above a line leaves a rule out there.")]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Check a Dockerfile, `-` for stdin; in place of TARGET stands the directory of its context [default: that of the
    /// working directory, if there is no spec]
    #[arg(short, long, value_name = "DOCKERFILE")]
    file: Option<PathBuf>,
    /// Of a Dockerfile, the stage that is built [default: the last]
    #[arg(long, value_name = "STAGE", requires = "file")]
    target: Option<String>,
    /// A stage or image of this name is something else, as for `ocify build`
    #[arg(long = "build-context", value_name = "NAME=PLACE", value_parser = key_value, requires = "file")]
    contexts: Vec<(String, String)>,
    /// Change the file where a fix leaves the image as it is
    #[arg(long, conflicts_with = "explain")]
    fix: bool,
    /// With --fix, also change what changes the image
    #[arg(long, requires = "fix")]
    unsafe_fixes: bool,
    /// How findings are printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Rules that are an error, `warnings` for all but notes, or `all`
    #[arg(short = 'D', long, value_name = "RULE", value_delimiter = ',')]
    deny: Vec<String>,
    /// Rules to leave out
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Check these rules only
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    select: Vec<String>,
    /// Say what a rule is about; without RULE, list all rules
    #[arg(long, value_name = "RULE", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["file", "targets"])]
    explain: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// A list of objects
    Json,
    /// SARIF 2.1.0, for services that host code
    Sarif,
}

/// `ocify build --check`: what lint finds in the Dockerfile that would be built.
pub(super) fn check(
    dockerfile: &Dockerfile,
    selection: &Selection,
    environment: &environment::Arguments,
) -> Result<(), Diagnostic> {
    let arguments = Arguments {
        selection: selection.clone(),
        file: dockerfile.file().map(Path::to_owned),
        target: dockerfile.stage().map(str::to_owned),
        contexts: dockerfile.replaced().to_vec(),
        fix: false,
        unsafe_fixes: false,
        format: Format::Text,
        deny: Vec::new(),
        ignore: Vec::new(),
        select: Vec::new(),
        explain: None,
    };
    run(&arguments, environment)
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    if let Some(name) = &arguments.explain {
        return explain(name);
    }
    for name in arguments.ignore.iter().chain(&arguments.select) {
        named(name)?;
    }
    for name in arguments.deny.iter().filter(|name| !matches!(name.as_str(), "all" | "warnings")) {
        named(name)?;
    }
    let mut report = match arguments.dockerfile() {
        Some(file) => dockerfile::run(&file, arguments, environment)?,
        None => Report { findings: spec::run(arguments)?, is_strict: false },
    };
    report.findings.retain(|finding| arguments.is_wanted(finding));
    let is_denied = |finding: &Finding| {
        let is_warning = finding.rule.severity == Severity::Warning;
        arguments.deny.iter().any(|name| match name.as_str() {
            "all" => true,
            "warnings" => is_warning,
            name => name == finding.rule.name,
        }) || (report.is_strict && is_warning)
    };
    print(&match arguments.format {
        Format::Text => text::text(&report.findings, &is_denied),
        Format::Json => format!("{:#}\n", lint::json(&report.findings)),
        Format::Sarif => format!("{:#}\n", lint::sarif(&report.findings, &is_denied)),
    })?;
    if arguments.format == Format::Text {
        eprint!("{}", text::summary(&report.findings, arguments.unsafe_fixes));
    }
    match report.findings.iter().filter(|finding| is_denied(finding)).count() {
        0 => Ok(()),
        1 => Err(Diagnostic::failure("one of the findings is denied")),
        count => Err(Diagnostic::failure(format!("{count} of the findings are denied"))),
    }
}

impl Arguments {
    /// The Dockerfile that is checked: the one that is named, else that of a working directory which has no spec.
    fn dockerfile(&self) -> Option<PathBuf> {
        let has = |name: &str| Path::new(name).exists();
        let is_default = self.selection.targets == [":all"] && !has(Workspace::SPEC) && !has(Workspace::SETTINGS);
        let found = || (is_default && has("Dockerfile")).then(|| PathBuf::from("Dockerfile"));
        self.file.clone().or_else(found)
    }

    /// True for findings of rules that the command line asks for.
    fn is_wanted(&self, finding: &Finding) -> bool {
        let lists = |names: &[String]| names.iter().any(|name| name == finding.rule.name);
        !lists(&self.ignore) && (self.select.is_empty() || lists(&self.select))
    }
}

fn named(name: &str) -> Result<&'static lint::Rule, Diagnostic> {
    lint::rule(name).ok_or_else(|| {
        let error = Diagnostic::spec(format!("there is no rule `{name}`"));
        match crate::diagnostic::nearest(name, RULES.iter().map(|rule| rule.name)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("`ocify lint --explain` lists the rules"),
        }
    })
}

fn explain(name: &str) -> Result<(), Diagnostic> {
    if name.is_empty() {
        let line = |rule: &&lint::Rule| format!("{:31}  {}\n", rule.name, rule.summary);
        return print(&RULES.iter().map(line).collect::<String>());
    }
    print(&lint::page(named(name)?))
}
