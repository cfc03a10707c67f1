//! `ocify rebase`: an image on another base.

use crate::build::base_of;
use crate::diagnostic::Diagnostic;
use crate::image::{self, BASE_DIGEST, BASE_NAME, Bases, Image, ImageIndex, ImageOrIndex, RebaseError, Rebased};
use crate::oci::{MediaType, Reference};
use crate::platform::Platform;
use crate::store::Store;
use crate::target::{IndexSpec, Label, Settings};

use super::name::{self, Found};
use super::{environment, registries, tag};

/// How many remarks about files are listed.
const LISTED: usize = 20;

/// Put the layers of an image onto another base, without building it again.
#[derive(clap::Args)]
#[command(
    after_help = "The layers of the old base, which have to be the lowest of the image, are replaced; those above
stay byte for byte. In the config, what the image has from its old base becomes the new base's,
what it set itself stays. On stderr is what was checked.

The old base is --base, else what the image's annotations org.opencontainers.image.base.digest and
base.name name, else what the store remembers of its build.

Examples:
  ocify rebase example.com/web:1.4 --onto debian:12.6 --tag example.com/web:1.4-1
  ocify rebase //shop:web --base debian:12.5 --onto debian:12.6"
)]
pub(super) struct Arguments {
    /// A name as `ocify images` lists it, a label, a digest or image ID, or at least four digits of one
    #[arg(value_name = "IMAGE")]
    name: String,
    /// The new base
    #[arg(long, value_name = "IMAGE")]
    onto: String,
    /// The old base
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// The new image's name; without one it is found by its digest
    #[arg(long, value_name = "NAME")]
    tag: Option<String>,
    /// Of an index, only the image for this platform; without, each image goes onto the base for its platform
    #[arg(long)]
    platform: Option<Platform>,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let tag = arguments.tag.as_deref().map(tag::target).transpose()?;
    // Layers of a base may be in its registry still.
    let (_, store) = registries::connected(environment)?;
    let (_, loaded) = name::load(&arguments.name, &store)?;
    let rebased = match (&loaded, &arguments.platform) {
        (ImageOrIndex::Index(index), None) => rebase_all(index, &loaded, arguments, &store)?.into(),
        _ => {
            let image = name::select(&arguments.name, &loaded, arguments.platform.as_ref())?;
            ImageOrIndex::Image(rebase(image, arguments, &store)?)
        }
    };
    rebased.save(&store).map_err(|error| Diagnostic::failure("the store cannot be written").caused_by(error))?;
    let problems = rebased.images().into_iter().flat_map(|image| image::validate_documents(&store, image));
    let mut problems = problems.map(|problem| Diagnostic::failure(problem.to_string()));
    if let Some(first) = problems.next() {
        return Err(first.and(problems));
    }
    name::publish(tag.as_ref(), &rebased.descriptor(), &store)
}

/// An index of all images of `index`, rebased, in its order. What lies beside them, such as provenance, is about the old
/// ones and is left out.
fn rebase_all(
    index: &ImageIndex,
    loaded: &ImageOrIndex,
    arguments: &Arguments,
    store: &Store,
) -> Result<ImageIndex, Diagnostic> {
    let images = name::runnable(loaded).into_iter().map(|image| rebase(image, arguments, store));
    let images = images.collect::<Result<Vec<Image>, _>>()?;
    let left_out = loaded.images().len() - images.len();
    if left_out > 0 {
        eprintln!("note: {left_out} entries of the index that are no images of a platform are left out");
    }
    let media_types = match index.descriptor().media_type {
        MediaType::Index(family) => Some(family),
        _ => None,
    };
    let spec = IndexSpec { annotations: index.index().annotations.clone(), media_types, ..IndexSpec::default() };
    image::assemble_index(&images, &spec, &Settings::default())
        .map_err(|error| Diagnostic::failure("the rebased images cannot be listed in an index").caused_by(error))
}

