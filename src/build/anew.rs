//! Steps that are made although the store has their results.

use std::collections::BTreeSet;

use crate::action::Action;
use crate::action::record::StepResult;
use crate::diagnostic::Diagnostic;
use crate::target::Label;

use super::execute::Executor;

/// Whose layers are made anew. Images that others made, files and commits are not brought again: their digests say what they are.
#[derive(Clone, Debug, Default)]
pub enum Anew {
    #[default]
    Nothing,
    All,
    Targets(BTreeSet<Label>),
}

impl Executor<'_> {
    /// True for a step whose earlier result does not count.
    pub(super) fn is_anew(&self, action: &Action) -> bool {
        let (Action::Encode { target, .. } | Action::Run { target, .. }) = action else { return false };
        match &self.anew {
            Anew::Nothing => false,
            Anew::All => true,
            Anew::Targets(labels) => labels.contains(&target.label),
        }
    }

    /// Of a step that is made anew, what it gave before, as `find` finds it.
    pub(super) fn replaced(
        &self,
        action: &Action,
        find: impl FnOnce() -> Result<Option<StepResult>, Diagnostic>,
    ) -> Result<Option<StepResult>, Diagnostic> {
        if self.is_anew(action) { find() } else { Ok(None) }
    }

    /// Warns of a step that gives something else than before, although nothing that decides about it has changed.
    pub(super) fn compare_with_replaced(&self, action: &Action, old: Option<StepResult>, new: &StepResult) {
        let title = action.title().unwrap_or_default();
        if let Some(old) = old.filter(|old| old.diff_id != new.diff_id) {
            let text = format!(
                "`{title}` does not give the same each time: its layer was {}, and now is {}",
                old.digest, new.digest
            );
            self.context.progress.warned(&text);
        }
    }
}
