//! People in the root of a step, or of an image.

use crate::action::{Action, ActionId};
use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::image::Image;
use crate::path::ImagePath;
use crate::plan::ShellPlan;
use crate::sandbox::{self, Step, Tier, Visitor};
use crate::target::{Command, Run};
use crate::tree::Tree;

use super::anew::Anew;
use super::command::{can_run, failed};
use super::execute::{Context, Executor, unwritable};
use super::filesystem::FileSystem;
use super::mounts::Mounts;
use super::schedule::{self, Outcome, Results};

/// Makes what a visit needs and lets the visitor in. What the visitor changes is thrown away; nothing is kept of it.
///
/// # Errors
/// As [`build`](super::build()) of what lies below; the sandbox is refused.
pub fn shell(plan: &ShellPlan, context: &Context, visitor: &mut dyn Visitor) -> Result<(), Diagnostic> {
    let executor = Executor::new(context, false, Anew::Nothing);
    let make = |action: &Action, results: &Results<_>| executor.run(action, results);
    let Outcome { results, errors } = schedule::run(&plan.graph, context.progress, false, make);
    executor.digests.save();
    let mut errors = errors.into_iter();
    if let Some(first) = errors.next() {
        return Err(first.and(errors));
    }
    let results = Results::of(results);
    let Action::Run { run: Spanned { value: run, span }, below, sources, platform, .. } = &plan.step else {
        return Ok(());
    };
    let files = |id: &Option<ActionId>| id.map_or_else(FileSystem::default, |id| results.files(id).clone());
    let (below, sources) = (files(below), sources.iter().map(files).collect::<Vec<_>>());
    can_run(platform).at(span.as_ref())?;
    let tree = below.tree(context.store)?;
    let run = match plan.image {
        Some(image) => as_container(results.image(image), &tree),
        None => run.clone(),
    };
    let mounts = Mounts::new(&run, &sources, context.store).at(span.as_ref())?;
    let place = context.store.workplace().map_err(|error| unwritable().caused_by(error))?;
    let told = |error| failed((&plan.step, platform), error, context.emulators, None);
    // Subordinate ids make no devices, and nobody wants to begin anew.
    let tier = match executor.tier(&below).at(span.as_ref())? {
        Tier::SubordinateIds => Tier::SingleUser,
        tier => tier,
    };
    let stubs = mounts.stubs(&run, &tree).map_err(told).at(span.as_ref())?;
    let on_disk = below.on_disk(context.store, tier, &stubs).at(span.as_ref())?.map_err(told).at(span.as_ref())?;
    let visit = |step: &Step| sandbox::visit(step, &on_disk.root(), place.path(), visitor);
    let visited = executor.with_step((&plan.step, &run, &mounts), (&below, tier), place.path(), visit);
    visited.at(span.as_ref())?.map_err(told).at(span.as_ref())
}

/// A command with environment, directory and user of a container of the image.
fn as_container(image: &Image, tree: &Tree) -> Run {
    let config = &image.config().config;
    let mut run = Run::new(Command::Argv(Vec::new()));
    let variables = config.env.iter().filter_map(|variable| variable.split_once('='));
    run.env = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let workdir = ImagePath::parse(config.working_dir.trim_start_matches('/')).ok();
    let is_there = |path: &ImagePath| {
        tree.resolve(path).is_ok_and(|path| tree.get(&path).is_none_or(|node| node.kind.is_directory()))
    };
    run.workdir = workdir.filter(is_there).unwrap_or(ImagePath::root());
    run.user = config.user.parse().ok().map(|value| Spanned { value, span: None });
    run
}
