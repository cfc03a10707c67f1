//! `ocify query`: evaluated targets.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::plan;

use super::{environment, print, selection, shown};

/// Print the targets that an expression selects, without building anything.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify query //...
  ocify query 'deps(//examples/hello)'
  ocify query 'rdeps(//..., //base:debian)' --json")]
pub(super) struct Arguments {
    /// A pattern, deps(EXPRESSION), rdeps(EXPRESSION) or rdeps(UNIVERSE, EXPRESSION)
    #[arg(value_name = "EXPRESSION", default_value = "//...")]
    expressions: Vec<String>,
    /// Print the evaluated targets as JSON
    #[arg(long)]
    json: bool,
    /// Value of a build argument that the spec declares with `arg(...)`
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = selection::key_value)]
    args: Vec<(String, String)>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Diagnostic> {
    let (workspace, here) = environment::workspace()?;
    let args: BTreeMap<String, String> = arguments.args.iter().cloned().collect();
    let mut targets = BTreeMap::new();
    for expression in &arguments.expressions {
        for target in shown(|notes| plan::query(&workspace, expression, &here, &args, notes))? {
            targets.insert(target.label.clone(), target);
        }
    }
    if !arguments.json {
        return print(&targets.keys().map(|label| format!("{label}\n")).collect::<String>());
    }
    let targets: Vec<_> = targets.into_values().collect();
    let json = serde_json::to_string_pretty(&targets)
        .map_err(|error| Diagnostic::failure("the targets cannot be written as JSON").caused_by(error))?;
    print(&format!("{json}\n"))
}
