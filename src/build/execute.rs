//! What each action does.

use std::sync::{Arc, LazyLock};

use crate::action::{Action, ActionId};
use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::entry::{Content, Entry};
use crate::fetch::{self, Client};
use crate::image::{self, Image, ImageIndex, ImageOrIndex, Layer};
use crate::oci::History;
use crate::path::WorkspacePath;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::source::{StatCache, Workspace};
use crate::store::Store;
use crate::target::{Base, Label, Settings};
use crate::tree::Changeset;

use super::cache::{Found, Request};
use super::compose::{Composition, compose};
use super::encode::write_layer;
use super::explain::Explanation;
use super::filesystem::FileSystem;
use super::schedule::{self, How, Progress, Results};

/// What a build works on.
pub struct Context<'a> {
    pub workspace: &'a Workspace,
    pub settings: &'a Settings,
    pub store: &'a Store,
    pub progress: &'a dyn Progress,
}

/// Makes the plan's roots, in parallel on rayon's current threads. All blobs are in the store afterwards; no reference
/// is set.
///
/// # Errors
/// The first thing that goes wrong, at its place in the spec where that is known. What was finished before stays in
/// the store, where it harms nobody.
pub fn build(plan: &Plan, context: &Context) -> Result<Vec<(Label, ImageOrIndex)>, Diagnostic> {
    let client: LazyLock<Client> = LazyLock::new(|| Client::new(fetch::Options::default()));
    let digests = StatCache::open(context.store, context.workspace);
    let results = schedule::run(&plan.graph, context.progress, |action, results| {
        run(action, results, context, &digests, &client)
    });
    // Also after a failure: what was hashed need not be hashed again.
    digests.save();
    let results = results?;
    let built = |id: &ActionId| match &results[id.index()] {
        Output::Image(image) => ImageOrIndex::Image(Image::clone(image)),
        Output::Index(index) => ImageOrIndex::Index(ImageIndex::clone(index)),
        _ => unreachable!("the plan's roots are images and indexes"),
    };
    Ok(plan.roots.iter().map(|(label, id)| (label.clone(), built(id))).collect())
}

/// What [`build`] would do at each step of the plan, in the plan's order. Nothing is encoded; bases are imported and files
/// fetched, as what a layer holds may depend on them.
///
/// # Errors
/// As [`build`].
pub fn explain(plan: &Plan, context: &Context) -> Result<Vec<Explanation>, Diagnostic> {
    let client: LazyLock<Client> = LazyLock::new(|| Client::new(fetch::Options::default()));
    let digests = StatCache::open(context.store, context.workspace);
    let results = schedule::run(&plan.graph, context.progress, |action, results| match action {
        Action::Encode { step, layer, compression } => {
            let entries = composed(results, layer, context);
            let request = Request::new(step, &entries, *compression, context.workspace, context.store);
            let miss = match request.find()? {
                Found::Hit(_) => None,
                Found::Miss(miss) => Some(miss),
            };
            Ok((Output::Explained(Explanation { step: step.clone(), miss }), How::Done))
        }
        // Nothing that a layer's content depends on takes these.
        Action::Image { .. } | Action::Index { .. } => Ok((Output::Skipped, How::Done)),
        _ => run(action, results, context, &digests, &client),
    });
    digests.save();
    let results = results?;
    let explained = results.into_iter().filter_map(|output| match output {
        Output::Explained(explanation) => Some(explanation),
        _ => None,
    });
    Ok(explained.collect())
}

/// What an action gives.
enum Output {
    Image(Arc<Image>),
    Index(Arc<ImageIndex>),
    Files(FileSystem),
    Content(Content),
    Composed(Arc<Changeset>),
    Layer(Box<(Layer, History)>),
    Explained(Explanation),
    Skipped,
}

/// Takes an input's result apart. The plan never connects an action to one that gives something else.
macro_rules! input {
    ($results:expr, $id:expr, $pattern:pat => $value:expr) => {
        match $results.get(*$id) {
            $pattern => $value,
            _ => unreachable!("the plan connects actions of matching kinds"),
        }
    };
}

