//! The order of work: an action starts as soon as all of its inputs are done, those first on which the longest chain of
//! others waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use crate::action::{Action, ActionGraph, ActionId};
use crate::diagnostic::Diagnostic;

/// Is told what happens, from any thread.
pub trait Progress: Sync {
    /// An action with a title starts.
    fn started(&self, title: &str);

    /// Somebody else does the same, so it is waited for.
    fn waiting(&self, title: &str);

    /// A step wrote this line.
    fn wrote(&self, title: &str, line: &str);

    /// Something is odd, but no reason to stop.
    fn warned(&self, text: &str);

    /// An action with a title is done. One that is not hermetic had the network when it was done first.
    fn finished(&self, title: &str, how: &How, is_hermetic: bool);
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

/// What became of a graph.
pub(super) struct Outcome<T> {
    /// By action; `None` for one that failed or was not begun.
    pub(super) results: Vec<Option<T>>,
    /// In the graph's order.
    pub(super) errors: Vec<Diagnostic>,
}

/// Runs every action of `graph` on as many threads as rayon has. `run` gets the action and a way to look up the results
/// of its inputs.
///
/// The threads are not rayon's: one that waits there for its share of the work may take up another action meanwhile, and
/// if that one waits for a claim on the store, the first would hold its own for as long.
///
/// After an error no further action starts, or with `keep_going` none that depends on the one that failed. Without
/// it, of several errors at the same time the one of the first action in the graph is returned, so that a person sees the
/// same error again.
pub(super) fn run<T, F>(graph: &ActionGraph, progress: &dyn Progress, keep_going: bool, run: F) -> Outcome<T>
where
    T: Send + Sync,
    F: Fn(&Action, &Results<T>) -> Result<(T, How), Diagnostic> + Sync,
{
    let consumers = graph.consumers();
    let urgency = urgency(graph, &consumers);
    let waiting_for: Vec<usize> = graph.iter().map(|(_, action)| action.inputs().len()).collect();
    let startable = graph.iter().filter(|(id, _)| waiting_for[id.index()] == 0);
    let ready = startable.map(|(id, _)| (urgency[id.index()], Reverse(id))).collect();
    let schedule = Schedule {
        graph,
        progress,
        keep_going,
        consumers,
        urgency,
        results: Results(graph.iter().map(|_| OnceLock::new()).collect()),
        state: Mutex::new(State { ready, waiting_for, running: 0, errors: Vec::new(), stopped: false }),
        changed: Condvar::new(),
        run,
    };
    thread::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(graph.len()) {
            scope.spawn(|| schedule.work());
        }
    });
    let mut errors = schedule.state.into_inner().unwrap_or_else(PoisonError::into_inner).errors;
    errors.sort_by_key(|(id, _)| *id);
    errors.truncate(if keep_going { errors.len() } else { 1 });
    Outcome {
        results: schedule.results.0.into_iter().map(OnceLock::into_inner).collect(),
        errors: errors.into_iter().map(|(_, error)| error).collect(),
    }
}

/// The results so far, by action.
pub(super) struct Results<T>(Vec<OnceLock<T>>);

impl<T> Results<T> {
    /// The results of an outcome.
    pub(super) fn of(results: Vec<Option<T>>) -> Self {
        let lock = |result: Option<T>| result.map_or_else(OnceLock::new, OnceLock::from);
        Results(results.into_iter().map(lock).collect())
    }

    /// The result of an input of the action that is running.
    pub(super) fn get(&self, id: ActionId) -> &T {
        self.0[id.index()].get().expect("an action starts after its inputs are done")
    }
}

/// For each action the length of the longest chain from it to a root. How long an action will take is not known
/// beforehand; those that read or write whole images are taken to be eight times as long as those that don't.
fn urgency(graph: &ActionGraph, consumers: &[Vec<ActionId>]) -> Vec<u32> {
    let mut urgency = vec![0; graph.len()];
    let actions: Vec<_> = graph.iter().collect();
    for (id, action) in actions.into_iter().rev() {
        let own = match action {
            Action::Import { .. }
            | Action::Fetch { .. }
            | Action::Git { .. }
            | Action::List { .. }
            | Action::Encode { .. } => 8,
            // A step takes as long as it likes, and what stands on it waits.
            Action::Run { .. } => 32,
            Action::Tree { .. } | Action::Compose { .. } | Action::Merge { .. } => 1,
            Action::Image { .. } | Action::Index { .. } => 1,
        };
        let after = consumers[id.index()].iter().map(|consumer| urgency[consumer.index()]).max();
        urgency[id.index()] = own + after.unwrap_or(0);
    }
    urgency
}

struct Schedule<'a, T, F> {
    graph: &'a ActionGraph,
    progress: &'a dyn Progress,
    keep_going: bool,
    consumers: Vec<Vec<ActionId>>,
    urgency: Vec<u32>,
    results: Results<T>,
    state: Mutex<State>,
    /// Something became ready, or all is done.
    changed: Condvar,
    run: F,
}

struct State {
    /// Actions that can start; the most urgent first, of several the first in the graph.
    ready: BinaryHeap<(u32, Reverse<ActionId>)>,
    /// For each action how many of its inputs are not done.
    waiting_for: Vec<usize>,
    running: usize,
    errors: Vec<(ActionId, Diagnostic)>,
    /// Nothing is to be started any more.
    stopped: bool,
}

