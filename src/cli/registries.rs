//! The registries of a command: those of the network, or none.

use crate::diagnostic::Diagnostic;
use crate::image::Registry;
use crate::target::Settings;

use super::environment;
use super::offline::Offline;

/// Registries as the settings say; none with `--offline`.
pub(super) fn registries(
    _environment: &environment::Arguments,
    _settings: &Settings,
    _offline: bool,
) -> Result<Box<dyn Registry>, Diagnostic> {
    Ok(Box::new(Offline))
}
