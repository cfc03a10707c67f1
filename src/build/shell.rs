//! People in the root of a step, or of an image.

use std::collections::BTreeMap;

use crate::action::Action;
use crate::diagnostic::{Diagnostic, Spanned};
use crate::image::Image;
use crate::path::ImagePath;
use crate::plan::ShellPlan;
use crate::sandbox::{self, Visitor};
use crate::target::Run;
use crate::tree::Tree;

use super::command::failed;
use super::execute::{Context, Executor, unwritable};
use super::filesystem::FileSystem;
use super::schedule::{self, Outcome, Results};

/// Makes what a visit needs and lets the visitor in. What the visitor changes is thrown away; nothing is kept of it.
///
/// # Errors
/// As [`build`](super::build()) of what lies below; the sandbox is refused.
pub fn shell(plan: &ShellPlan, context: &Context, visitor: &mut dyn Visitor) -> Result<(), Diagnostic> {
    let executor = Executor::new(context, false);
    let make = |action: &Action, results: &Results<_>| executor.run(action, results);
    let Outcome { results, errors } = schedule::run(&plan.graph, context.progress, false, make);
    executor.digests.save();
    let mut errors = errors.into_iter();
    if let Some(first) = errors.next() {
        return Err(first.and(errors));
    }
    let results = Results::of(results);
    let Action::Run { run, below, platform, .. } = &plan.step else { return Ok(()) };
    let files = below.map_or_else(FileSystem::default, |id| results.files(id).clone());
    let tree = executor.readable(files.tree.entries().collect(), &files, platform)?;
    let Spanned { value: mut run, .. } = run.clone();
    if let Some(image) = plan.image {
        take_over(&mut run, results.image(image), &tree);
    }
    let epoch = i64::from(context.settings.epoch);
    let place = context.store.workplace().map_err(|error| unwritable().caused_by(error))?;
    let visited = sandbox::visit(&executor.sandboxed(&run, &tree, epoch), place.path(), visitor);
    visited.map_err(|error| failed(&plan.step, platform, error, None))
}

/// Environment and directory of a container of the image.
fn take_over(run: &mut Run, image: &Image, tree: &Tree) {
    let config = &image.config().config;
    let variables = config.env.iter().filter_map(|variable| variable.split_once('='));
    run.env = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>();
    let workdir = ImagePath::parse(config.working_dir.trim_start_matches('/')).ok();
    let is_there = |path: &ImagePath| {
        tree.resolve(path).is_ok_and(|path| tree.get(&path).is_none_or(|node| node.kind.is_directory()))
    };
    run.workdir = workdir.filter(is_there).unwrap_or(ImagePath::root());
}
