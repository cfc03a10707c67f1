//! How registries are reached: scheme, mirrors, certificate authorities.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ureq::http::Uri;

use crate::http::{is_loopback, parse_url};
use crate::oci::Reference;
use crate::target::RegistrySettings;

use super::error::Withheld;

/// Docker's registry in names, and the host that serves it.
pub(super) const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Settings of registries, those of the user above those of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    hosts: BTreeMap<String, Host>,
}

#[derive(Clone, Debug, Default)]
struct Host {
    insecure: Option<Said<bool>>,
    mirrors: Vec<String>,
    authorities: Option<Said<PathBuf>>,
}

#[derive(Clone, Debug)]
struct Said<T> {
    value: T,
    /// By the user, not only by the workspace: credentials rely on it.
    trusted: bool,
}

/// A place that speaks the distribution API for a registry: the registry itself, or a mirror of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// What credentials are looked up for, and what messages call it: `host` or `host:port`.
    pub name: String,
    /// Scheme and authority.
    pub origin: Uri,
    /// Path that a mirror puts before those of repositories; empty, or ends with `/`.
    pub prefix: String,
    /// Why no credentials are sent here, if that is so.
    pub withheld: Option<Withheld>,
    /// File of certificate authorities beside the system's.
    pub authorities: Option<PathBuf>,
}

/// Why a registry cannot be reached as its settings say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("`{name}` is not a registry: it should be `host` or `host:port`")]
    Name { name: String },
    #[error("`{mirror}`, a mirror of {registry}, should be `host`, `host:port`, or one of them and a path")]
    Mirror { registry: String, mirror: String },
}

impl Hosts {
    /// Adds settings to those that are there; of each key the one that is there stays, so the user's settings come
    /// first. Relative paths are below `directory`. Settings of which `trusted` is false cannot have credentials travel
    /// in the clear, or to whoever has a certificate of their authorities; nor do they call a registry insecure for which
    /// there are authorities.
    ///
    /// # Errors
    /// The name of a registry or of a mirror that is none.
    pub fn add(
        &mut self,
        settings: &BTreeMap<String, RegistrySettings>,
        directory: &Path,
        trusted: bool,
    ) -> Result<(), HostError> {
        for (name, added) in settings {
            let registry = registry_name(name).ok_or_else(|| HostError::Name { name: name.clone() })?;
            if let Some(mirror) = added.mirrors.iter().find(|mirror| mirror_parts(mirror).is_none()) {
                return Err(HostError::Mirror { registry, mirror: mirror.clone() });
            }
            let host = self.hosts.entry(registry).or_default();
            if host.insecure.is_none() && (trusted || host.authorities.is_none()) {
                host.insecure = added.insecure.map(|value| Said { value, trusted });
            }
            if host.mirrors.is_empty() {
                host.mirrors.clone_from(&added.mirrors);
            }
            if host.authorities.is_none() {
                host.authorities = added.ca.as_ref().map(|path| Said { value: directory.join(path), trusted });
            }
        }
        Ok(())
    }

    /// Where a registry itself is reached: for all that changes it.
    pub(super) fn endpoint(&self, registry: &str) -> Result<Endpoint, HostError> {
        self.reached(registry, registry, String::new())
    }

    /// Where a registry can be read, in the order of trial: its mirrors, then itself.
    pub(super) fn readable(&self, registry: &str) -> Result<Vec<Endpoint>, HostError> {
        let mirrors = self.hosts.get(registry).map_or(&[][..], |host| &host.mirrors);
        let mut seen = BTreeSet::new();
        let mirrors = mirrors.iter().filter(|mirror| seen.insert(mirror.as_str()));
        let mirrors = mirrors.map(|mirror| {
            let (host, prefix) = mirror_parts(mirror)
                .ok_or_else(|| HostError::Mirror { registry: registry.to_owned(), mirror: mirror.clone() })?;
            self.reached(registry, &host, prefix)
        });
        mirrors.chain([self.endpoint(registry)]).collect()
    }

