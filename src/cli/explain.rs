//! `ocify explain`: what the next build would do, and why.

use std::collections::BTreeMap;

use crate::action::miss::{ChangeKind, EntryChange, Miss};
use crate::build::{Context, Explanation, explain};
use crate::diagnostic::Diagnostic;
use crate::plan::{Plan, TargetGraph};
use crate::platform::Platform;

use super::progress::Reporter;
use super::{build, environment, print, shown};

/// How many changed paths of a layer are listed; `--json` has all.
const LISTED: usize = 20;

/// Show which layers the store has, and why it lacks the others
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify explain //shop:web
  ocify explain //... --json")]
pub(super) struct Arguments {
    /// Labels or patterns: //path:name, :name, //path/...
    #[arg(value_name = "TARGET", default_value = ":all")]
    targets: Vec<String>,
    /// Value of a build argument that the spec declares with `arg(...)`
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = build::key_value)]
    args: Vec<(String, String)>,
    /// Platform of images that name none, such as linux/arm64
    #[arg(long)]
    platform: Option<Platform>,
    /// Print one JSON object for each layer, with every difference, old and new
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let (workspace, here) = environment::workspace()?;
    let patterns = build::patterns(&arguments.targets, &here)?;
    let args: BTreeMap<String, String> = arguments.args.iter().cloned().collect();
    let (targets, roots) =
        shown(|notes| TargetGraph::load(&workspace, &patterns, &args, arguments.platform.as_ref(), notes))?;
    let store = environment.store()?;
    let plan = Plan::new(&targets, &roots);
    let progress = Reporter::new(0, true);
    let context = Context { workspace: &workspace, settings: &targets.settings, store: &store, progress: &progress };
    let explanations = explain(&plan, &context)?;
    if arguments.json {
        let line = |explanation: &Explanation| {
            let object = serde_json::to_value(explanation);
            object.map(|object| format!("{object}\n"))
        };
        let lines: Result<String, _> = explanations.iter().map(line).collect();
        return print(&lines.map_err(|error| Diagnostic::failure("the explanation is not JSON").caused_by(error))?);
    }
    print(&explanations.iter().map(text).collect::<String>())
}

/// A line for the step, and one for each path that changed.
fn text(explanation: &Explanation) -> String {
    let Explanation { step, miss } = explanation;
    let said = miss.as_ref().map_or("hit".to_owned(), |miss| format!("miss: {miss}"));
    let mut text = format!("{} {} {}: {said}\n", step.target, step.number, step.title);
    if let Some(Miss::Entries { changes }) = miss {
        text.extend(changes.iter().take(LISTED).map(change));
        if changes.len() > LISTED {
            text.push_str(&format!("    and {} more; --json shows all\n", changes.len() - LISTED));
        }
    }
    text
}

fn change(change: &EntryChange) -> String {
    match &change.kind {
        ChangeKind::Added => format!("  + {}\n", change.path),
        ChangeKind::Removed => format!("  - {}\n", change.path),
        ChangeKind::Changed { fields } => {
            let fields = fields.iter().map(|f| format!("    {}: {} -> {}\n", f.field, f.old, f.new));
            format!("  ~ {}\n{}", change.path, fields.collect::<String>())
        }
    }
}
