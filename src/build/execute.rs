//! Runs single actions.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::action::key::Preimage;
use crate::action::miss::Miss;
use crate::action::record::{BuildRecord, StepResult};
use crate::action::{Action, ActionId, Part, Step, StepTarget};
use crate::diagnostic::{At, Diagnostic, Span};
use crate::entry::Entry;
use crate::fetch::Client;
use crate::image::Registry;
use crate::sandbox::{Emulators, LetIn, Tier};
use crate::source::{StatCache, Workspace};
use crate::store::Store;
use crate::target::Settings;

use super::anew::Anew;
use super::baseline::{Baseline, LastBuilds};
use super::cache::Cache;
use super::compose::{Composition, compose};
use super::filesystem::FileSystem;
use super::mounts::Mounts;
use super::output::{Done, Output};
use super::report::Report;
use super::schedule::{How, Progress, Results};
use super::secrets::Secrets;

/// Is told of a command that failed, and may let somebody into its root.
type Visitors<'a> = dyn Fn(&Diagnostic, LetIn) + Sync + 'a;

/// What a build works on.
pub struct Context<'a> {
    pub workspace: &'a Workspace,
    pub settings: &'a Settings,
    pub store: &'a Store,
    /// Where images are had that the store lacks. Of what it has nothing is asked.
    pub registry: &'a dyn Registry,
    /// What brings files and commits from elsewhere that the store lacks.
    pub client: &'a Client,
    pub progress: &'a dyn Progress,
    /// What is lent to steps.
    pub secrets: &'a Secrets,
    /// Time since some moment before the build. It reaches reports only.
    pub clock: &'a (dyn Fn() -> Duration + Sync),
    /// By what right steps run; `None` for the first that this process has. No output depends on it.
    pub tier: Option<Tier>,
    /// What runs programs of other platforms.
    pub emulators: &'a Emulators,
    /// The command line that brings a person into the root of a layer of a target, by its number.
    pub shell: &'a (dyn Fn(&StepTarget, usize) -> String + Sync),
    /// Is told of each command that failed, and may let somebody into its root.
    pub visitors: Option<&'a Visitors<'a>>,
    /// Earlier builds to compare with, in place of the last one of each target.
    pub against: Option<&'a [BuildRecord]>,
}

/// What all actions of a build share.
pub(super) struct Executor<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) cache: Cache<'a>,
    pub(super) digests: StatCache,
    /// Layers, images and indexes that the store lacks are not made.
    pub(super) explaining: bool,
    pub(super) anew: Anew,
}

/// The reason of a miss is looked for on a thread of its own in layers with at least as many entries.
const MANY: usize = 1000;

impl<'a> Executor<'a> {
    pub(super) fn new(context: &'a Context, explaining: bool, anew: Anew) -> Self {
        let Context { workspace, store, clock, .. } = *context;
        let baseline = match context.against {
            Some(builds) => Baseline::Given(builds),
            None => Baseline::Last(LastBuilds::new(store, workspace)),
        };
        Executor {
            context,
            cache: Cache { store, baseline, clock },
            digests: StatCache::open(store, workspace),
            explaining,
            anew,
        }
    }

    /// Runs one action; its inputs' outputs are in `results`.
    pub(super) fn run(&self, action: &Action, results: &Results<Done>) -> Result<(Done, How), Diagnostic> {
        let unmade = unmade(action, results);
        if !unmade.is_empty() {
            return Ok((waiting(action, unmade), How::Done));
        }
        let (mut done, how) = self.output_of(action, results)?;
        if let (Some(_), Some(report)) = (self.context.against, &mut done.report) {
            self.compare(action, report, results)?;
        }
        Ok((done, how))
    }

    /// Says in the report of a hit how the step differs from the builds that were given to compare with.
    fn compare(&self, action: &Action, report: &mut Report, results: &Results<Done>) -> Result<(), Diagnostic> {
        let (None, Some(preimage)) = (&report.miss, &report.preimage) else { return Ok(()) };
        let entries = match action {
            Action::Encode { layer, .. } => Some(self.entries(*layer, results)),
            _ => None,
        };
        let difference = self.cache.miss(&report.step, preimage, entries.as_deref())?;
        report.difference = Some(difference).filter(|difference| matches!(difference, Miss::Changed { .. }));
        Ok(())
    }

    /// The entries of a composed layer.
    fn entries(&self, layer: ActionId, results: &Results<Done>) -> Vec<Entry> {
        results.composed(layer).0.entries(i64::from(self.context.settings.epoch))
    }

