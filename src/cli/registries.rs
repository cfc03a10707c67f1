//! The registries of a command: those of the network, or none.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::image::Registry;
use crate::registry::Client;
use crate::store::Store;
use crate::target::Settings;
use crate::tomlspec;

use super::environment;
use super::offline::Offline;

/// Registries, and the store to which they bring what it lacks.
pub(super) struct Supplied {
    pub(super) registry: Arc<dyn Registry + Send>,
    /// The same, to push to; none with `--offline`.
    pub(super) client: Option<Arc<Client>>,
    pub(super) store: Store,
}

/// A client of registries for a command that need not be run in a workspace: if there is one around, its settings count,
/// below those of the user.
pub(super) fn client(environment: &environment::Arguments) -> Result<Client, Diagnostic> {
    let settings = match environment::workspace() {
        Ok((workspace, _)) => Some(tomlspec::load(&workspace)?.0),
        Err(_) => None,
    };
    environment.registry(settings.as_ref())
}

/// A client of registries, and the store to which it brings what is read and missing there, for a command that need not be
/// run in a workspace, as [`client`].
pub(super) fn connected(environment: &environment::Arguments) -> Result<(Arc<Client>, Store), Diagnostic> {
    let client = Arc::new(client(environment)?);
    Ok((client.clone(), environment.store()?.supplied_by(client)))
}

/// Opens the store, with registries as the settings say behind it, or with `offline` none.
pub(super) fn supplied(
    environment: &environment::Arguments,
    settings: &Settings,
    offline: bool,
) -> Result<Supplied, Diagnostic> {
    let store = environment.store()?;
    if offline {
        return Ok(Supplied { registry: Arc::new(Offline), client: None, store: store.supplied_by(Arc::new(Offline)) });
    }
    let client = Arc::new(environment.registry(Some(settings))?);
    Ok(Supplied { registry: client.clone(), client: Some(client.clone()), store: store.supplied_by(client) })
}
