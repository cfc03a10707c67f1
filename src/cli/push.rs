//! `ocify push`: images of the store into registries.

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
use crate::image::ImageOrIndex;
use crate::oci::{Reference, Repository};
use crate::registry::{self, Client};
use crate::store::Store;
use crate::target::Label;

use super::metadata::{self, Pushed};
use super::transfer::Reporter;
use super::{environment, name, print, registries};

/// Copy an image of the store into registries, and print each name with the digest.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify push registry.example.com/shop/web:1.4
  ocify push //shop:web registry.example.com/shop/web:1.4 registry.example.com/shop/web:latest
  ocify push sha256:... localhost:5000/app:dev --digest-file digest")]
pub(super) struct Arguments {
    /// A name as `ocify images` lists it, a label, or a digest
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Where to [default: the image's own name]
    #[arg(value_name = "DESTINATION")]
    destinations: Vec<Reference>,
    /// Write the digest to FILE
    #[arg(long, value_name = "FILE")]
    digest_file: Option<PathBuf>,
    /// Write what was pushed where to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Say nothing on stderr but errors
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let (client, store) = registries::connected(environment)?;
    let (found, what) = name::load(&arguments.image, &store)?;
    let destinations = match arguments.destinations.as_slice() {
        [] => vec![own_name(&arguments.image, found.name.as_deref())?],
        given => given.to_vec(),
    };
    let digest = what.digest();
    let names = push(&what, &destinations, &store, &client, arguments.quiet)?;
    if let Some(file) = &arguments.digest_file {
        metadata::write_digest(file, &digest)?;
    }
    let lines: String = names.iter().map(|name| format!("{name} {digest}\n")).collect();
    if let Some(file) = &arguments.metadata_file {
        metadata::write(file, &[(arguments.image.clone(), Pushed { what, names })])?;
    }
    print(&lines)
}

/// Copies an image to these names, and returns them in full.
pub(super) fn push(
    what: &ImageOrIndex,
    names: &[Reference],
    store: &Store,
    client: &Client,
    quiet: bool,
) -> Result<Vec<Reference>, Diagnostic> {
    let names: Vec<Reference> = names.iter().map(Reference::canonical).collect();
    for name in &names {
        check_digest(name, what)?;
    }
    let progress = Reporter::new(quiet);
    let mut left: &[Reference] = &names;
    // Names of one repository that follow each other are pushed together.
    while let Some(first) = left.first() {
        let repository = Repository::of(first);
        let of_it = left.iter().take_while(|name| Repository::of(name) == repository).count();
        let (these, rest) = left.split_at(of_it);
        let tags: Vec<String> = these.iter().filter_map(|name| name.tag.clone()).collect();
        registry::push(client, what, &repository, &tags, store, &progress).map_err(Diagnostic::from)?;
        left = rest;
    }
    Ok(names)
}

fn check_digest(name: &Reference, what: &ImageOrIndex) -> Result<(), Diagnostic> {
    match name.digest {
        Some(digest) if digest != what.digest() => {
            let error = Diagnostic::spec(format!("`{name}` names another image: this one is {}", what.digest()));
            Err(error.help("leave the digest out"))
        }
        _ => Ok(()),
    }
}

/// The name by which the image was found, which is one of a registry.
fn own_name(image: &str, listed: Option<&str>) -> Result<Reference, Diagnostic> {
    let name = listed.filter(|_| !Label::looks_like(image)).and_then(|name| name.parse::<Reference>().ok());
    name.ok_or_else(|| {
        Diagnostic::spec(format!("`{image}` does not say where to push to"))
            .help("give a destination, as in `ocify push IMAGE registry.example.com/shop/web:1.4`")
    })
}