    fn reached(&self, registry: &str, name: &str, prefix: String) -> Result<Endpoint, HostError> {
        let none = Host::default();
        let host = self.hosts.get(name).unwrap_or(&none);
        let authority = if name == DOCKER_HUB { DOCKER_HUB_HOST } else { name };
        let fail = |_| match registry == name {
            true => HostError::Name { name: name.to_owned() },
            false => HostError::Mirror { registry: registry.to_owned(), mirror: name.to_owned() },
        };
        let encrypted = parse_url(&format!("https://{authority}/")).map_err(fail)?;
        let loopback = is_loopback(&encrypted);
        // Docker tries both on loopback, which costs a request and a guess; a registry there that has a certificate has
        // one of a private authority, which must be named anyway.
        let insecure = host.insecure.as_ref().map(|said| said.value);
        let plain = insecure.unwrap_or(loopback && host.authorities.is_none());
        let origin = if plain { parse_url(&format!("http://{authority}/")).map_err(fail)? } else { encrypted };
        let untrusted = |is_trusted: Option<bool>| is_trusted == Some(false);
        let withheld = if plain {
            (!loopback && untrusted(host.insecure.as_ref().map(|said| said.trusted))).then_some(Withheld::InTheClear)
        } else {
            untrusted(host.authorities.as_ref().map(|said| said.trusted)).then_some(Withheld::Unproven)
        };
        let authorities = host.authorities.as_ref().map(|said| said.value.clone());
        Ok(Endpoint { name: name.to_owned(), origin, prefix, withheld, authorities })
    }
}

impl Endpoint {
    /// True if what is said here can be read on the way.
    pub fn is_plain(&self) -> bool {
        self.origin.scheme_str() == Some("http")
    }

    /// The URL of `rest` below the repository `path`, as `https://host/v2/PATH/REST`.
    pub fn url(&self, path: &str, rest: &str) -> String {
        format!("{}v2/{}{path}/{rest}", self.origin, self.prefix)
    }

