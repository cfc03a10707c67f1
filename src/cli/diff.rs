//! `ocify diff`: where two images differ.

use crate::diagnostic::Diagnostic;
use crate::image::{self, Comparison};
use crate::platform::Platform;

use super::{environment, name, print, registries};

/// Show where two images differ: config and files, not how they were made
///
/// Prints a line for each difference, with what the first image has and what the second. History and the boundaries of layers
/// are counted, not compared.
#[derive(clap::Args)]
#[command(after_help = "Exit code 0 if they are the same, 1 if they differ.

Examples:
  ocify diff //shop:web example.com/shop/web:1.3
  ocify diff example.com/web:1.3 example.com/web:1.4 --no-times --json")]
pub(super) struct Arguments {
    /// A name as `ocify images` lists it, a label, a digest or image ID, or at least four digits of one
    #[arg(value_name = "IMAGE")]
    first: String,
    /// The image that it is compared with
    #[arg(value_name = "IMAGE")]
    second: String,
    /// Of an index, the image for this platform
    #[arg(long)]
    platform: Option<Platform>,
    /// Do not compare the files' times
    #[arg(long)]
    no_times: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    // Layers may be in their registry still.
    let (_, store) = registries::connected(environment)?;
    let load = |text: &String| name::load_image(text, arguments.platform.as_ref(), &store);
    let (first, second) = (load(&arguments.first)?, load(&arguments.second)?);
    let found = image::compare(&store, &first, &second, !arguments.no_times)
        .map_err(|error| Diagnostic::failure("the images cannot be compared").caused_by(error))?;
    match arguments.json {
        true => print(&format!("{}\n", serde_json::json!(found)))?,
        false => print(&found.to_string())?,
    }
    verdict(&found, "the images differ")
}

/// An error if there are differences.
pub(super) fn verdict(found: &Comparison, message: &str) -> Result<(), Diagnostic> {
    match found.differences.len() {
        0 => Ok(()),
        1 => Err(Diagnostic::failure(format!("{message} in one place"))),
        several => Err(Diagnostic::failure(format!("{message} in {several} places"))),
    }
}