impl<T, F> Schedule<'_, T, F>
where
    T: Send + Sync,
    F: Fn(&Action, &Results<T>) -> Result<(T, How), Diagnostic> + Sync,
{
    /// Runs one action after the other, until there are no more.
    fn work(&self) {
        while let Some(id) = self.next() {
            let running = Running(self, id);
            let action = self.graph.get(id);
            let title = action.title();
            title.iter().for_each(|title| self.progress.started(title));
            let result = (self.run)(action, &self.results);
            if let (Ok((_, how)), Some(title)) = (&result, &title) {
                self.progress.finished(title, how, action.is_hermetic());
            }
            running.done(result.map(|(result, _)| result));
        }
    }

    /// The action that is to be run next; `None` when all is done.
    fn next(&self) -> Option<ActionId> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if let Some((_, Reverse(id))) = state.ready.pop() {
                state.running += 1;
                return Some(id);
            }
            if state.running == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An action that is running. Also one that panics is not waited for by the other threads.
struct Running<'a, 'b, T, F>(&'a Schedule<'b, T, F>, ActionId);

impl<T, F> Running<'_, '_, T, F>
where
    T: Send + Sync,
    F: Fn(&Action, &Results<T>) -> Result<(T, How), Diagnostic> + Sync,
{
    fn done(self, result: Result<T, Diagnostic>) {
        let Running(schedule, id) = self;
        let mut state = schedule.state();
        match result {
            Ok(result) => {
                // An action runs once: only its last input makes it ready.
                let _ = schedule.results.0[id.index()].set(result);
                for &consumer in &schedule.consumers[id.index()] {
                    state.waiting_for[consumer.index()] -= 1;
                    if state.waiting_for[consumer.index()] == 0 {
                        state.ready.push((schedule.urgency[consumer.index()], Reverse(consumer)));
                        // This thread takes one of them itself.
                        if state.ready.len() > 1 {
                            schedule.changed.notify_one();
                        }
                    }
                }
            }
            Err(error) => {
                state.errors.push((id, error));
                state.stopped |= !schedule.keep_going;
            }
        }
    }
}

impl<T, F> Drop for Running<'_, '_, T, F> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running -= 1;
        state.stopped |= thread::panicking();
        if state.stopped || state.running == 0 {
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::StepTarget;
    use crate::diagnostic::Spanned;
    use crate::path::WorkspacePath;
    use crate::target::{Base, Label, OciArchive};

    struct Silent;

    impl Progress for Silent {
        fn started(&self, _: &str) {}
        fn waiting(&self, _: &str) {}
        fn wrote(&self, _: &str, _: &str) {}
        fn warned(&self, _: &str) {}
        fn finished(&self, _: &str, _: &How, _: bool) {}
    }

    fn import_for(platform: &str, graph: &mut ActionGraph) -> ActionId {
        let archive = OciArchive { package: WorkspacePath::root(), path: WorkspacePath::root(), digest: None };
        let base = Spanned { value: Base::OciArchive(archive), span: None };
        let label = Label::parse("//:x", &WorkspacePath::root()).unwrap();
        let target = StepTarget { label, platform: None };
        graph.add(Action::Import { target, base, platform: platform.parse().unwrap() })
    }

    fn import(graph: &mut ActionGraph) -> ActionId {
        import_for("linux/amd64", graph)
    }

    #[test]
    fn every_action_runs_once_and_after_its_inputs() {
        let mut graph = ActionGraph::new();
        let image = import(&mut graph);
        let trees: Vec<ActionId> = (0..50).map(|_| graph.add(Action::Tree { image })).collect();
        let merged = graph.add(Action::Merge { below: Some(trees[0]), layer: trees[49] });
        let outcome = run(&graph, &Silent, false, |action, results: &Results<usize>| {
            Ok((1 + action.inputs().iter().map(|&input| results.get(input)).sum::<usize>(), How::Done))
        });
        assert_eq!(outcome.results[merged.index()], Some(5));
    }

    /// An import that fails, with what depends on it, and one that doesn't.
    fn failing(keep_going: bool) -> Outcome<()> {
        let mut graph = ActionGraph::new();
        let bad = import_for("linux/arm64", &mut graph);
        graph.add(Action::Tree { image: bad });
        let good = import(&mut graph);
        graph.add(Action::Tree { image: good });
        run(&graph, &Silent, keep_going, |action, _: &Results<()>| match action {
            Action::Import { platform, .. } if platform.architecture == "arm64" => {
                Err(Diagnostic::failure("no such file"))
            }
            _ => Ok(((), How::Done)),
        })
    }

    #[test]
    fn an_error_stops_what_depends_on_it_and_everything_that_was_not_begun() {
        let Outcome { results, errors } = failing(false);
        assert_eq!(results[1], None);
        assert_eq!(errors.iter().map(Diagnostic::to_string).collect::<Vec<_>>(), ["no such file"]);
    }

    #[test]
    fn what_does_not_depend_on_an_error_can_go_on() {
        let Outcome { results, errors } = failing(true);
        assert_eq!(results.iter().flatten().count(), 2);
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn the_longest_chain_comes_first() {
        let mut graph = ActionGraph::new();
        let short = import(&mut graph);
        let long = import(&mut graph);
        let tree = graph.add(Action::Tree { image: long });
        graph.add(Action::Merge { below: Some(tree), layer: tree });
        let urgency = urgency(&graph, &graph.consumers());
        assert!(urgency[long.index()] > urgency[short.index()], "{urgency:?}");
    }

    #[test]
    fn an_action_that_panics_ends_the_others() {
        let mut graph = ActionGraph::new();
        for _ in 0..20 {
            import(&mut graph);
        }
        let run = || run(&graph, &Silent, true, |_, _: &Results<()>| panic!("a defect"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    }
}
