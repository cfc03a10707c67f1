//! Files of credentials: Docker's `config.json`, and `auth.json` of containers, which has the same form.
//!
//! Of what is in them only the credentials are read; all other keys stay as they are.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::scratch::Scratch;

use super::credentials::{Credential, CredentialError};
use super::hosts::DOCKER_HUB;
use super::secret::Secret;
use super::small_file;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// Under which Docker keeps the credentials of its own registry.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The credentials part of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DockerConfig {
    auths: Option<BTreeMap<String, Entry>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, String>>,
}

/// One entry of `auths`.
#[derive(Clone, Debug, Default, Deserialize)]
struct Entry {
    /// `user:password` in base64.
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
}

impl DockerConfig {
    /// Reads a file; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, CredentialError> {
        let Some(bytes) = read(path)? else { return Ok(None) };
        parse(path, &bytes).map(Some)
    }

    /// The helper that keeps the credentials of a registry.
    pub fn helper(&self, registry: &str) -> Option<&str> {
        let helpers = self.cred_helpers.iter().flatten();
        let own = helpers.filter(|(key, _)| normalised(key) == registry).map(|(_, helper)| helper).next();
        own.or(self.creds_store.as_ref()).map(String::as_str).filter(|helper| !helper.is_empty())
    }

    /// The credentials of `auths` for a repository: those of the longest path that leads to it, then those of the
    /// registry.
    pub fn entry(&self, path: &Path, registry: &str, repository: &str) -> Result<Option<Credential>, CredentialError> {
        let whole = format!("{registry}/{repository}");
        let mut wanted = whole.trim_end_matches('/');
        loop {
            let entries = self.auths.iter().flatten().filter(|(key, _)| normalised(key) == wanted);
            for (key, entry) in entries {
                if let Some(credential) =
                    entry.credential().map_err(|reason| invalid(path, format!("`auths` of `{key}`: {reason}")))?
                {
                    return Ok(Some(credential));
                }
            }
            match wanted.rsplit_once('/') {
                Some((shorter, _)) => wanted = shorter,
                None => return Ok(None),
            }
        }
    }
}

impl Entry {
    /// `None` for an empty entry, which is what Docker leaves where a helper has the credentials.
    fn credential(&self) -> Result<Option<Credential>, &'static str> {
        let (mut user, mut password) = (self.username.clone().unwrap_or_default(), self.password.clone());
        if let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) {
            let decoded = STANDARD.decode(auth.reveal().trim()).map_err(|_| "`auth` is not base64")?;
            let decoded = String::from_utf8(decoded).map_err(|_| "`auth` is not UTF-8")?;
            let (name, secret) = decoded.split_once(':').ok_or("`auth` has no `:` between user and password")?;
            // Old versions of Docker padded with zeros.
            (user, password) = (name.to_owned(), Some(Secret::new(secret.trim_end_matches('\0'))));
        }
        if let Some(token) = self.identitytoken.clone().filter(|token| !token.is_empty()) {
            return Ok(Some(Credential::IdentityToken(token)));
        }
        Ok(password.filter(|_| !user.is_empty()).map(|password| Credential::of(user, password)))
    }
}

/// What a helper is asked for, and a file's entry is called.
pub(super) fn server_key(registry: &str) -> &str {
    if registry == DOCKER_HUB { DOCKER_HUB_KEY } else { registry }
}

/// Writes the credentials of a registry to a file, made if there is none; everything else in it stays.
pub(super) fn store(path: &Path, registry: &str, credential: &Credential) -> Result<(), CredentialError> {
    let entry = match credential {
        Credential::Password { user, password } => {
            let auth = STANDARD.encode(format!("{user}:{}", password.reveal()));
            Value::Object(Map::from_iter([("auth".to_owned(), Value::String(auth))]))
        }
        Credential::IdentityToken(token) => {
            let token = Value::String(token.reveal().to_owned());
            Value::Object(Map::from_iter([("identitytoken".to_owned(), token)]))
        }
    };
    change(path, |auths| {
        auths.retain(|key, _| normalised(key) != registry);
        auths.insert(server_key(registry).to_owned(), entry);
        true
    })
    .map(drop)
}

