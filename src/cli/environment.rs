//! Where the workspace and the store are: the one place that looks at the process's environment.

use std::env;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::path::WorkspacePath;
use crate::source::Workspace;
use crate::store::{Store, StoreError};

/// Flags that every command takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// Directory of the store [env: OCIFY_STORE] [default: ocify in the user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    store: Option<PathBuf>,
}

impl Arguments {
    /// Opens the store for a command that relies on what it finds there: until the command ends, `ocify prune` leaves it.
    pub(super) fn store(&self) -> Result<Store, Diagnostic> {
        let store = self.store_to_look_at()?;
        store.leased().map_err(|error| unusable(store.root(), error))
    }

    /// Opens the store: `--store`, else `$OCIFY_STORE`, else `ocify` in `$XDG_DATA_HOME` or `~/.local/share`. What is found
    /// there may be pruned at any time.
    pub(super) fn store_to_look_at(&self) -> Result<Store, Diagnostic> {
        let directory = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = self
            .store
            .clone()
            .or_else(|| directory("OCIFY_STORE"))
            .or_else(|| directory("XDG_DATA_HOME").filter(|path| path.is_absolute()).map(|path| path.join("ocify")))
            .or_else(|| directory("HOME").map(|home| home.join(".local/share/ocify")))
            .ok_or_else(|| {
                Diagnostic::spec("there is no place for the store").help("set OCIFY_STORE or give --store DIR")
            })?;
        Store::open(&root).map_err(|error| unusable(&root, error))
    }
}

/// True where nobody looks on: most services that run builds set `CI`.
pub(super) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

fn unusable(root: &Path, error: StoreError) -> Diagnostic {
    Diagnostic::failure(format!("the store at {} cannot be used", root.display())).caused_by(error)
}

/// The workspace around the working directory, and the package that the directory is.
pub(super) fn workspace() -> Result<(Workspace, WorkspacePath), Diagnostic> {
    let here = env::current_dir()
        .map_err(|error| Diagnostic::failure("the working directory cannot be read").caused_by(error))?;
    let workspace = Workspace::find(&here)?;
    let package = workspace.package_of(&here)?;
    Ok((workspace, package))
}
