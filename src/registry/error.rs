//! Why a registry did not do what it was asked.

use std::io;
use std::path::PathBuf;

use serde::Deserialize;

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::http::{self, Again, Refusal};
use crate::image::document::DocumentError;
use crate::oci::ReferenceError;
use crate::oci::Repository;
use crate::store::StoreError;

use super::credentials::CredentialError;
use super::hosts::HostError;
use super::manifest::ManifestName;
use super::secret::{Secret, one_line};

/// Why a request failed. `request` is method and URL, without query; no credential is in any of it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{registry} cannot be asked without network")]
    Offline { registry: String },
    #[error(transparent)]
    Denied(#[from] Box<Denied>),
    #[error("{request}: {failure}{}", after_colon(.said.as_deref()))]
    Http {
        request: String,
        failure: http::Failure,
        /// What the registry says about it.
        said: Option<String>,
    },
    #[error("{registry} has no {what}")]
    NotFound { registry: String, what: String },
    #[error("{request}: wrong digest: expected {expected}, found {found}")]
    WrongDigest { request: String, expected: Digest, found: Digest },
    #[error("{request}: {found} bytes instead of {expected}")]
    WrongSize { request: String, expected: u64, found: u64 },
    #[error("{request}: more than {limit} bytes")]
    TooLarge { request: String, limit: u64 },
    #[error("{request}: {problem}")]
    Document { request: String, problem: DocumentError },
    #[error("{request}: {reason}")]
    Malformed { request: String, reason: String },
    #[error("the token server `{realm}`, to which {registry} sends, is not asked: {reason}")]
    Realm { registry: String, realm: String, reason: &'static str },
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Name(#[from] ReferenceError),
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error("{}, the certificate authorities of {registry}, cannot be used: {reason}", path.display())]
    Authorities { registry: String, path: PathBuf, reason: String },
    #[error("cannot use the store")]
    Store(#[from] StoreError),
    #[error("cannot write to the store")]
    Write { source: io::Error },
    #[error("the store does not have {digest}, which is to be uploaded")]
    Missing { digest: Digest },
    #[error("{registry} cannot be read, nor any mirror of it:{}", listed(.failures))]
    Everywhere { registry: String, failures: Vec<(String, RegistryError)> },
}

/// An authentication that failed.
#[derive(Debug, thiserror::Error)]
#[error("{registry} denies access{}, {proof} ({status}){}", to(.scopes), after_colon(.said.as_deref()))]
pub struct Denied {
    pub registry: String,
    /// Scopes of distribution's token specification, as `repository:shop/web:pull`.
    pub scopes: Vec<String>,
    pub proof: Proof,
    /// The HTTP status.
    pub status: u16,
    /// What the registry or its token server says about it.
    pub said: Option<String>,
}

/// With what access was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Proof {
    /// The places where credentials were looked for.
    #[error("without credentials: none were found in {0}")]
    NotFound(String),
    /// Where the credentials come from.
    #[error("with the credentials of {0}")]
    Found(String),
    /// Where the credentials come from, and why they were not sent.
    #[error("without credentials: those of {0} are not sent {1}")]
    Withheld(String, Withheld),
    #[error("and did not ask for credentials")]
    NotAsked,
}

/// Why credentials are not sent that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// They could be read on the way, and only the workspace says that this is fine.
    #[error("in the clear")]
    InTheClear,
    /// Certificate authorities of the workspace say who the registry is.
    #[error("to a registry that only certificates of the workspace vouch for")]
    Unproven,
}

impl RegistryError {
    /// That there is no such manifest.
    pub fn not_found(repository: &Repository, name: &ManifestName) -> Self {
        let separator = if matches!(name, ManifestName::Tag(_)) { ':' } else { '@' };
        let what = format!("{}{separator}{name}", repository.path);
        RegistryError::NotFound { registry: repository.registry.clone(), what }
    }

    /// What a person can do about it, if that is more than the message says.
    pub fn help(&self) -> Option<String> {
        match self {
            RegistryError::Offline { .. } => Some("run it with network; what the store has needs none".into()),
            RegistryError::Denied(denied) => Some(denied.help()),
            RegistryError::Http { failure, .. } => match failure {
                http::Failure::Status(429) => {
                    Some("the registry limits how often it is asked: wait, or log in with `ocify login`".into())
                }
                http::Failure::Status(405) => Some("the registry does not allow this".into()),
                _ => None,
            },
            RegistryError::NotFound { .. } => {
                Some("check the name; registries also hide what needs credentials: `ocify login` stores them".into())
            }
            RegistryError::Realm { .. } => {
                Some("log in to a registry only if you trust it, and whom it sends its clients to".into())
            }
            RegistryError::Host(_) => {
                Some("names of registries are like `ghcr.io` and `localhost:5000`, without `https://`".into())
            }
            RegistryError::Credentials(CredentialError::Helper { name, .. }) => Some(format!(
                "`docker-credential-{name}` is named in `credsStore` or `credHelpers`; install it, or remove it there"
            )),
            RegistryError::Credentials(CredentialError::NoPlace) => Some("set DOCKER_CONFIG or HOME".into()),
            RegistryError::Authorities { .. } => {
                Some("`ca` of the registry's settings is a file with certificates in the PEM form".into())
            }
            RegistryError::Missing { .. } => Some("build or pull the image again".into()),
            RegistryError::Everywhere { failures, .. } => failures.iter().rev().find_map(|(_, error)| error.help()),
            _ => None,
        }
    }

