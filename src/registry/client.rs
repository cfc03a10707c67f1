//! A client of registries: what its requests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ureq::Agent;
use ureq::http::Method;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::http;
use crate::oci::{Reference, ReferenceError, Repository};

use super::credentials::Credentials;
use super::error::RegistryError;
use super::exchange::{Exchange, Request};
use super::hosts::{Endpoint, Hosts};
use super::options::Options;
use super::small_file;
use super::token::Access;

/// Speaks the distribution API with registries. It keeps connections and tokens, so one client serves a whole command;
/// threads may share it.
#[derive(Debug)]
pub struct Client {
    pub(super) options: Options,
    pub(super) hosts: Hosts,
    pub(super) credentials: Credentials,
    pub(super) access: Access,
    /// By the file of certificate authorities that they heed beside the system's.
    agents: Mutex<BTreeMap<Option<PathBuf>, Agent>>,
}

/// What a request is allowed to do to a repository: the actions of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Pull,
    Push,
    Delete,
}

impl Client {
    /// A client; it opens no connection and no file yet.
    pub fn new(options: Options, hosts: Hosts, credentials: Credentials) -> Self {
        Client { options, hosts, credentials, access: Access::default(), agents: Mutex::default() }
    }

    /// Asks a registry whether it is one, with the credentials for it.
    ///
    /// # Errors
    /// It is none, or denies access.
    pub fn ping(&self, registry: &str) -> Result<(), RegistryError> {
        let endpoint = self.hosts.endpoint(registry)?;
        let url = format!("{}v2/", endpoint.origin);
        let exchange = self.exchange(endpoint, String::new(), Vec::new())?;
        let request = Request::new(Method::GET, &url)?;
        exchange.attempts(|_| {
            let mut response = exchange.send(&request)?;
            match response.status().as_u16() {
                200 => {
                    http::drain(&mut response);
                    Ok(())
                }
                _ => Err(exchange.unexpected(&request, response)),
            }
        })
    }

    /// Requests that change a repository, or have to be answered by the registry itself.
    pub(super) fn writing(&self, repository: &Repository, action: Action) -> Result<Exchange<'_>, RegistryError> {
        check(repository)?;
        let endpoint = self.hosts.endpoint(&repository.registry)?;
        let scopes = vec![scope(&repository.path, action)];
        self.exchange(endpoint, repository.path.clone(), scopes)
    }

    /// Reads from the mirrors of a registry in their order, then from the registry itself; `None` if none has it.
    pub(super) fn reading<T>(
        &self,
        repository: &Repository,
        read: impl Fn(&Exchange) -> Result<Option<T>, RegistryError>,
    ) -> Result<Option<T>, RegistryError> {
        check(repository)?;
        let registry = &repository.registry;
        let mut failures = Vec::new();
        let mut is_missing = false;
        for endpoint in self.hosts.readable(registry)? {
            let name = endpoint.name.clone();
            let path = endpoint.path(&repository.path);
            let scopes = vec![scope(&path, Action::Pull)];
            is_missing = false;
            match self.exchange(endpoint, path, scopes).and_then(|exchange| read(&exchange)) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => is_missing = true,
                // Another place would not help.
                Err(
                    error @ (RegistryError::Store(_) | RegistryError::Write { .. } | RegistryError::Offline { .. }),
                ) => {
                    return Err(error);
                }
                Err(error) => failures.push((name, error)),
            }
        }
        match failures.len() {
            // The registry itself came last, and its word counts.
            _ if is_missing => Ok(None),
            1 => Err(failures.remove(0).1),
            _ => Err(RegistryError::Everywhere { registry: registry.clone(), failures }),
        }
    }

    pub(super) fn exchange(
        &self,
        endpoint: Endpoint,
        repository: String,
        scopes: Vec<String>,
    ) -> Result<Exchange<'_>, RegistryError> {
        if self.options.http.offline {
            return Err(RegistryError::Offline { registry: endpoint.name });
        }
        let agent = self.agent(&endpoint)?;
        Ok(Exchange { client: self, endpoint, agent, repository, scopes })
    }

    fn agent(&self, endpoint: &Endpoint) -> Result<Agent, RegistryError> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&endpoint.authorities) {
            return Ok(agent.clone());
        }
        let roots = match &endpoint.authorities {
            None => RootCerts::PlatformVerifier,
            Some(path) => with_system_roots(path).map_err(|reason| RegistryError::Authorities {
                registry: endpoint.name.clone(),
                path: path.clone(),
                reason,
            })?,
        };
        let agent = http::agent(&self.options.http, roots);
        agents.insert(endpoint.authorities.clone(), agent.clone());
        Ok(agent)
    }
}

/// The fields of a repository are anyone's to fill; only a name that was parsed is known to have no `..` in it.
pub(super) fn check(repository: &Repository) -> Result<(), ReferenceError> {
    repository.reference().to_string().parse::<Reference>().map(drop)
}

/// The scope of an action (distribution, "Token Scope Documentation"). Who pushes also looks at what is there.
pub(super) fn scope(path: &str, action: Action) -> String {
    let actions = match action {
        Action::Pull => "pull",
        Action::Push => "pull,push",
        Action::Delete => "delete",
    };
    format!("repository:{path}:{actions}")
}

/// The largest file of certificate authorities, in bytes; all that browsers trust have a quarter of that.
const LARGEST_AUTHORITIES: u64 = 1 << 20;

/// The certificates of a file and those of the system.
fn with_system_roots(path: &Path) -> Result<RootCerts, String> {
    let text = small_file::read(path, LARGEST_AUTHORITIES).map_err(|error| error.to_string())?;
    let mut roots = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| "it is not in the PEM form")? {
            roots.push(certificate);
        }
    }
    if roots.is_empty() {
        return Err("it holds no certificate".into());
    }
    // Some systems have roots that cannot be read, beside many that can.
    let system = rustls_native_certs::load_native_certs().certs;
    roots.extend(system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()));
    Ok(roots.into())
}
