//! What comes before what.

use std::collections::BTreeSet;

/// `roots` and all that they depend on, each once and after its own dependencies; the order depends on these only.
pub fn build_order<T: Clone + Ord>(
    roots: impl DoubleEndedIterator<Item = T>,
    dependencies: impl Fn(&T) -> Vec<T>,
) -> Vec<T> {
    let mut done = BTreeSet::new();
    let mut order = Vec::new();
    // Each is entered twice: first to put its dependencies above it, then, with these done, itself.
    let mut stack: Vec<(T, bool)> = roots.rev().map(|root| (root, false)).collect();
    while let Some((item, ready)) = stack.pop() {
        if ready {
            if done.insert(item.clone()) {
                order.push(item);
            }
        } else if !done.contains(&item) {
            let below = dependencies(&item);
            stack.push((item, true));
            stack.extend(below.into_iter().rev().map(|dependency| (dependency, false)));
        }
    }
    order
}
