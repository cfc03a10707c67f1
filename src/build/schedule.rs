//! The order of work: an action starts as soon as all of its inputs are done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::action::{Action, ActionGraph, ActionId};
use crate::diagnostic::Diagnostic;

/// Is told what happens, from any thread.
pub trait Progress: Sync {
    /// An action with a title starts.
    fn started(&self, title: &str);

    /// Something is odd, but no reason to stop.
    fn warned(&self, text: &str);

    /// An action with a title is done.
    fn finished(&self, title: &str, how: &How);
}

/// How an action came to its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It is of a kind that is always done.
    Done,
    /// The store had the result.
    Hit,
    /// The store did not have the result, for this reason.
    Miss(String),
}

/// Runs every action of `graph` on rayon's threads and returns the results in the graph's order. `run` gets the action
/// and a way to look up the results of its inputs.
///
/// # Errors
/// After the first error no further action starts. Of several errors at the same time, the one of the first action in
/// the graph is returned, so that a person sees the same error again.
pub(super) fn run<T, F>(graph: &ActionGraph, progress: &dyn Progress, run: F) -> Result<Vec<T>, Diagnostic>
where
    T: Send + Sync,
    F: Fn(&Action, &Results<T>) -> Result<(T, How), Diagnostic> + Sync,
{
    let schedule = Schedule {
        graph,
        progress,
        consumers: graph.consumers(),
        waiting_for: graph.iter().map(|(_, action)| AtomicUsize::new(action.inputs().len())).collect(),
        results: Results(graph.iter().map(|_| OnceLock::new()).collect()),
        first_error: Mutex::new(None),
        run,
    };
    rayon::scope(|scope| {
        for (id, action) in graph.iter() {
            if action.inputs().is_empty() {
                let schedule = &schedule;
                scope.spawn(move |scope| schedule.start(id, scope));
            }
        }
    });
    if let Some((_, error)) = schedule.first_error.into_inner().expect("no action panics while it holds the lock") {
        return Err(error);
    }
    let done = schedule.results.0.into_iter().map(OnceLock::into_inner);
    Ok(done.map(|result| result.expect("without an error every action has run")).collect())
}

/// The results so far, by action.
pub(super) struct Results<T>(Vec<OnceLock<T>>);

impl<T> Results<T> {
    /// The result of an input of the action that is running.
    pub(super) fn get(&self, id: ActionId) -> &T {
        self.0[id.index()].get().expect("an action starts after its inputs are done")
    }
}

struct Schedule<'a, T, F> {
    graph: &'a ActionGraph,
    progress: &'a dyn Progress,
    consumers: Vec<Vec<ActionId>>,
    waiting_for: Vec<AtomicUsize>,
    results: Results<T>,
    first_error: Mutex<Option<(ActionId, Diagnostic)>>,
    run: F,
}

impl<'a, T, F> Schedule<'a, T, F>
where
    T: Send + Sync,
    F: Fn(&Action, &Results<T>) -> Result<(T, How), Diagnostic> + Sync,
{
    fn start<'scope>(&'scope self, id: ActionId, scope: &rayon::Scope<'scope>) {
        if self.errors().is_some() {
            return;
        }
        let action = self.graph.get(id);
        let title = action.title();
        title.iter().for_each(|title| self.progress.started(title));
        match (self.run)(action, &self.results) {
            Ok((result, how)) => {
                title.iter().for_each(|title| self.progress.finished(title, &how));
                // An action runs once: only its last input starts it.
                let _ = self.results.0[id.index()].set(result);
                for &consumer in &self.consumers[id.index()] {
                    if self.waiting_for[consumer.index()].fetch_sub(1, Ordering::AcqRel) == 1 {
                        scope.spawn(move |scope| self.start(consumer, scope));
                    }
                }
            }
            Err(error) => {
                let mut first = self.errors();
                if first.as_ref().is_none_or(|(other, _)| id < *other) {
                    *first = Some((id, error));
                }
            }
        }
    }

    fn errors(&self) -> std::sync::MutexGuard<'_, Option<(ActionId, Diagnostic)>> {
        self.first_error.lock().expect("no action panics while it holds the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Spanned;
    use crate::path::WorkspacePath;
    use crate::platform::Platform;
    use crate::target::{Base, OciArchive};

    struct Silent;

    impl Progress for Silent {
        fn started(&self, _: &str) {}
        fn warned(&self, _: &str) {}
        fn finished(&self, _: &str, _: &How) {}
    }

    fn import(graph: &mut ActionGraph) -> ActionId {
        let archive = OciArchive { package: WorkspacePath::root(), path: WorkspacePath::root(), digest: None };
        let base = Spanned { value: Base::OciArchive(archive), span: None };
        graph.add(Action::Import { base, platform: Platform::default_target() })
    }

    #[test]
    fn every_action_runs_once_and_after_its_inputs() {
        let mut graph = ActionGraph::new();
        let image = import(&mut graph);
        let trees: Vec<ActionId> = (0..50).map(|_| graph.add(Action::Tree { image })).collect();
        let merged = graph.add(Action::Merge { below: Some(trees[0]), layer: trees[49] });
        let results = run(&graph, &Silent, |action, results: &Results<usize>| {
            Ok((1 + action.inputs().iter().map(|&input| results.get(input)).sum::<usize>(), How::Done))
        });
        assert_eq!(results.unwrap()[merged.index()], 5);
    }

    #[test]
    fn an_error_stops_what_depends_on_it() {
        let mut graph = ActionGraph::new();
        let image = import(&mut graph);
        graph.add(Action::Tree { image });
        let result = run(&graph, &Silent, |action, _: &Results<()>| match action {
            Action::Import { .. } => Err(Diagnostic::failure("no such file")),
            _ => panic!("ran without its input"),
        });
        assert_eq!(result.unwrap_err().to_string(), "no such file");
    }
}