/// Removes the credentials of a registry from a file; false if it has none.
pub(super) fn erase(path: &Path, registry: &str) -> Result<bool, CredentialError> {
    if DockerConfig::read(path)?.is_none() {
        return Ok(false);
    }
    change(path, |auths| {
        let before = auths.len();
        auths.retain(|key, _| normalised(key) != registry);
        auths.len() < before
    })
}

/// Changes `auths` of a file; `change` says whether it did anything.
fn change(path: &Path, change: impl FnOnce(&mut Map<String, Value>) -> bool) -> Result<bool, CredentialError> {
    let write_failed = |source| CredentialError::Write { path: path.to_owned(), source };
    let file = followed(path);
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(write_failed)?;
    let changing = File::open(directory).map_err(write_failed)?;
    // Whoever changes the file at the same time would undo this. Not every file system has locks; then it is as before.
    let _ = changing.lock();
    let mut document = match read(path)? {
        Some(bytes) => parse(path, &bytes)?,
        None => Map::new(),
    };
    let auths = document.entry("auths").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(auths) = auths else { return Err(invalid(path, "`auths` is not an object".into())) };
    if !change(auths) {
        return Ok(false);
    }
    let text = format!("{:#}\n", Value::Object(document));
    replace(&file, directory, text.as_bytes()).map_err(write_failed)?;
    Ok(true)
}

/// The file behind symbolic links: it is to be replaced, and they stay. It need not be there.
fn followed(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| match (fs::read_link(path), path.parent()) {
        (Ok(link), Some(parent)) => parent.join(link),
        _ => path.to_owned(),
    })
}

/// Replaces a file of `directory` at once, readable by its owner only.
fn replace(path: &Path, directory: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let make = || tempfile::Builder::new().prefix(".ocify").tempfile_in(directory);
    let (mut file, _listed) = Scratch::listed(make, tempfile::NamedTempFile::path)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// A key of `auths` or `credHelpers` as `host` or `host/path`: Docker's keys may be URLs.
fn normalised(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    match key {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        key => key,
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, CredentialError> {
    let fail = |source| CredentialError::Read { path: path.to_owned(), source };
    if path == Path::new("/dev/null") {
        // That is how people say that there are none.
        return Ok(None);
    }
    match small_file::read(path, LARGEST) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        // A home directory that this user may not look into, as after `su` without a login, is somebody else's.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && fs::symlink_metadata(path).is_err() => {
            Ok(None)
        }
        bytes => bytes.map(Some).map_err(fail),
    }
}

/// The parser's own message may quote a value, so only the place is told. An empty file is an empty document.
fn parse<T: for<'de> Deserialize<'de>>(path: &Path, bytes: &[u8]) -> Result<T, CredentialError> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| {
        let problem = if error.is_data() { "another type is expected" } else { "it is not JSON" };
        invalid(path, format!("{problem}, line {} column {}", error.line(), error.column()))
    })
}