    fn output_of(&self, action: &Action, results: &Results<Done>) -> Result<(Done, How), Diagnostic> {
        let Context { workspace, settings, store, progress, .. } = *self.context;
        let files = |id: &Option<ActionId>| id.map_or_else(FileSystem::default, |id| results.files(id).clone());
        let output = match action {
            Action::Import { base, platform, .. } => return self.import(action, base, platform),
            Action::Fetch { fetch, sha256, .. } => return self.fetch(action, fetch, sha256),
            Action::Git { git, pin, .. } => return self.git(action, git, pin),
            Action::List { archive, fetched, .. } => {
                return self.list(action, archive, fetched.map(|id| results.content(id)));
            }
            Action::Encode { layer, compression, .. } => {
                let layers = results.composed(*layer).1;
                return self.encode(action, self.entries(*layer, results), layers, *compression);
            }
            Action::Run { run, below, sources, platform, compression, .. } => {
                let sources: Vec<FileSystem> = sources.iter().map(&files).collect();
                let mounts = Mounts::new(&run.value, &sources, store).at(run.span.as_ref())?;
                return self.run_command(action, (run, &mounts), &files(below), platform, *compression);
            }
            Action::Image { target, span, spec, platform, base, layers } => {
                return self.image(action, (target, span.as_ref()), (spec, platform), (*base, layers), results);
            }
            Action::Index { target, span, spec, images } => {
                return self.index(action, (target, span.as_ref()), spec, images, results);
            }
            Action::Tree { image } => Output::Files(FileSystem::of_image(results.image(*image))),
            Action::Merge { below, layer } => {
                let (changes, layers) = results.composed(*layer);
                Output::Files(files(below).with(changes.clone(), layers, store)?)
            }
            Action::Compose { layer, below, from, listing, fetched, commits } => {
                let (below, from) = (files(below), files(from));
                let composed = below.look(store, |looked| {
                    let composition = Composition {
                        workspace,
                        digests: &self.digests,
                        store,
                        progress,
                        epoch: i64::from(settings.epoch),
                        below: looked,
                        files: &below,
                        from: &from,
                        listing: listing.map(|id| results.listing(id)),
                        fetched: fetched.iter().map(|id| results.content(*id)).collect(),
                        commits: commits.iter().map(|id| results.content(*id)).collect(),
                    };
                    compose(layer, &composition)
                });
                Output::Composed(Arc::new(composed?), from.layers)
            }
        };
        Ok((Done { output, report: None }, How::Done))
    }

    /// What a step gave before, as `find` finds it, else what it gives now, as `make` makes it; then also why. Of several
    /// that want the same at the same time, in this process or another, one makes it and the others wait. What is to be made
    /// anew is not found. `entries` are those of a layer.
    pub(super) fn found_or_made<T>(
        &self,
        action: &Action,
        preimage: &Preimage,
        entries: Option<&[Entry]>,
        find: impl Fn() -> Result<Option<T>, Diagnostic>,
        make: impl FnOnce() -> Result<T, Diagnostic>,
    ) -> Result<(T, Option<Miss>), Diagnostic> {
        let find = || if self.is_anew(action) { Ok(None) } else { find() };
        if let Some(found) = find()? {
            return Ok((found, None));
        }
        let waiting = || action.title().iter().for_each(|title| self.context.progress.waiting(title));
        let _claim = self.cache.claim(preimage, waiting)?;
        if let Some(found) = find()? {
            return Ok((found, None));
        }
        let miss = || match self.is_anew(action) {
            true => Ok(Miss::Anew),
            false => self.cache.miss(&step(action), preimage, entries),
        };
        if entries.is_none_or(|entries| entries.len() < MANY) {
            return Ok((make()?, Some(miss()?)));
        }
        // Meanwhile the reason is found: the list of what was there before takes its time to read.
        thread::scope(|scope| {
            let miss = scope.spawn(miss);
            let made = make()?;
            let miss = miss.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            Ok((made, Some(miss)))
        })
    }

    /// A step that is done, with its report.
    pub(super) fn done(
        &self,
        action: &Action,
        output: Output,
        preimage: Preimage,
        result: Option<StepResult>,
        miss: Option<Miss>,
    ) -> (Done, How) {
        let how = miss.as_ref().map_or(How::Hit, |miss| How::Miss(miss.to_string()));
        let (step, key, place) = (step(action), Some(preimage.key()), action.span().map(Span::to_string));
        let report = Report { step, place, key, result, miss, difference: None, preimage: Some(preimage) };
        (Done { output, report: Some(report) }, how)
    }
}

/// The steps without a result on which an action depends.
fn unmade<'a>(action: &Action, results: &'a Results<Done>) -> Vec<&'a Step> {
    let mut steps: Vec<&Step> = Vec::new();
    for input in action.inputs() {
        if let Output::Unmade(unmade) = &results.get(input).output {
            steps.extend(unmade.iter().filter(|step| !steps.contains(step)).collect::<Vec<_>>());
        }
    }
    steps
}

/// An action that depends on steps without a result, because they are only explained.
fn waiting(action: &Action, unmade: Vec<&Step>) -> Done {
    let Some(step) = action.step() else {
        return Done { output: Output::Unmade(unmade.into_iter().cloned().collect()), report: None };
    };
    let name = |other: &&Step| match &other.part {
        Part::Layer { number, .. } if other.target == step.target => format!("layer {number}"),
        _ => other.target.to_string(),
    };
    let place = action.span().map(Span::to_string);
    let report = Report::waiting(step.clone(), place, unmade.iter().map(name).collect());
    Done { output: Output::Unmade(vec![step]), report: Some(report) }
}

pub(super) fn step(action: &Action) -> Step {
    action.step().expect("what the store keeps is a step")
}

pub(super) fn unwritable() -> Diagnostic {
    Diagnostic::failure("the store cannot be written")
}