    /// True if a setting or a name is wrong, whatever the network does.
    pub fn is_spec_error(&self) -> bool {
        matches!(self, RegistryError::Host(_) | RegistryError::Name(_))
    }
}

impl Denied {
    fn help(&self) -> String {
        let registry = &self.registry;
        match &self.proof {
            Proof::Withheld(_, Withheld::InTheClear) => format!(
                "credentials go over plain http only where your own `~/.config/ocify/config.toml` says so: \
                 `[registry.\"{registry}\"]`, `insecure = true`"
            ),
            Proof::Withheld(_, Withheld::Unproven) => format!(
                "if you trust this `ca`, say so in your own `~/.config/ocify/config.toml`: \
                 `[registry.\"{registry}\"]`, `ca = \"FILE\"`"
            ),
            Proof::Found(_) => format!("these credentials may not do this; `ocify login {registry}` stores others"),
            Proof::NotFound(_) | Proof::NotAsked => format!("`ocify login {registry}` stores credentials"),
        }
    }
}

impl From<RegistryError> for Diagnostic {
    fn from(error: RegistryError) -> Self {
        let message = error.to_string();
        let diagnostic = if error.is_spec_error() { Diagnostic::spec(message) } else { Diagnostic::failure(message) };
        let diagnostic = match error.help() {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        };
        match error {
            RegistryError::Store(error) => diagnostic.caused_by(error),
            RegistryError::Write { source } => diagnostic.caused_by(source),
            _ => diagnostic,
        }
    }
}

/// A failed attempt, and whether another may mend it.
#[derive(Debug)]
pub(super) struct Failed {
    pub error: RegistryError,
    pub again: Again,
}

impl Failed {
    pub fn of(request: &str, refusal: Refusal) -> Self {
        let error = RegistryError::Http { request: request.to_owned(), failure: refusal.failure, said: None };
        Failed { error, again: refusal.again }
    }
}

impl<E: Into<RegistryError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed { error: error.into(), again: Again::Never }
    }
}

/// What the body of an error says (distribution-spec, "Error Codes"; token servers say `details`, or what OAuth2 has),
/// without what it was sent with.
pub(super) fn said(body: &[u8], secrets: &[Secret]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        errors: Vec<Entry>,
        details: Option<String>,
        error_description: Option<String>,
        message: Option<String>,
    }
    #[derive(Deserialize)]
    struct Entry {
        code: Option<String>,
        message: Option<String>,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let entries = body.errors.iter().map(|entry| {
        let words =
            [entry.code.as_deref(), entry.message.as_deref()].into_iter().flatten().filter(|text| !text.is_empty());
        words.collect::<Vec<_>>().join(": ")
    });
    let listed = entries.filter(|text| !text.is_empty()).take(3).collect::<Vec<_>>().join("; ");
    let said =
        Some(listed).filter(|text| !text.is_empty()).or(body.details).or(body.error_description).or(body.message);
    // First the secrets, then the length: of one at the end half would be left otherwise.
    let without = |text| secrets.iter().fold(text, |text: String, secret| secret.redacted(&text));
    said.map(|text| one_line(&without(text))).filter(|text| !text.is_empty())
}

fn after_colon(said: Option<&str>) -> String {
    said.map(|said| format!(": {said}")).unwrap_or_default()
}

fn to(scopes: &[String]) -> String {
    if scopes.is_empty() { String::new() } else { format!(" to {}", scopes.join(" and ")) }
}

fn listed(failures: &[(String, RegistryError)]) -> String {
    failures.iter().map(|(name, error)| format!("\n  {name}: {error}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_registries_say_is_one_line() {
        let body =
            br#"{"errors": [{"code": "DENIED", "message": "not\n\u001b[31myours", "detail": {}}, {"code": "X"}]}"#;
        assert_eq!(said(body, &[]).as_deref(), Some("DENIED: not [31myours; X"));
        assert_eq!(said(br#"{"details": "incorrect username"}"#, &[]).as_deref(), Some("incorrect username"));
        assert_eq!(said(b"<html>", &[]), None);
        assert_eq!(said(b"{}", &[]), None);
    }

    #[test]
    fn a_secret_that_is_too_far_behind_to_be_shown_is_not_shown_in_part() {
        let secret = Secret::new("hun ter2/x");
        for form in ["hun ter2/x", "hun%20ter2/x", "aHVuIHRlcjIveA=="] {
            for before in 380..=400 {
                let body = format!(r#"{{"message": "{}{form}"}}"#, "x".repeat(before));
                let said = said(body.as_bytes(), std::slice::from_ref(&secret)).unwrap();
                assert!(said.trim_matches(['x', '.']).is_empty(), "{said}");
            }
        }
    }

    #[test]
    fn a_denial_says_who_what_and_with_which_credentials() {
        let denied = Denied {
            registry: "r.example".into(),
            scopes: vec!["repository:shop/web:pull".into()],
            proof: Proof::Found("/home/me/.docker/config.json".into()),
            status: 401,
            said: Some("UNAUTHORIZED".into()),
        };
        let error = RegistryError::from(Box::new(denied));
        assert_eq!(
            error.to_string(),
            "r.example denies access to repository:shop/web:pull, with the credentials of /home/me/.docker/config.json \
             (401): UNAUTHORIZED"
        );
        assert!(error.help().unwrap().contains("ocify login r.example"));
    }
}