fn rebase(image: &Image, arguments: &Arguments, store: &Store) -> Result<Image, Diagnostic> {
    let (old, source) = old_base(image, arguments, store)?;
    let (found, new) = base_image(&arguments.onto, image, store)?;
    // A label is a name of this workspace only.
    let new_name = found.name.filter(|_| !Label::looks_like(&arguments.onto));
    let new_name = new_name.and_then(|name| name.parse::<Reference>().ok()).map(|name| name.canonical().to_string());
    let bases = Bases { old: &old, new: &new, new_name: new_name.as_deref() };
    let rebased = image::rebase(image, bases, store).map_err(|error| refused(arguments, error))?;
    tell(&rebased, (&old, &source), &new);
    Ok(rebased.image)
}

/// The old base, and how it was found.
fn old_base(image: &Image, arguments: &Arguments, store: &Store) -> Result<(Image, String), Diagnostic> {
    if let Some(text) = &arguments.base {
        return Ok((base_image(text, image, store)?.1, format!("`{text}`")));
    }
    let annotations = &image.manifest().annotations;
    for key in [BASE_DIGEST, BASE_NAME] {
        let Some(text) = annotations.get(key) else { continue };
        if let Ok((_, base)) = base_image(text, image, store) {
            return Ok((base, format!("by the annotation `{key}`")));
        }
    }
    if let Some(digest) = base_of(&image.digest(), store)? {
        return Ok((base_image(&digest.to_string(), image, store)?.1, "by the record of its build".into()));
    }
    let named: Vec<&String> = [BASE_DIGEST, BASE_NAME].iter().filter_map(|key| annotations.get(*key)).collect();
    let error = Diagnostic::spec(format!("it is not known on which base `{}` stands", arguments.name));
    Err(error.help(match named.is_empty() {
        true => "name the old base with `--base`".to_owned(),
        false => format!("its annotations name {}, which the store does not have; give `--base`", name::list(named)),
    }))
}

/// A base, for the platform of the image where it is an index.
fn base_image(text: &str, image: &Image, store: &Store) -> Result<(Found, Image), Diagnostic> {
    let (found, loaded) = name::load(text, store)?;
    let base = match name::runnable(&loaded).as_slice() {
        [only] => Image::clone(only),
        _ => name::select(text, &loaded, Some(&image.platform()))?.clone(),
    };
    Ok((found, base))
}

fn refused(arguments: &Arguments, error: RebaseError) -> Diagnostic {
    let help = match &error {
        RebaseError::OtherPlatform { .. } => "choose images of one platform, with `--platform` for an index",
        RebaseError::FewerLayers { .. } | RebaseError::OtherLayer { .. } | RebaseError::OtherDiffId { .. } => {
            "name the image on which it was built with `--base`"
        }
        RebaseError::Misfit { .. } | RebaseError::Tree { .. } => "build the image again on the new base",
        RebaseError::Image(_) => "copy or build the image that is damaged again",
    };
    Diagnostic::failure(format!("`{}` cannot be put onto `{}`", arguments.name, arguments.onto))
        .caused_by(error)
        .help(help)
}

/// Tells what was checked and what a person should look at.
fn tell(rebased: &Rebased, (old, source): (&Image, &str), new: &Image) {
    let Rebased { image, replaced, kept, misfits } = rebased;
    eprintln!("old base: {} ({source}); its {replaced} layers are the lowest of the image", old.digest());
    eprintln!("new base: {}, {} layers, {}", new.digest(), new.layers().len(), image.platform());
    eprintln!("{kept} layers stay; none takes away what only the new base has");
    for (digest, found) in misfits.iter().take(LISTED) {
        eprintln!("note: layer {}: {}", name::short(digest), found);
    }
    if misfits.len() > LISTED {
        eprintln!("note: and {} more of that kind", misfits.len() - LISTED);
    }
}