fn invalid(path: &Path, reason: String) -> CredentialError {
    CredentialError::File { path: PathBuf::from(path), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, registry: &str, repository: &str) -> Option<(String, String)> {
        let path = Path::new("config.json");
        let config: DockerConfig = parse(path, text.as_bytes()).unwrap();
        match config.entry(path, registry, repository).unwrap()? {
            Credential::Password { user, password } => Some((user, password.reveal().to_owned())),
            Credential::IdentityToken(token) => Some(("<token>".into(), token.reveal().to_owned())),
        }
    }

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn entries_are_found_under_every_form_of_key() {
        // me:pw
        for key in ["r.example:5000", "https://r.example:5000", "http://r.example:5000/v1/", "r.example:5000/v2/"] {
            let text = format!(r#"{{"auths": {{"other": {{}}, "{key}": {{"auth": "bWU6cHc="}}}}, "detachKeys": "x"}}"#);
            assert_eq!(find(&text, "r.example:5000", "a/b"), pair("me", "pw"), "{key}");
            assert_eq!(find(&text, "r.example", "a/b"), None, "{key}");
        }
        for key in ["docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"] {
            let text = format!(r#"{{"auths": {{"{key}": {{"username": "me", "password": "a:b"}}}}}}"#);
            assert_eq!(find(&text, "docker.io", "library/x"), pair("me", "a:b"), "{key}");
        }
    }

    #[test]
    fn the_longest_path_wins() {
        let text = r#"{"auths": {
            "r.example": {"username": "host", "password": "1"},
            "r.example/a": {"username": "a", "password": "2"},
            "r.example/a/b": {"username": "b", "password": "3"},
            "r.example/c": {}
        }}"#;
        assert_eq!(find(text, "r.example", "a/b/x"), pair("b", "3"));
        assert_eq!(find(text, "r.example", "a/bc"), pair("a", "2"));
        assert_eq!(find(text, "r.example", "c/d"), pair("host", "1"));
        assert_eq!(find(text, "r.example", ""), pair("host", "1"));
    }

    #[test]
    fn identity_tokens_and_colons_in_passwords() {
        let text = r#"{"auths": {"r": {"auth": "bWU6eA==", "identitytoken": "t"}, "s": {"auth": "bWU6YTpi"}}}"#;
        assert_eq!(find(text, "r", "a"), pair("<token>", "t"));
        assert_eq!(find(text, "s", "a"), pair("me", "a:b"));
        let text = r#"{"auths": {"r": {"username": "<token>", "password": "t"}}}"#;
        assert_eq!(find(text, "r", "a"), pair("<token>", "t"));
    }

    #[test]
    fn helpers_of_a_registry_come_before_the_store() {
        let text = r#"{"credsStore": "desktop", "credHelpers": {"https://gcr.io": "gcloud"}, "auths": null}"#;
        let config: DockerConfig = parse(Path::new("c"), text.as_bytes()).unwrap();
        assert_eq!(config.helper("gcr.io"), Some("gcloud"));
        assert_eq!(config.helper("r.example"), Some("desktop"));
    }

    #[test]
    fn a_broken_file_is_named_and_not_quoted() {
        for text in [
            r#"{"auths": {"r": "hunter2"}}"#,
            r#"{"auths": {"r": {"auth": "aHVudGVyMg=="}}}"#,
            r#"{"auths": {"r": {"auth": "hunter2!"}}}"#,
            "hunter2",
        ] {
            let path = Path::new("/home/me/config.json");
            let error = parse::<DockerConfig>(path, text.as_bytes()).and_then(|config| config.entry(path, "r", "a"));
            let error = error.unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("/home/me/config.json"), "{shown}");
            assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
        }
    }

    #[test]
    fn login_and_logout_keep_what_they_do_not_know() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker/config.json");
        let credential = Credential::of("me".into(), Secret::new("pw"));
        store(&path, "docker.io", &credential).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().matches("https://index.docker.io/v1/").count(), 1);

        fs::write(&path, r#"{"auths": {"docker.io": {}, "r": {"auth": "x"}}, "psFormat": "y"}"#).unwrap();
        store(&path, "docker.io", &credential).unwrap();
        let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let expected = serde_json::json!({
            "auths": {"https://index.docker.io/v1/": {"auth": "bWU6cHc="}, "r": {"auth": "x"}}, "psFormat": "y",
        });
        assert_eq!(document, expected);

        assert!(erase(&path, "docker.io").unwrap());
        assert!(!erase(&path, "docker.io").unwrap());
        assert!(!erase(&directory.path().join("none"), "r").unwrap());
        assert!(fs::read_to_string(&path).unwrap().contains("psFormat"));
    }
}
