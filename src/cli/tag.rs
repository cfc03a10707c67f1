//! `ocify tag`: further names for an image.

use crate::diagnostic::Diagnostic;
use crate::oci::Reference;
use crate::target::Label;

use super::{environment, name};

/// Give an image of the store further names.
#[derive(clap::Args)]
#[command(after_help = "A name that another image has leads to this one afterwards. A name without tag gets `latest`.

Example: ocify tag //shop:web example.com/shop/web:1.4 example.com/shop/web:latest")]
pub(super) struct Arguments {
    /// A name as `ocify images` lists it, a label, a digest or image ID, or at least four digits of one
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The new names, such as example.com/web:1.4
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store()?;
    let names: Vec<Reference> = arguments.targets.iter().map(|text| target(text)).collect::<Result<_, _>>()?;
    let (_, loaded) = name::load(&arguments.source, &store)?;
    name::set(&names, &loaded.descriptor(), &store)
}

/// A name that an image may get.
pub(super) fn target(text: &str) -> Result<Reference, Diagnostic> {
    if Label::looks_like(text) {
        return Err(Diagnostic::spec(format!("`{text}` is a label, which only a build of that target sets")));
    }
    let reference: Reference = text.parse().map_err(|error| Diagnostic::spec(format!("{error}")))?;
    match reference.digest {
        Some(_) => Err(Diagnostic::spec(format!("`{text}` has a digest, which only the image itself can decide"))
            .help("leave out what begins with `@`")),
        None => Ok(reference),
    }
}
