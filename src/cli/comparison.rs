//! The steps of a build beside those of an earlier one: what `explain` and `graph` show.

use std::time::Instant;

use crate::build::{Context, StepNode, steps};
use crate::diagnostic::Diagnostic;
use crate::plan::Plan;

use super::lent::Lent;
use super::progress::Reporter;
use super::registries::{Supplied, supplied};
use super::selection::{Selected, Selection};
use super::{environment, record};

/// Arguments of commands that compare builds.
#[derive(clap::Args)]
pub(super) struct Comparison {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    lent: Lent,
    /// Compare with this build instead of the last one: a file of `ocify build --record`, or an image in the store
    #[arg(long, value_name = "BUILD|FILE")]
    against: Option<String>,
    /// Do not use the network: what the store lacks is not to be had
    #[arg(long)]
    offline: bool,
}

impl Comparison {
    /// The steps that the next build would do, each with what it was.
    pub(super) fn steps(&self, environment: &environment::Arguments) -> Result<Vec<StepNode>, Diagnostic> {
        let Selected { workspace, lock, targets, roots, .. } = self.selection.load()?;
        let Supplied { registry, store, .. } = supplied(environment, &targets.settings, self.offline)?;
        let against = self.against.as_ref().map(|text| record::find(text, &roots, &store)).transpose()?;
        let begun = Instant::now();
        let context = Context {
            workspace: &workspace,
            settings: &targets.settings,
            store: &store,
            registry: &*registry,
            client: &environment::fetcher(self.offline),
            progress: &Reporter::new(0, true),
            secrets: &self.lent.secrets()?,
            clock: &|| begun.elapsed(),
            against: against.as_deref(),
        };
        steps(&Plan::new(&targets, &roots, &lock)?, &context)
    }
}