fn run(
    action: &Action,
    results: &Results<Output>,
    context: &Context,
    digests: &StatCache,
    client: &LazyLock<Client>,
) -> Result<(Output, How), Diagnostic> {
    let files = |id: &Option<ActionId>| match id {
        Some(id) => input!(results, id, Output::Files(files) => files.clone()),
        None => FileSystem::default(),
    };
    let Context { workspace, settings, store, progress } = *context;
    let output = match action {
        Action::Import { base, platform } => Output::Image(Arc::new(import(base, platform, context)?)),
        Action::Tree { image } => {
            let image = input!(results, image, Output::Image(image) => image);
            Output::Files(FileSystem::of_image(store, image)?)
        }
        Action::Fetch { fetch: Spanned { value, span } } => {
            let content = client.fetch(value, workspace, store).map_err(Diagnostic::from);
            Output::Content(content.at(span.as_ref())?)
        }
        Action::Compose { layer, below, from, fetched } => {
            let (below, from) = (files(below), files(from));
            let fetched = fetched.iter().map(|id| input!(results, id, Output::Content(content) => content)).collect();
            let epoch = i64::from(settings.epoch);
            let composition =
                Composition { workspace, digests, store, progress, epoch, below: &below, from: &from, fetched };
            Output::Composed(Arc::new(compose(layer, &composition)?))
        }
        Action::Merge { below, layer } => {
            let changes = input!(results, layer, Output::Composed(changes) => changes);
            Output::Files(files(below).with(changes)?)
        }
        Action::Encode { step, layer, compression } => {
            let entries = composed(results, layer, context);
            let request = Request::new(step, &entries, *compression, workspace, store);
            let (layer, how) = match request.find()? {
                Found::Hit(layer) => (*layer, How::Hit),
                Found::Miss(miss) => {
                    let layer = write_layer(entries.clone(), *compression, store)?;
                    request.store(&layer)?;
                    (layer, How::Miss(miss.to_string()))
                }
            };
            request.remember(&layer)?;
            let history = History { created_by: Some(format!("ocify: {}", step.title)), ..History::default() };
            return Ok((Output::Layer(Box::new((layer, history))), how));
        }
        Action::Image { label, span, spec, base, layers } => {
            let base = base.as_ref().map(|id| input!(results, id, Output::Image(image) => image.as_ref()));
            let added = layers.iter().map(|id| input!(results, id, Output::Layer(layer) => (**layer).clone()));
            let image = image::assemble(base, spec, added.collect(), settings)
                .map_err(|error| Diagnostic::spec(format!("image `{label}`: {error}")).at(span.clone()))?;
            image.save(store).map_err(|error| unwritable().caused_by(error))?;
            let problems = image::validate_documents(store, &image).into_iter();
            let mut problems = problems.map(|problem| Diagnostic::failure(problem.to_string()));
            if let Some(first) = problems.next() {
                return Err(first.at(span.clone()).and(problems));
            }
            Output::Image(Arc::new(image))
        }
        Action::Index { label, span, spec, images } => {
            let images: Vec<Image> =
                images.iter().map(|id| input!(results, id, Output::Image(image) => Image::clone(image))).collect();
            let index = image::assemble_index(&images, spec, settings)
                .map_err(|error| Diagnostic::spec(format!("index `{label}`: {error}")).at(span.clone()))?;
            index.save(store).map_err(|error| unwritable().caused_by(error))?;
            Output::Index(Arc::new(index))
        }
    };
    Ok((output, How::Done))
}

/// The entries of a composed layer.
fn composed(results: &Results<Output>, layer: &ActionId, context: &Context) -> Vec<Entry> {
    let changes = input!(results, layer, Output::Composed(changes) => changes);
    changes.entries(i64::from(context.settings.epoch))
}

fn import(base: &Spanned<Base>, platform: &Platform, context: &Context) -> Result<Image, Diagnostic> {
    let Context { workspace, store, .. } = context;
    let on_disk = |package: &WorkspacePath, path| {
        workspace.locate(&package.join(path)).map_err(Diagnostic::from).at(base.span.as_ref())
    };
    let imported = match &base.value {
        Base::OciLayout(l) => image::import_layout(&on_disk(&l.package, &l.path)?, &l.digest, platform, store),
        Base::OciArchive(a) => {
            image::import_oci_archive(&on_disk(&a.package, &a.path)?, a.digest.as_ref(), platform, store)
        }
        Base::DockerArchive(a) => {
            image::import_docker_archive(&on_disk(&a.package, &a.path)?, a.digest.as_ref(), platform, store)
        }
        Base::Scratch | Base::Target(_) => unreachable!("the plan imports only what lies in the workspace"),
    };
    imported.map_err(|error| {
        Diagnostic::failure(format!("the base `{}` cannot be read", base.value.title()))
            .caused_by(error)
            .at(base.span.clone())
    })
}

pub(super) fn unwritable() -> Diagnostic {
    Diagnostic::failure("the store cannot be written")
}
