//! Whole builds, and what they would be.

use std::collections::BTreeSet;

use crate::action::key::Inputs;
use crate::action::record::{BuildRecord, StepRecord};
use crate::action::{Action, ActionGraph, ActionId, Step, StepTarget};
use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::image::ImageOrIndex;
use crate::plan::Plan;
use crate::store::Store;
use crate::target::Label;

use super::anew::Anew;
use super::baseline::{self, Baseline};
use super::execute::{Context, Executor};
use super::output::Done;
use super::report::{Report, StepNode};
use super::schedule::{self, Outcome};

/// What a build gave.
pub struct Built {
    /// The roots that were made, in the plan's order.
    pub targets: Vec<(Label, ImageOrIndex)>,
    /// The builds of all targets that were made, also of those that others stand on; none unless asked for.
    pub records: Vec<BuildRecord>,
    /// What went wrong, at its place in the spec where that is known: the first thing, or with `keep_going` everything.
    pub failure: Option<Diagnostic>,
}

/// What may be chosen about a build. It decides about no byte of an image.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// After a failure, go on with what does not depend on it.
    pub keep_going: bool,
    /// Give the records of the build.
    pub records: bool,
    /// Steps that are made although the store has their results.
    pub anew: Anew,
}

/// Makes the plan's roots, in parallel on as many threads as rayon has. All blobs of what was made are in the store
/// afterwards; no reference is set. After a failure nothing further is begun, or with `keep_going` nothing that depends on
/// what failed; what was finished stays in the store, where it harms nobody.
pub fn build(plan: &Plan, context: &Context, options: Options) -> Built {
    let executor = Executor::new(context, false, options.anew);
    let outcome =
        schedule::run(&plan.graph, context.progress, options.keep_going, |action, done| executor.run(action, done));
    // Also after a failure: what was hashed need not be hashed again.
    executor.digests.save();
    let Outcome { results, mut errors } = outcome;
    let made = |(label, id): &(Label, ActionId)| Some((label.clone(), results[id.index()].as_ref()?.image_or_index()));
    let targets = plan.roots.iter().filter_map(made).collect();
    errors.extend(remember(&executor, &plan.graph, &results).err());
    let records = match options.records {
        true => made_targets(&plan.graph, &results).map(|made| record(&made, &results)).collect(),
        false => Vec::new(),
    };
    // The trees are large, and what follows is most often the end of the process.
    rayon::spawn(move || drop(results));
    let mut errors = errors.into_iter();
    let failure = errors.next().map(|first| first.and(errors));
    Built { targets, records, failure }
}

/// What [`build`] would do at each step of the plan, in the plan's order, and what depends on what. Nothing is encoded or
/// assembled into the store; bases are imported, archives read and files fetched, as what a layer holds may depend on them.
///
/// # Errors
/// As [`build`].
pub fn steps(plan: &Plan, context: &Context) -> Result<Vec<StepNode>, Diagnostic> {
    let executor = Executor::new(context, true, Anew::Nothing);
    let outcome = schedule::run(&plan.graph, context.progress, false, |action, done| executor.run(action, done));
    executor.digests.save();
    if let Some(error) = outcome.errors.into_iter().next() {
        return Err(error);
    }
    let mut nodes = Vec::new();
    // For each action the steps whose results it takes, directly or through actions that are none; a step's own number.
    let mut reached: Vec<BTreeSet<usize>> = Vec::with_capacity(plan.graph.len());
    for ((_, action), done) in plan.graph.iter().zip(outcome.results) {
        let inputs = action.inputs().into_iter().flat_map(|id| reached[id.index()].iter().copied()).collect();
        let Some(report) = done.and_then(|done| done.report) else {
            reached.push(inputs);
            continue;
        };
        let before = executor.cache.baseline.find(&report.step)?.map(|record| record.result);
        reached.push(BTreeSet::from([nodes.len()]));
        nodes.push(StepNode { report, before, inputs: inputs.into_iter().collect() });
    }
    Ok(nodes)
}

/// The record of an earlier build of `target` that gave `digest`, if the store remembers it; with that of an index of the
/// target's platforms, those of its images.
pub fn records_of(target: &Label, digest: &Digest, store: &Store) -> Result<Vec<BuildRecord>, Diagnostic> {
    let Some(record) = baseline::read(store, target, digest)? else { return Ok(Vec::new()) };
    let listed = record.steps.iter().filter_map(|step| match &step.preimage.inputs {
        Inputs::Index { images, .. } => Some(images),
        _ => None,
    });
    let images: Vec<Digest> = listed.flatten().copied().collect();
    let mut records = vec![record];
    for image in &images {
        records.extend(baseline::read(store, target, image)?);
    }
    Ok(records)
}

/// Adds to a record what it needs to be read where the store is not.
///
/// # Errors
/// The store cannot be read.
pub fn complete(record: &mut BuildRecord, store: &Store) -> Result<(), Diagnostic> {
    for step in &mut record.steps {
        step.entries = baseline::entries(store, step)?;
    }
    Ok(())
}

/// Remembers the builds that were not the last ones of their targets already.
fn remember(executor: &Executor, graph: &ActionGraph, results: &[Option<Done>]) -> Result<(), Diagnostic> {
    let Baseline::Last(last) = &executor.cache.baseline else { return Ok(()) };
    let mut records = Vec::new();
    for made in made_targets(graph, results) {
        let steps = made.actions.iter().filter_map(|id| results[id.index()].as_ref()?.report.as_ref());
        if steps.into_iter().any(|report| report.miss.is_some()) || !last.was(made.target, &made.digest)? {
            records.push(record(&made, results));
        }
    }
    last.remember(&records)
}

/// An image or index that was made.
struct Made<'a> {
    target: &'a StepTarget,
    digest: Digest,
    /// Its own.
    actions: BTreeSet<ActionId>,
}

fn made_targets<'a>(graph: &'a ActionGraph, results: &'a [Option<Done>]) -> impl Iterator<Item = Made<'a>> {
    graph.iter().filter_map(|(id, action)| {
        let (Action::Image { target, .. } | Action::Index { target, .. }) = action else { return None };
        let digest = results[id.index()].as_ref()?.image_or_index().digest();
        Some(Made { target, digest, actions: own_actions(graph, id) })
    })
}

fn record(Made { target, digest, actions }: &Made, results: &[Option<Done>]) -> BuildRecord {
    let steps = actions.iter().filter_map(|id| step_record(results[id.index()].as_ref()?, target)).collect();
    let StepTarget { label, platform } = StepTarget::clone(target);
    BuildRecord { target: label, target_platform: platform, digest: *digest, steps }
}

/// The actions on which a target's action depends, and itself, without those of targets on which it stands.
fn own_actions(graph: &ActionGraph, target: ActionId) -> BTreeSet<ActionId> {
    let mut found = BTreeSet::from([target]);
    let mut left = graph.get(target).inputs();
    while let Some(id) = left.pop() {
        let action = graph.get(id);
        if !matches!(action, Action::Image { .. } | Action::Index { .. }) && found.insert(id) {
            left.extend(action.inputs());
        }
    }
    found
}

fn step_record(done: &Done, target: &StepTarget) -> Option<StepRecord> {
    let Report { step, result, preimage, .. } = done.report.as_ref()?;
    let step = Step { target: target.clone(), part: step.part.clone() };
    Some(StepRecord { step, preimage: preimage.clone()?, result: (*result)?, entries: None })
}
