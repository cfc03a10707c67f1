//! `ocify pull`: images of registries into the store.

use crate::diagnostic::Diagnostic;
use crate::image::ImageError;
use crate::oci::Reference;
use crate::platform::Platform;
use crate::registry::{self, Which};

use super::transfer::Reporter;
use super::{environment, name, registries};

/// Copy images of registries into the store, and print the name and digest of each.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify pull debian:12
  ocify pull registry.example.com/shop/web@sha256:... --platform linux/arm64
  ocify pull localhost:5000/app:dev --all-platforms")]
pub(super) struct Arguments {
    /// Names as people write them: nginx, user/app:v1, host:5000/app@sha256:...
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<Reference>,
    /// The image to take out of an index [default: the one for this machine]
    #[arg(long, conflicts_with = "all_platforms")]
    platform: Option<Platform>,
    /// Copy indexes whole, with all images that they list
    #[arg(short, long)]
    all_platforms: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let (client, store) = registries::connected(environment)?;
    let platform = arguments.platform.clone().unwrap_or_else(environment::machine_platform);
    let which = if arguments.all_platforms { Which::All } else { Which::Platform(&platform) };
    let progress = Reporter::new(arguments.quiet);
    for image in &arguments.images {
        let name = image.canonical();
        let pulled = registry::pull(&client, &name, which, &store, &progress).map_err(|error| failed(&name, error))?;
        name::publish(Some(&name), &pulled.descriptor(), &store)?;
    }
    Ok(())
}

/// The error that an image cannot be pulled. What a registry says stands for itself.
pub(super) fn failed(name: &Reference, error: ImageError) -> Diagnostic {
    match error {
        ImageError::Registry(diagnostic) => diagnostic,
        error => Diagnostic::failure(format!("`{name}` cannot be pulled")).caused_by(error),
    }
}
