//! Where passwords and tokens for registries come from.

use std::io;
use std::path::{Path, PathBuf};

use super::docker_config::{self, DockerConfig, server_key};
use super::helper;
use super::secret::Secret;

/// The user name that says that the password is an identity token.
const TOKEN_USER: &str = "<token>";

/// What a person proves with who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    Password {
        user: String,
        password: Secret,
    },
    /// A refresh token of OAuth2: the token server gives tokens for it, the registry itself does not take it.
    IdentityToken(Secret),
}

impl Credential {
    /// The credential of a user name and a secret.
    pub fn of(user: String, secret: Secret) -> Self {
        if user == TOKEN_USER {
            Credential::IdentityToken(secret)
        } else {
            Credential::Password { user, password: secret }
        }
    }

    /// User name and secret, as helpers have them.
    pub(super) fn parts(&self) -> (&str, &Secret) {
        match self {
            Credential::Password { user, password } => (user, password),
            Credential::IdentityToken(token) => (TOKEN_USER, token),
        }
    }
}

/// A credential, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCredential {
    pub credential: Credential,
    /// For messages, as `~/.docker/config.json`.
    pub source: String,
}

/// Where credentials are looked for.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    files: Vec<PathBuf>,
    given: Option<(String, Credential)>,
}

/// Why credentials cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} is not a file of credentials: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("the credential helper `docker-credential-{name}` failed: {reason}")]
    Helper { name: String, reason: String },
    #[error("there is no place for credentials")]
    NoPlace,
}

impl Credentials {
    /// Those of these files, the first that has some for a registry, and of the helpers that they name. New ones are
    /// written to the first. Files that do not exist are passed over.
    pub fn of_files(files: Vec<PathBuf>) -> Self {
        Credentials { files, given: None }
    }

    /// This one credential for one registry, and nothing else: to try it out.
    pub fn given(registry: &str, credential: Credential) -> Self {
        Credentials { files: Vec::new(), given: Some((registry.to_owned(), credential)) }
    }

    /// The credential for a repository of a registry.
    pub fn find(&self, registry: &str, repository: &str) -> Result<Option<FoundCredential>, CredentialError> {
        if let Some((_, credential)) = self.given.as_ref().filter(|(of, _)| of == registry) {
            return Ok(Some(FoundCredential { credential: credential.clone(), source: "this login".into() }));
        }
        for path in &self.files {
            let Some(config) = DockerConfig::read(path)? else { continue };
            if let Some(name) = config.helper(registry)
                && let Some(credential) = helper::get(name, server_key(registry))?
            {
                let source = format!("docker-credential-{name} ({})", path.display());
                return Ok(Some(FoundCredential { credential, source }));
            }
            if let Some(credential) = config.entry(path, registry, repository)? {
                return Ok(Some(FoundCredential { credential, source: path.display().to_string() }));
            }
        }
        Ok(None)
    }

    /// Keeps the credential of a registry, and says where.
    pub fn store(&self, registry: &str, credential: &Credential) -> Result<String, CredentialError> {
        let path = self.files.first().ok_or(CredentialError::NoPlace)?;
        match self.helper(path, registry)? {
            Some(name) => {
                helper::store(&name, server_key(registry), credential)?;
                Ok(format!("docker-credential-{name}"))
            }
            None => {
                docker_config::store(path, registry, credential)?;
                Ok(path.display().to_string())
            }
        }
    }

    /// Forgets the credentials of a registry in all files and helpers, and says where there were some.
    pub fn erase(&self, registry: &str) -> Result<Vec<String>, CredentialError> {
        let mut erased = Vec::new();
        for path in &self.files {
            if let Some(name) = self.helper(path, registry)?
                && helper::erase(&name, server_key(registry))?
            {
                erased.push(format!("docker-credential-{name}"));
            }
            if docker_config::erase(path, registry)? {
                erased.push(path.display().to_string());
            }
        }
        Ok(erased)
    }

    /// The places that are looked at, for messages.
    pub(super) fn places(&self) -> String {
        let places: Vec<String> = self.files.iter().map(|path| path.display().to_string()).collect();
        if places.is_empty() { "nowhere".into() } else { places.join(", ") }
    }

    fn helper(&self, path: &Path, registry: &str) -> Result<Option<String>, CredentialError> {
        Ok(DockerConfig::read(path)?.and_then(|config| config.helper(registry).map(str::to_owned)))
    }
}
