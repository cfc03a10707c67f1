//! The steps of a build beside those of an earlier one: what `explain` and `graph` show.

use std::time::Instant;

use crate::build::{Context, StepNode, steps};
use crate::diagnostic::Diagnostic;
use crate::plan::Plan;

use super::dockerfile::{Dockerfile, Reading};
use super::lent::Lent;
use super::locked::Locked;
use super::progress::Reporter;
use super::registries::{Supplied, supplied};
use super::selection::{Selected, Selection};
use super::{environment, record, shell};

/// Arguments of commands that compare builds.
#[derive(clap::Args)]
pub(super) struct Comparison {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    dockerfile: Dockerfile,
    #[command(flatten)]
    lent: Lent,
    /// Compare with this build instead of the last one: a file of `ocify build --record`, or an image in the store
    #[arg(long, value_name = "BUILD|FILE")]
    against: Option<String>,
    /// Do not use the network: what the store lacks is not to be had
    #[arg(long)]
    offline: bool,
    /// As of a build with `--hermetic`
    #[arg(long)]
    hermetic: bool,
}

impl Comparison {
    /// The steps are those of a Dockerfile.
    pub(super) fn is_of_dockerfile(&self) -> bool {
        self.dockerfile.is_given()
    }

    /// The steps that the next build would do, each with what it was.
    pub(super) fn steps(&self, environment: &environment::Arguments) -> Result<Vec<StepNode>, Diagnostic> {
        let (locked, offline, hermetic) = (&Locked::always(), self.offline, self.hermetic);
        let reading = Reading { selection: &self.selection, locked, environment, offline, hermetic, tags: &[] };
        let Selected { workspace, lock, targets, roots, unpacked: _unpacked, .. } =
            self.dockerfile.or_specs(&reading)?;
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
            tier: None,
            emulators: &environment::emulators(),
            shell: &|target, number| {
                shell::line((&self.dockerfile, &self.selection, &self.lent, self.hermetic), target, number)
            },
            visitors: None,
            against: against.as_deref(),
        };
        steps(&Plan::new(&targets, &roots, &lock)?, &context)
    }
}
