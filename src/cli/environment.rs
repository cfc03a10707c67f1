//! Where the workspace, the store, the user's settings and credentials are: the one place that looks at the process's
//! environment.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::fetch;
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::registry::{Client, Credentials, Hosts, Options, RegistryError};
use crate::sandbox::Emulators;
use crate::source::Workspace;
use crate::store::{Store, StoreError};
use crate::target::Settings;

use super::user_config;

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

    /// A client of registries, as the user's settings say, and below them those of the workspace.
    pub(super) fn registry(&self, workspace: Option<&Settings>) -> Result<Client, Diagnostic> {
        Ok(Client::new(Options::default(), self.hosts(workspace)?, self.credentials()))
    }

    /// How registries are reached: `ocify/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`, then the workspace.
    pub(super) fn hosts(&self, settings: Option<&Settings>) -> Result<Hosts, Diagnostic> {
        let mut hosts = Hosts::default();
        let directories = directory("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let user = directories.or_else(|| directory("HOME").map(|home| home.join(".config")));
        if let Some(user) = user.map(|path| path.join("ocify")) {
            let path = user.join("config.toml");
            let config = user_config::read(&path)?;
            let wrong = |error| Diagnostic::from(RegistryError::Host(error)).help(format!("see {}", path.display()));
            hosts.add(&config.registry, &user, true).map_err(wrong)?;
        }
        if let Some(settings) = settings.filter(|settings| !settings.registry.is_empty()) {
            let (workspace, _) = workspace()?;
            let wrong = |error| Diagnostic::from(RegistryError::Host(error)).help("see `ocify.toml`");
            hosts.add(&settings.registry, workspace.root(), false).map_err(wrong)?;
        }
        Ok(hosts)
    }

    /// Where credentials are: `$REGISTRY_AUTH_FILE`, then Docker's file, then that of containers.
    pub(super) fn credentials(&self) -> Credentials {
        let docker = directory("DOCKER_CONFIG").or_else(|| directory("HOME").map(|home| home.join(".docker")));
        let files = [
            directory("REGISTRY_AUTH_FILE"),
            docker.map(|path| path.join("config.json")),
            directory("XDG_RUNTIME_DIR").map(|path| path.join("containers/auth.json")),
        ];
        Credentials::of_files(files.into_iter().flatten().collect())
    }
}

/// A path that a variable of the environment names.
fn directory(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// What the variable holds in which a person keeps a secret.
pub(super) fn secret(name: &str) -> Option<Vec<u8>> {
    env::var_os(name).map(OsString::into_vec)
}

/// The socket of the person's ssh agent.
pub(super) fn agent() -> Option<PathBuf> {
    directory("SSH_AUTH_SOCK")
}

/// By what right steps are to run.
pub(super) fn sandbox() -> Option<String> {
    env::var_os("OCIFY_SANDBOX").filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
}

/// What brings files and commits from elsewhere; with `offline` only those of the workspace.
pub(super) fn fetcher(offline: bool) -> fetch::Client {
    let variables = fetch::GIT_VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), env::var_os(name)?)));
    let options = fetch::Options { offline, ..fetch::Options::default() };
    fetch::Client::new(options).with_git_variables(variables.collect())
}

/// True where nobody looks on: most services that run builds set `CI`.
pub(super) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// What kind of terminal the person has.
pub(super) fn terminal_kind() -> Option<String> {
    env::var_os("TERM").and_then(|kind| kind.into_string().ok()).filter(|kind| !kind.is_empty())
}

/// The platform on which this runs, for commands that bring something for a person here. What is built does not depend on
/// it.
pub(super) fn machine_platform() -> Platform {
    Platform::new("linux", env::consts::ARCH, None)
}

/// Emulators for steps of other platforms: those in `PATH`.
pub(super) fn emulators() -> Emulators {
    Emulators::new(machine_platform(), &env::var_os("PATH").unwrap_or_default())
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
