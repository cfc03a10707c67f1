//! `ocify logout`: forget what `ocify login` kept.

use crate::diagnostic::Diagnostic;
use crate::registry::RegistryError;

use super::{environment, login};

/// Remove the credentials for a registry from everywhere they are looked for.
#[derive(clap::Args)]
#[command(after_help = "Example: ocify logout registry.example.com")]
pub(super) struct Arguments {
    /// The registry: HOST or HOST:PORT
    registry: String,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let registry = login::named(&arguments.registry)?;
    let erased = environment.credentials().erase(&registry).map_err(RegistryError::from)?;
    match erased.is_empty() {
        true => eprintln!("there were no credentials for {registry}"),
        false => eprintln!("removed the credentials for {registry} from {}", erased.join(" and ")),
    }
    Ok(())
}
