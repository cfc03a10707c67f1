//! `ocify explain`: what the next build would do, and why.

use std::time::Instant;

use crate::action::miss::{ChangeKind, EntryChange, FieldChange, Miss};
use crate::build::{Context, Report, explain};
use crate::diagnostic::Diagnostic;
use crate::plan::Plan;

use super::progress::Reporter;
use super::selection::{Selected, Selection};
use super::{environment, print, record};

/// How many changed paths of a layer are listed; `--json` has all.
const LISTED: usize = 20;

/// Show which steps the store has the result of, and why it lacks the others
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify explain //shop:web
  ocify explain //shop:web --against record.json
  ocify explain //shop:web --against sha256:...
  ocify explain //... --json")]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Compare with this build instead of the last one: a file of `ocify build --record`, or an image in the store
    #[arg(long, value_name = "BUILD|FILE")]
    against: Option<String>,
    /// Print one JSON object for each step, with every difference, old and new
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let Selected { workspace, targets, roots } = arguments.selection.load()?;
    let store = environment.store()?;
    let against = arguments.against.as_ref().map(|text| record::find(text, &roots, &store)).transpose()?;
    let begun = Instant::now();
    let context = Context {
        workspace: &workspace,
        settings: &targets.settings,
        store: &store,
        progress: &Reporter::new(0, true),
        clock: &|| begun.elapsed(),
        against: against.as_deref(),
    };
    let reports = explain(&Plan::new(&targets, &roots), &context)?;
    if arguments.json {
        let line = |report: &Report| serde_json::to_value(report).map(|object| format!("{object}\n"));
        let lines: Result<String, _> = reports.iter().map(line).collect();
        return print(&lines.map_err(|error| Diagnostic::failure("the explanation is not JSON").caused_by(error))?);
    }
    print(&reports.iter().map(text).collect::<String>())
}

/// A line for the step, and below it what changed.
fn text(Report { step, miss, difference, .. }: &Report) -> String {
    let said = match (miss, difference) {
        (Some(miss), _) => format!("miss: {miss}"),
        (None, Some(difference)) => format!("hit, but {difference} since"),
        (None, None) => "hit".to_owned(),
    };
    let mut text = format!("{step}: {said}\n");
    if let Some(Miss::Changed { fields, entries }) = miss.as_ref().or(difference.as_ref()) {
        text.extend(fields.iter().map(|change| field("  ", change)));
        text.extend(entries.iter().take(LISTED).map(entry));
        if entries.len() > LISTED {
            text.push_str(&format!("    and {} more; --json shows all\n", entries.len() - LISTED));
        }
    }
    text
}

fn entry(change: &EntryChange) -> String {
    match &change.kind {
        ChangeKind::Added => format!("  + {}\n", change.path),
        ChangeKind::Removed => format!("  - {}\n", change.path),
        ChangeKind::Changed { fields } => {
            let fields = fields.iter().map(|change| field("    ", change));
            format!("  ~ {}\n{}", change.path, fields.collect::<String>())
        }
    }
}

fn field(indent: &str, FieldChange { field, old, new }: &FieldChange) -> String {
    let [old, new] = [old, new].map(|value| value.as_deref().unwrap_or("(none)"));
    format!("{indent}{field}: {old} -> {new}\n")
}
