//! What each action does.

use std::sync::{Arc, LazyLock};

use crate::action::{Action, ActionId};
use crate::archive::write::{Encoding, encode};
use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::entry::{Content, Entry, Kind, Origin};
use crate::fetch::{self, Client};
use crate::format::{Compression, MediaTypes};
use crate::image::{self, Image, ImageIndex, ImageOrIndex, Layer};
use crate::oci::{Descriptor, History, MediaType};
use crate::path::WorkspacePath;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::source::Workspace;
use crate::store::Store;
use crate::target::{Base, Label, Settings};
use crate::tree::Changeset;

use super::compose::{Composition, compose};
use super::filesystem::FileSystem;
use super::schedule::{self, Progress, Results};

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
    let results =
        schedule::run(&plan.graph, context.progress, |action, results| run(action, results, context, &client))?;
    let built = |id: &ActionId| match &results[id.index()] {
        Output::Image(image) => ImageOrIndex::Image(Image::clone(image)),
        Output::Index(index) => ImageOrIndex::Index(ImageIndex::clone(index)),
        _ => unreachable!("the plan's roots are images and indexes"),
    };
    Ok(plan.roots.iter().map(|(label, id)| (label.clone(), built(id))).collect())
}

/// What an action gives.
enum Output {
    Image(Arc<Image>),
    Index(Arc<ImageIndex>),
    Files(FileSystem),
    Content(Content),
    Composed { changes: Arc<Changeset>, title: String },
    Layer(Box<(Layer, History)>),
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
    client: &LazyLock<Client>,
) -> Result<Output, Diagnostic> {
    let files = |id: &Option<ActionId>| match id {
        Some(id) => input!(results, id, Output::Files(files) => files.clone()),
        None => FileSystem::default(),
    };
    let Context { workspace, settings, store, .. } = context;
    match action {
        Action::Import { base, platform } => Ok(Output::Image(Arc::new(import(base, platform, context)?))),
        Action::Tree { image } => {
            let image = input!(results, image, Output::Image(image) => image);
            Ok(Output::Files(FileSystem::of_image(store, image)?))
        }
        Action::Fetch { fetch: Spanned { value, span } } => {
            let content = client.fetch(value, workspace, store).map_err(Diagnostic::from);
            content.map(Output::Content).at(span.as_ref())
        }
        Action::Compose { layer, below, from, fetched } => {
            let (below, from) = (files(below), files(from));
            let fetched = fetched.iter().map(|id| input!(results, id, Output::Content(content) => content)).collect();
            let epoch = i64::from(settings.epoch);
            let composition = Composition { workspace, store, epoch, below: &below, from: &from, fetched };
            let changes = Arc::new(compose(layer, &composition)?);
            Ok(Output::Composed { changes, title: layer.value.title() })
        }
        Action::Merge { below, layer } => {
            let changes = input!(results, layer, Output::Composed { changes, .. } => changes);
            Ok(Output::Files(files(below).with(changes)?))
        }
        Action::Encode { layer, compression } => {
            let (changes, title) = input!(results, layer, Output::Composed { changes, title } => (changes, title));
            let entries = changes.entries(i64::from(settings.epoch));
            let layer = write_layer(entries, *compression, store)?;
            let history = History { created_by: Some(format!("ocify: {title}")), ..History::default() };
            Ok(Output::Layer(Box::new((layer, history))))
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
            Ok(Output::Image(Arc::new(image)))
        }
        Action::Index { label, span, spec, images } => {
            let images: Vec<Image> =
                images.iter().map(|id| input!(results, id, Output::Image(image) => Image::clone(image))).collect();
            let index = image::assemble_index(&images, spec, settings)
                .map_err(|error| Diagnostic::spec(format!("index `{label}`: {error}")).at(span.clone()))?;
            index.save(store).map_err(|error| unwritable().caused_by(error))?;
            Ok(Output::Index(Arc::new(index)))
        }
    }
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

/// Encodes a layer into the store and keeps its directory index, so that nobody has to read it again.
fn write_layer(mut entries: Vec<Entry>, compression: Compression, store: &Store) -> Result<Layer, Diagnostic> {
    let mut draft = store.draft().map_err(|error| unwritable().caused_by(error))?;
    let encoded = encode(&entries, &Encoding { compression }, &mut draft)
        .map_err(|error| Diagnostic::failure("the layer cannot be written").caused_by(error))?;
    draft.commit(&encoded.digest, encoded.size).map_err(|error| unwritable().caused_by(error))?;
    for (entry, offset) in entries.iter_mut().zip(&encoded.offsets) {
        if let Kind::File { content } = &mut entry.kind {
            content.origin = Origin::Layer { diff_id: encoded.diff_id, offset: *offset };
        }
    }
    store.put_layer_index(&encoded.diff_id, &entries).map_err(|error| unwritable().caused_by(error))?;
    let media_type = MediaType::Layer(MediaTypes::Oci, compression);
    Ok(Layer { descriptor: Descriptor::new(media_type, encoded.digest, encoded.size), diff_id: encoded.diff_id })
}

fn unwritable() -> Diagnostic {
    Diagnostic::failure("the store cannot be written")
}
