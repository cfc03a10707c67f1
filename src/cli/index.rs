//! `ocify index`: images under one name.

use crate::diagnostic::Diagnostic;
use crate::image::{Image, assemble_index};
use crate::store::Store;
use crate::target::{IndexSpec, Settings};

use super::selection::key_value;
use super::{environment, name, tag};

/// Put images together in an index, one for each platform.
#[derive(clap::Args)]
#[command(after_help = "Example: ocify index create example.com/web:1.4 //shop:web-amd64 //shop:web-arm64")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Create(Create),
}

/// Make an index that lists images in the order given; of an index all images are taken
#[derive(clap::Args)]
#[command(after_help = "Example: ocify index create example.com/web:1.4 //shop:web-amd64 //shop:web-arm64")]
struct Create {
    /// The index's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Names as `ocify images` lists them, labels, digests or image IDs, or at least four digits of one
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// An annotation of the index; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    annotation: Vec<(String, String)>,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    match &arguments.command {
        Command::Create(arguments) => create(arguments, &environment.store()?),
    }
}

fn create(arguments: &Create, store: &Store) -> Result<(), Diagnostic> {
    let reference = tag::target(&arguments.name)?;
    let mut images: Vec<Image> = Vec::new();
    for text in &arguments.images {
        let (_, loaded) = name::load(text, store)?;
        images.extend(name::runnable(&loaded).into_iter().cloned());
    }
    let spec = IndexSpec { annotations: arguments.annotation.iter().cloned().collect(), ..IndexSpec::default() };
    let index = assemble_index(&images, &spec, &Settings::default())
        .map_err(|error| Diagnostic::spec(format!("the index cannot be made: {error}")))?;
    index.save(store).map_err(|error| Diagnostic::failure("the store cannot be written").caused_by(error))?;
    name::publish(Some(&reference), &index.descriptor(), store)
}