    /// The repository's path here.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

/// The name of a registry as [`Repository`](crate::oci::Repository) has it: the names of Docker's are one. `None` if it
/// is none.
pub fn registry_name(name: &str) -> Option<String> {
    let host = match name {
        "index.docker.io" | DOCKER_HUB_HOST => DOCKER_HUB,
        host => host,
    };
    let reference: Reference = format!("{host}/x").parse().ok()?;
    (reference.host.as_deref() == Some(host)).then(|| host.to_owned())
}

fn mirror_parts(mirror: &str) -> Option<(String, String)> {
    let (host, path) = mirror.trim_end_matches('/').split_once('/').unwrap_or((mirror.trim_end_matches('/'), ""));
    let host = registry_name(host)?;
    if path.is_empty() {
        return Some((host, String::new()));
    }
    let reference: Reference = format!("{host}/{path}").parse().ok()?;
    (reference.tag.is_none() && reference.digest.is_none()).then(|| (host, format!("{path}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(
        name: &str,
        insecure: Option<bool>,
        mirrors: &[&str],
        ca: Option<&str>,
    ) -> BTreeMap<String, RegistrySettings> {
        let mirrors = mirrors.iter().map(|&mirror| mirror.to_owned()).collect();
        BTreeMap::from([(name.to_owned(), RegistrySettings { insecure, mirrors, ca: ca.map(str::to_owned) })])
    }

    #[test]
    fn only_loopback_is_plain_unless_the_settings_say_so() {
        let mut hosts = Hosts::default();
        hosts.add(&settings("localhost:5001", None, &[], Some("ca.pem")), Path::new("/w"), true).unwrap();
        hosts.add(&settings("127.0.0.2", Some(false), &[], None), Path::new("/w"), false).unwrap();
        hosts.add(&settings("lan.example:5000", Some(true), &[], None), Path::new("/w"), true).unwrap();
        for (name, origin) in [
            ("docker.io", "https://registry-1.docker.io/"),
            ("ghcr.io", "https://ghcr.io/"),
            ("localhost:5000", "http://localhost:5000/"),
            ("localhost:5001", "https://localhost:5001/"),
            ("127.0.0.2", "https://127.0.0.2/"),
            ("[::1]:5000", "http://[::1]:5000/"),
            ("lan.example:5000", "http://lan.example:5000/"),
        ] {
            let endpoint = hosts.endpoint(name).unwrap();
            assert_eq!(endpoint.origin.to_string(), origin);
            assert_eq!(endpoint.withheld, None, "{name}");
        }
        let authorities = hosts.endpoint("localhost:5001").unwrap().authorities;
        assert_eq!(authorities.as_deref(), Some(Path::new("/w/ca.pem")));
    }

    #[test]
    fn a_workspace_cannot_have_credentials_travel_in_the_clear() {
        let mut hosts = Hosts::default();
        hosts.add(&settings("ghcr.io", Some(true), &[], None), Path::new("/w"), false).unwrap();
        let endpoint = hosts.endpoint("ghcr.io").unwrap();
        assert_eq!((endpoint.is_plain(), endpoint.withheld), (true, Some(Withheld::InTheClear)));

        let mut hosts = Hosts::default();
        hosts.add(&settings("ghcr.io", Some(false), &[], None), Path::new("/u"), true).unwrap();
        hosts.add(&settings("ghcr.io", Some(true), &["m.example"], None), Path::new("/w"), false).unwrap();
        assert!(!hosts.endpoint("ghcr.io").unwrap().is_plain());
        assert_eq!(hosts.readable("ghcr.io").unwrap()[0].name, "m.example");
    }

    #[test]
    fn the_authorities_of_a_workspace_do_not_get_credentials() {
        let of = |user: Option<RegistrySettings>| {
            let mut hosts = Hosts::default();
            let user = user.map(|user| BTreeMap::from([("a.example".to_owned(), user)]));
            hosts.add(&user.unwrap_or_default(), Path::new("/u"), true).unwrap();
            hosts.add(&settings("a.example", Some(true), &[], Some("ca.pem")), Path::new("/w"), false).unwrap();
            hosts.endpoint("a.example").unwrap()
        };
        assert_eq!(of(None).withheld, Some(Withheld::InTheClear));
        let encrypted = RegistrySettings { insecure: Some(false), ..RegistrySettings::default() };
        assert_eq!(of(Some(encrypted)).withheld, Some(Withheld::Unproven));
        // Nor does a workspace do away with those of the user.
        let own = of(Some(RegistrySettings { ca: Some("ca.pem".into()), ..RegistrySettings::default() }));
        assert_eq!((own.is_plain(), own.withheld, own.authorities), (false, None, Some("/u/ca.pem".into())));
    }

    #[test]
    fn mirrors_come_before_the_registry() {
        let mut hosts = Hosts::default();
        let mirrors = ["m.example/hub", "localhost:5000", "m.example/hub"];
        hosts.add(&settings("index.docker.io", None, &mirrors, None), Path::new("/"), true).unwrap();
        let urls: Vec<String> =
            hosts.readable("docker.io").unwrap().iter().map(|host| host.url("library/nginx", "tags/list")).collect();
        assert_eq!(
            urls,
            [
                "https://m.example/v2/hub/library/nginx/tags/list",
                "http://localhost:5000/v2/library/nginx/tags/list",
                "https://registry-1.docker.io/v2/library/nginx/tags/list",
            ]
        );
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let mut hosts = Hosts::default();
        for name in ["https://ghcr.io", "ghcr.io/a", "a b", "", "me@ghcr.io", "ghcr.io:x"] {
            assert!(hosts.add(&settings(name, None, &[], None), Path::new("/"), true).is_err(), "{name}");
        }
        for mirror in ["https://m.example", "m.example/a:1", "m.example/../x", "", "me:pw@m.example"] {
            assert!(hosts.add(&settings("a.b", None, &[mirror], None), Path::new("/"), true).is_err(), "{mirror}");
        }
    }
}
