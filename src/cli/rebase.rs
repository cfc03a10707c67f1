//! `ocify rebase`: an image on another base.

use std::collections::BTreeMap;

use crate::build::base_of;
use crate::diagnostic::Diagnostic;
use crate::image::{self, Bases, Image, ImageIndex, ImageOrIndex, Listed, RebaseError, Rebased};
use crate::oci::{BASE_DIGEST, BASE_NAME, MediaType, Reference};
use crate::platform::Platform;
use crate::registry::Client;
use crate::store::Store;
use crate::target::{IndexSpec, Label, Settings};

use super::place::Place;
use super::{environment, name, registries, tag};

/// How many remarks about files are listed.
const LISTED: usize = 20;

/// Put the layers of an image onto another base, without building it again.
#[derive(clap::Args)]
#[command(
    after_help = "The layers of the old base, which have to be the lowest of the image, are replaced; those above
stay byte for byte. In the config, what the image has from its old base becomes the new base's,
what it set itself stays. On stderr is what was checked.

The old base is --base, else what the image's annotations org.opencontainers.image.base.digest and
base.name name, in the store or in its registry, else what the store remembers of its build. Images are those of the store, or of
registries as registry:NAME, of which the layers are downloaded as far as they are looked at.

Examples:
  ocify rebase example.com/web:1.4 --onto registry:debian:12.6 --tag example.com/web:1.4-1
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
    let (client, store) = registries::connected(environment)?;
    let images = Images { client: &client, store: &store };
    let (_, loaded) = images.load(&arguments.name, None)?;
    let rebased = match (&loaded, &arguments.platform) {
        (ImageOrIndex::Index(index), None) => rebase_all(index, &loaded, arguments, &images)?.into(),
        _ => {
            let image = name::select(&arguments.name, &loaded, arguments.platform.as_ref())?;
            ImageOrIndex::Image(rebase(image, arguments, &images)?)
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
    images: &Images,
) -> Result<ImageIndex, Diagnostic> {
    let rebased = name::runnable(loaded).into_iter().map(|image| rebase(image, arguments, images));
    let rebased = rebased.collect::<Result<Vec<Image>, _>>()?;
    let left_out = loaded.images().len() - rebased.len();
    if left_out > 0 {
        eprintln!("note: {left_out} entries of the index that are no images of a platform are left out");
    }
    let media_types = match index.descriptor().media_type {
        MediaType::Index(family) => Some(family),
        _ => None,
    };
    let spec = IndexSpec { annotations: index.index().annotations.clone(), media_types, ..IndexSpec::default() };
    image::assemble_index(&rebased, &spec, &Settings::default())
        .map_err(|error| Diagnostic::failure("the rebased images cannot be listed in an index").caused_by(error))
}

fn rebase(image: &Image, arguments: &Arguments, images: &Images) -> Result<Image, Diagnostic> {
    let (old, source) = old_base(image, arguments, images)?;
    let (new_name, new) = images.base(&arguments.onto, image)?;
    // A label is a name of this workspace only.
    let new_name = new_name.filter(|_| !Label::looks_like(&arguments.onto));
    let new_name = new_name.and_then(|name| name.parse::<Reference>().ok()).map(|name| name.canonical().to_string());
    let bases = Bases { old: &old, new: &new, new_name: new_name.as_deref() };
    let rebased = image::rebase(image, bases, images.store).map_err(|error| refused(arguments, error))?;
    tell(&rebased, (&old, &source), &new);
    Ok(rebased.image)
}

/// The old base, and how it was found.
fn old_base(image: &Image, arguments: &Arguments, images: &Images) -> Result<(Image, String), Diagnostic> {
    if let Some(text) = &arguments.base {
        return Ok((images.base(text, image)?.1, format!("`{text}`")));
    }
    let annotations = &image.manifest().annotations;
    for key in [BASE_DIGEST, BASE_NAME] {
        let Some(text) = annotations.get(key) else { continue };
        if let Ok((_, base)) = images.base(text, image) {
            return Ok((base, format!("by the annotation `{key}`")));
        }
    }
    if let Some(pinned) = pinned_base(annotations)
        && let Ok((_, base)) = images.base(&format!("registry:{pinned}"), image)
    {
        return Ok((base, format!("`{pinned}`, by the annotations")));
    }
    if let Some(digest) = base_of(&image.digest(), images.store)? {
        return Ok((images.base(&digest.to_string(), image)?.1, "by the record of its build".into()));
    }
    let named: Vec<&String> = [BASE_DIGEST, BASE_NAME].iter().filter_map(|key| annotations.get(*key)).collect();
    let error = Diagnostic::spec(format!("it is not known on which base `{}` stands", arguments.name));
    Err(error.help(match named.is_empty() {
        true => "name the old base with `--base`".to_owned(),
        false => format!("its annotations name {}, which is not to be had; give `--base`", name::list(named)),
    }))
}

/// The base that annotations name, by its digest in its repository.
fn pinned_base(annotations: &BTreeMap<String, String>) -> Option<Reference> {
    let name: Reference = annotations.get(BASE_NAME)?.parse().ok()?;
    let digest = annotations.get(BASE_DIGEST)?.parse().ok()?;
    Some(Reference { tag: None, digest: Some(digest), ..name })
}

/// Where images are found: in the store, and in registries where that is said.
struct Images<'a> {
    client: &'a Client,
    store: &'a Store,
}

impl Images<'_> {
    /// An image or index, and its name if it was found by that; of an index of a registry, the image for `platform`.
    fn load(&self, text: &str, platform: Option<&Platform>) -> Result<(Option<String>, ImageOrIndex), Diagnostic> {
        match text.parse() {
            Ok(place @ Place::Registry(_)) => {
                let Listed { what, names } = place.read(platform, self.client, self.store)?;
                Ok((names.into_iter().next(), what))
            }
            _ => name::load(text, self.store).map(|(found, loaded)| (found.name, loaded)),
        }
    }

    /// A base, for the platform of the image where it is an index.
    fn base(&self, text: &str, image: &Image) -> Result<(Option<String>, Image), Diagnostic> {
        let (name, loaded) = self.load(text, Some(&image.platform()))?;
        let base = match name::runnable(&loaded).as_slice() {
            [only] => Image::clone(only),
            _ => name::select(text, &loaded, Some(&image.platform()))?.clone(),
        };
        Ok((name, base))
    }
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
