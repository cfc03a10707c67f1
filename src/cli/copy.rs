//! `ocify copy`: images from one place to another.

use crate::diagnostic::Diagnostic;
use crate::platform::Platform;

use super::place::Place;
use super::{environment, registries};

/// Copy an image or a whole index between the store, registries, layouts and archives, byte for byte.
#[derive(clap::Args)]
#[command(after_help = "A place is NAME or store:NAME, registry:NAME or docker://NAME, oci:DIR[:NAME],
oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME]. In the store, NAME is anything that
`ocify inspect` takes. What is copied passes through the store; between repositories of one
registry, layers are mounted and not moved.

Examples:
  ocify copy oci-archive:web.tar example.com/web:1.4
  ocify copy registry:debian:12 registry:registry.example.com/mirror/debian:12
  ocify copy //shop:web oci:out:example.com/web:1.4
  ocify copy oci:out:web docker-archive:web.tar:web:latest --platform linux/arm64")]
pub(super) struct Arguments {
    /// The place to copy from
    #[arg(value_name = "SOURCE")]
    source: Place,
    /// The place to copy to; what a layout lists already stays, an archive is replaced
    #[arg(value_name = "DESTINATION")]
    destination: Place,
    /// Of an index, copy only the image for this platform
    #[arg(long)]
    platform: Option<Platform>,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    arguments.destination.check_writable()?;
    let (client, store) = registries::connected(environment)?;
    let listed = arguments.source.read(arguments.platform.as_ref(), &client, &store)?;
    arguments.destination.write(&listed.what, &client, &store)
}
