//! `ocify rebase`: an image on another base.

use crate::build::base_of;
use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::image::{self, BASE_DIGEST, BASE_NAME, Bases, Image, RebaseError, Rebased};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::store::Store;

use super::{environment, name, tag};

/// How many remarks about files are listed.
const LISTED: usize = 20;

/// Put the layers of an image onto another base, without building it again.
#[derive(clap::Args)]
#[command(
    after_help = "The layers of the old base, which have to be the lowest of the image, are replaced; those above stay byte for byte. In
the config, what the image has from its old base becomes the new base's, what it set itself stays. On stderr is what was
checked.

The old base is --base, else what the image's annotations org.opencontainers.image.base.digest and base.name name, else
what the store remembers of its build.

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
    /// Of an index, the image for this platform
    #[arg(long)]
    platform: Option<Platform>,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let tag = arguments.tag.as_deref().map(tag::target).transpose()?;
    let store = environment.store()?;
    let image = name::load_image(&arguments.name, arguments.platform.as_ref(), &store)?;
    let (old, source) = old_base(&image, arguments, &store)?;
    let new = base_image(&arguments.onto, &image, &store)?;
    let new_name = arguments.onto.parse::<Reference>().ok().filter(|_| !is_digits(&arguments.onto, &new));
    let new_name = new_name.map(|reference| reference.canonical().to_string());
    let bases = Bases { old: &old, new: &new, new_name: new_name.as_deref() };
    let rebased = image::rebase(&image, bases, &store).map_err(|error| refused(arguments, error))?;
    tell(&rebased, (&old, &source), &new);
    let image = rebased.image;
    image.save(&store).map_err(|error| Diagnostic::failure("the store cannot be written").caused_by(error))?;
    let problems = image::validate_documents(&store, &image).into_iter();
    let mut problems = problems.map(|problem| Diagnostic::failure(problem.to_string()));
    if let Some(first) = problems.next() {
        return Err(first.and(problems));
    }
    name::publish(tag.as_ref(), &image.descriptor(), &store)
}

/// The old base, and how it was found.
fn old_base(image: &Image, arguments: &Arguments, store: &Store) -> Result<(Image, String), Diagnostic> {
    if let Some(text) = &arguments.base {
        return Ok((base_image(text, image, store)?, format!("`{text}`")));
    }
    let annotations = &image.manifest().annotations;
    for key in [BASE_DIGEST, BASE_NAME] {
        let Some(text) = annotations.get(key) else { continue };
        if let Ok(base) = base_image(text, image, store) {
            return Ok((base, format!("by the annotation `{key}`")));
        }
    }
    if let Some(digest) = base_of(&image.digest(), store)? {
        return Ok((base_image(&digest.to_string(), image, store)?, "by the record of its build".into()));
    }
    let named: Vec<&String> = [BASE_DIGEST, BASE_NAME].iter().filter_map(|key| annotations.get(*key)).collect();
    let error = Diagnostic::spec(format!("it is not known on which base `{}` stands", arguments.name));
    Err(error.help(match named.is_empty() {
        true => "name the old base with `--base`".to_owned(),
        false => format!("its annotations name {}, which the store does not have; give `--base`", name::list(named)),
    }))
}

/// A base, for the platform of the image where it is an index.
fn base_image(text: &str, image: &Image, store: &Store) -> Result<Image, Diagnostic> {
    let (_, loaded) = name::load(text, store)?;
    match name::runnable(&loaded).as_slice() {
        [only] => Ok(Image::clone(only)),
        _ => name::select(text, &loaded, Some(&image.platform())).cloned(),
    }
}

/// True if what was typed is no name but the beginning of a digest or ID.
fn is_digits(text: &str, found: &Image) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let begins = |digest: Digest| digest.hex().starts_with(digits);
    begins(found.digest()) || begins(found.id())
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
