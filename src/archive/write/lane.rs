//! Work that must be done in order on things that get ready in any order.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// A worker that takes items in the order of their indices, one at a time. No thread ever waits for another: one that
/// delivers an item while the worker is busy leaves it there and goes on with something else, so that a lane can be
/// used on the threads of a pool, however few.
pub(super) struct Lane<W, T>(Mutex<State<W, T>>);

struct State<W, T> {
    /// The index of the item that is taken next.
    next: usize,
    ready: BTreeMap<usize, T>,
    /// `None` while it is at work, and after it failed.
    worker: Option<W>,
}

impl<W, T> Lane<W, T> {
    /// The first item that is taken has the index `first`.
    pub(super) fn new(first: usize, worker: W) -> Self {
        Lane(Mutex::new(State { next: first, ready: BTreeMap::new(), worker: Some(worker) }))
    }

    /// Puts down an item. Somebody must call [`Lane::run`] afterwards.
    pub(super) fn deliver(&self, index: usize, item: T) {
        self.state().ready.insert(index, item);
    }

    /// Lets the worker take what is ready, unless another thread does so already: that one takes the rest, too. After
    /// an error the worker takes nothing any more.
    pub(super) fn run<E>(&self, mut take: impl FnMut(&mut W, usize, T) -> Result<(), E>) -> Result<(), E> {
        let mut state = self.state();
        let Some(mut worker) = state.worker.take() else { return Ok(()) };
        let mut next = state.next;
        while let Some(item) = state.ready.remove(&next) {
            drop(state);
            take(&mut worker, next, item)?;
            next += 1;
            state = self.state();
        }
        state.next = next;
        state.worker = Some(worker);
        Ok(())
    }

    /// The worker, when all is done; `None` if it failed.
    pub(super) fn into_worker(self) -> Option<W> {
        self.0.into_inner().expect(UNPOISONED).worker
    }

    fn state(&self) -> MutexGuard<'_, State<W, T>> {
        self.0.lock().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "nothing panics while it holds this lock";

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn every_item_is_taken_once_and_in_order() {
        let lane = Lane::new(0, Vec::new());
        (0..1000_usize).into_par_iter().rev().for_each(|index| {
            lane.deliver(index, index * 2);
            let taken = lane.run(|taken, index, item| {
                taken.push((index, item));
                Ok::<_, ()>(())
            });
            taken.unwrap();
        });
        let expected: Vec<_> = (0..1000).map(|index| (index, index * 2)).collect();
        assert_eq!(lane.into_worker(), Some(expected));
    }

    #[test]
    fn a_worker_that_failed_takes_nothing_more() {
        let lane = Lane::new(0, ());
        (0..3).for_each(|index| lane.deliver(index, ()));
        assert_eq!(lane.run(|_, index, _| if index == 1 { Err("full") } else { Ok(()) }), Err("full"));
        lane.run(|_, _, _| -> Result<(), ()> { panic!("taken after a failure") }).unwrap();
        assert_eq!(lane.into_worker(), None);
    }
}
