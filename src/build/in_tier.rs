//! A command in the sandbox, by one right or another.

use crate::action::Action;
use crate::diagnostic::{Diagnostic, Spanned};
use crate::sandbox::{self, Ending, LetIn, OnFailure, SandboxError, Step, Tier};
use crate::store::Workplace;
use crate::target::Run;
use crate::tree::Changeset;

use super::command::{Lines, ended};
use super::execute::{Context, Executor, unwritable};
use super::filesystem::FileSystem;
use super::mounts::Mounts;

/// Why a step gave nothing.
pub(super) enum Unrun {
    Sandbox(SandboxError),
    Build(Diagnostic),
}

impl From<SandboxError> for Unrun {
    fn from(error: SandboxError) -> Self {
        Unrun::Sandbox(error)
    }
}

impl From<Diagnostic> for Unrun {
    fn from(error: Diagnostic) -> Self {
        Unrun::Build(error)
    }
}

impl Executor<'_> {
    /// The tier for steps in an image.
    ///
    /// # Errors
    /// As [`FileSystem::tree`].
    pub(super) fn tier(&self, below: &FileSystem) -> Result<Tier, Diagnostic> {
        let tree = below.tree(self.context.store)?;
        Ok(self.context.tier.unwrap_or_else(Tier::of_process).for_image(&tree))
    }

    /// Runs a command; gives what it changed, and the directory in which the contents lie.
    pub(super) fn run_in_some_tier(
        &self,
        action: &Action,
        (run, mounts): (&Spanned<Run>, &Mounts),
        below: &FileSystem,
    ) -> Result<(Changeset, Workplace), Unrun> {
        let tier = self.tier(below)?;
        match self.run_in(tier, action, (run, mounts), below) {
            Err(Unrun::Sandbox(error)) if self.needs_another(tier, &error) => {
                let title = action.title().unwrap_or_default();
                self.context.progress.wrote(&title, &format!("ocify: begun anew in the tier {}", Tier::SingleUser));
                self.run_in(Tier::SingleUser, action, (run, mounts), below)
            }
            ran => ran,
        }
    }

    /// True if a step cannot be done with subordinate ids, or they cannot be used here and nobody asked for them.
    fn needs_another(&self, tier: Tier, error: &SandboxError) -> bool {
        let is_refused = error.refuses_ids() && self.context.tier.is_none();
        tier == Tier::SubordinateIds && (error.needs_recorder() || is_refused)
    }

    fn run_in(
        &self,
        tier: Tier,
        action: &Action,
        (run, mounts): (&Spanned<Run>, &Mounts),
        below: &FileSystem,
    ) -> Result<(Changeset, Workplace), Unrun> {
        let Context { store, secrets, progress, shell, visitors, .. } = *self.context;
        let title = action.title().unwrap_or_default();
        let shown = |text: &str| secrets.hidden(mounts.secrets(), text);
        let stubs = mounts.stubs(&run.value, &*below.tree(store)?)?;
        let on_disk = below.on_disk(store, tier, &stubs)??;
        let place = store.workplace().map_err(|error| unwritable().caused_by(error))?;
        let mut lines = Lines::new();
        let mut wrote = |bytes: &[u8]| lines.take(bytes, |line| progress.wrote(&title, &shown(line)));
        let mut visitors = visitors.map(|visitors| {
            move |ending: Ending, output: &str, let_in: LetIn| {
                visitors(&ended(action, ending, &shown(output), Some(shell)).at(run.span.clone()), let_in);
            }
        });
        let on_failure = visitors.as_mut().map(|visitors| visitors as OnFailure);
        let step = |step: &Step| sandbox::run(step, &on_disk.root(), place.path(), &mut wrote, on_failure);
        let ran = self.with_step((action, &run.value, mounts), (below, tier), place.path(), step)?;
        lines.end(|line| progress.wrote(&title, &shown(line)));
        Ok((ran?, place))
    }
}
