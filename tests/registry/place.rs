//! A client and a store of their own for one test.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ocify::digest::Digest;
use ocify::http;
use ocify::oci::{Descriptor, MediaType, Repository};
use ocify::registry::{Client, Credential, Credentials, Hosts, ManifestName, Options, RegistryError, Secret};
use ocify::store::Store;
use ocify::target::RegistrySettings;
use tempfile::TempDir;

use super::server::{Server, What};

pub const PASSWORD: &str = "canary-password-hunter2";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub struct Place {
    pub directory: TempDir,
    pub store: Store,
    pub hosts: Hosts,
    pub credentials: Credentials,
    pub options: Options,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let http = http::Options {
            proxy_from_environment: false,
            idle: Duration::from_secs(5),
            total: Duration::from_secs(30),
            backoff: Duration::from_millis(1),
            retry_after: Duration::from_millis(10),
            ..http::Options::default()
        };
        let options = Options { http, whole: 1000, chunk: 400 };
        Place { directory, store, hosts: Hosts::default(), credentials: Credentials::default(), options }
    }

    pub fn client(&self) -> Client {
        Client::new(self.options.clone(), self.hosts.clone(), self.credentials.clone())
    }

    /// With the user and the password in a file.
    pub fn with_password(mut self, server: &Server, password: &str) -> Self {
        let path = self.config();
        self.credentials = Credentials::of_files(vec![path]);
        self.credentials.store(&server.host(), &Credential::of("me".into(), Secret::new(password))).unwrap();
        self
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("config.json")
    }

    pub fn settings(mut self, host: &str, settings: RegistrySettings) -> Self {
        self.hosts.add(&BTreeMap::from([(host.to_owned(), settings)]), self.directory.path(), true).unwrap();
        self
    }

    /// Puts a blob into the store.
    pub fn blob(&self, bytes: &[u8]) -> Descriptor {
        self.store.put_blob(bytes).unwrap();
        described(bytes)
    }

    pub fn download(&self, client: &Client, repository: &Repository, blob: &Descriptor) -> Result<u64, RegistryError> {
        let told = AtomicU64::new(0);
        let progress = |bytes| {
            told.fetch_add(bytes, Ordering::Relaxed);
        };
        client.download(repository, blob, &self.store, &progress)?;
        Ok(told.into_inner())
    }

    #[track_caller]
    pub fn assert_nothing_stored(&self) {
        for directory in ["store/blobs/sha256", "store/ingest"] {
            let left = fs::read_dir(self.directory.path().join(directory)).unwrap().count();
            assert_eq!(left, 0, "{directory}");
        }
    }
}

pub fn repository(host: &str, path: &str) -> Repository {
    Repository { registry: host.to_owned(), path: path.to_owned() }
}

pub fn described(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::Other("application/octet-stream".into()), bytes)
}

pub fn tag(name: &str) -> ManifestName {
    ManifestName::Tag(name.to_owned())
}

/// Bytes that are not all the same.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Stores an image of one layer and returns its manifest.
pub fn image(server: &Server, path: &str, tag: &str) -> Vec<u8> {
    let config = server.put_blob(path, b"{}");
    let layer = server.put_blob(path, b"the layer");
    let descriptor = |kind: &str, digest: Digest, size: usize| serde_json::json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": size});
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("config.v1+json", config, 2),
        "layers": [descriptor("layer.v1.tar", layer, 9)],
    });
    let manifest = manifest.to_string().into_bytes();
    server.put_manifest(path, tag, MANIFEST, &manifest);
    manifest
}

/// The error as a person and a log would see it, without any secret in it.
#[track_caller]
pub fn shown(error: &RegistryError) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let text = format!("{error}\n{}\n{error:?}", error.help().unwrap_or_default());
    let pair = STANDARD.encode(format!("me:{PASSWORD}"));
    for secret in [PASSWORD, "canary-token", STANDARD.encode(PASSWORD).trim_end_matches('='), &pair] {
        assert!(!text.contains(secret), "{text}");
    }
    text
}

/// What a registry says that repeats what it was told.
pub fn echo(status: u16) -> What {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"));
    let message = format!("Basic {pair} {PASSWORD} are\nnot\u{1b}[31m enough");
    What::Answer(super::server::Response::error(status, "DENIED", &message))
}
