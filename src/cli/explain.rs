//! `ocify explain`: what the next build would do, and why.

use crate::action::miss::{ChangeKind, EntryChange, FieldChange, Miss};
use crate::build::Report;
use crate::diagnostic::Diagnostic;

use super::comparison::Comparison;
use super::{environment, print};

/// How many changed paths of a layer are listed; `--json` has all.
const LISTED: usize = 20;

/// Show which steps the store has the result of, and why it lacks the others
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify explain //shop:web
  ocify explain //shop:web --against record.json
  ocify explain -f Dockerfile .
  ocify explain //shop:web --against sha256:...
  ocify explain //... --json")]
pub(super) struct Arguments {
    #[command(flatten)]
    comparison: Comparison,
    /// Print one JSON object for each step, with every difference, old and new
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let steps = arguments.comparison.steps(environment)?;
    let reports = steps.iter().map(|step| &step.report);
    if arguments.json {
        let line = |report| serde_json::to_value(report).map(|object| format!("{object}\n"));
        let lines: Result<String, _> = reports.map(line).collect();
        return print(&lines.map_err(|error| Diagnostic::failure("the explanation is not JSON").caused_by(error))?);
    }
    let placed = arguments.comparison.is_of_dockerfile();
    print(&reports.map(|report| text(report, placed)).collect::<String>())
}

/// A line for the step, `placed` with where the user's file asks for it, and below it what changed.
fn text(Report { step, place, miss, difference, .. }: &Report, placed: bool) -> String {
    let said = match (miss, difference) {
        (Some(miss), _) => format!("miss: {miss}"),
        (None, Some(difference)) => format!("hit, but {difference} since"),
        (None, None) => "hit".to_owned(),
    };
    let place = place.iter().filter(|_| placed).map(|place| format!(" ({place})")).collect::<String>();
    let mut text = format!("{step}{place}: {said}\n");
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
