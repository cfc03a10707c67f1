//! The actions of a build in an order in which each comes after those whose results it takes.

use super::Action;

/// The place of an action in its [`ActionGraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(usize);

impl ActionId {
    /// The position, for tables with one place for each action.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Actions and their inputs. An action can name only actions that were added before it, so there is no cycle.
#[derive(Clone, Debug, Default)]
pub struct ActionGraph {
    actions: Vec<Action>,
}

impl ActionGraph {
    /// A graph without actions.
    pub fn new() -> Self {
        ActionGraph::default()
    }

    /// Adds an action.
    ///
    /// # Panics
    /// If the action takes the result of one that is not in the graph yet.
    pub fn add(&mut self, action: Action) -> ActionId {
        let id = ActionId(self.actions.len());
        assert!(action.inputs().iter().all(|input| *input < id), "an action's inputs are added before it");
        self.actions.push(action);
        id
    }

    /// Removes all actions from `end` on.
    pub fn truncate(&mut self, end: ActionId) {
        self.actions.truncate(end.0);
    }

    /// The action at `id`.
    pub fn get(&self, id: ActionId) -> &Action {
        &self.actions[id.0]
    }

    /// How many actions there are.
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// True without actions.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// All actions, each after its inputs.
    pub fn iter(&self) -> impl Iterator<Item = (ActionId, &Action)> {
        self.actions.iter().enumerate().map(|(index, action)| (ActionId(index), action))
    }

    /// True if neither the action nor any that it depends on is a command that has the network.
    pub fn is_hermetic(&self, id: ActionId) -> bool {
        let (mut seen, mut left) = (vec![false; self.len()], vec![id]);
        while let Some(id) = left.pop() {
            if !std::mem::replace(&mut seen[id.0], true) {
                if !self.get(id).is_hermetic() {
                    return false;
                }
                left.extend(self.get(id).inputs());
            }
        }
        true
    }

    /// For each action, those that take its result.
    pub fn consumers(&self) -> Vec<Vec<ActionId>> {
        let mut consumers = vec![Vec::new(); self.len()];
        for (id, action) in self.iter() {
            for input in action.inputs() {
                consumers[input.0].push(id);
            }
        }
        consumers
    }
}
