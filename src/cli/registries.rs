//! The registries of a command: those of the network, or none.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::image::Registry;
use crate::store::Store;
use crate::target::Settings;

use super::environment;
use super::offline::Offline;

/// Registries, and the store to which they bring what it lacks.
pub(super) struct Supplied {
    pub(super) registry: Arc<dyn Registry + Send>,
    pub(super) store: Store,
}

/// Opens the store, with registries as the settings say behind it, or with `offline` none.
pub(super) fn supplied(
    environment: &environment::Arguments,
    settings: &Settings,
    offline: bool,
) -> Result<Supplied, Diagnostic> {
    let store = environment.store()?;
    if offline {
        return Ok(Supplied { registry: Arc::new(Offline), store: store.supplied_by(Arc::new(Offline)) });
    }
    let client = Arc::new(environment.registry(Some(settings))?);
    Ok(Supplied { registry: client.clone(), store: store.supplied_by(client) })
}
