//! A registry in this process (OCI distribution spec 1.1), its token server, and a proxy that breaks another's answers.

mod api;
mod auth;
pub mod connection;
mod contents;
mod fault;
mod http;
mod message;
mod proxy;
pub mod tokens;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ocify::digest::Digest;

pub use auth::Auth;
pub use fault::{Fault, What};
pub use http::{Exchange, Listener};
pub use message::Response;
pub use proxy::Proxy;

use api::Registry;
use auth::Guard;
use contents::Contents;

/// What a registry is like.
#[derive(Clone)]
pub struct Options {
    pub auth: Auth,
    /// What anybody may pull from a registry with [`Auth::Token`]: the token server gives them tokens for that.
    pub anonymous_pull: bool,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// With the certificate of `crate::certificate`.
    pub tls: bool,
    /// The referrers API; without, 404.
    pub referrers: bool,
    /// Deletion; without, 405.
    pub delete: bool,
    /// `Range` is heeded; without, the blob is sent whole.
    pub ranges: bool,
    /// The most tags in one answer.
    pub page: usize,
    /// The `Location` of an upload has a scheme and a host.
    pub absolute_locations: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            auth: Auth::None,
            anonymous_pull: false,
            token_lifetime: Duration::from_secs(300),
            tls: false,
            referrers: true,
            delete: true,
            ranges: true,
            page: usize::MAX,
            absolute_locations: false,
        }
    }
}

impl Options {
    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// A running registry.
pub struct Server {
    listener: Listener,
    /// The server of tokens, with [`Auth::Token`].
    tokens: Option<Listener>,
    guard: Arc<Guard>,
    contents: Arc<Mutex<Contents>>,
}

impl Server {
    pub fn start(options: Options) -> Self {
        let tls = options.tls.then(crate::certificate::server_config);
        let guard = Arc::new(Guard::new(&options));
        let contents = Arc::new(Mutex::new(Contents::default()));
        let tokens = guard.token_server(&options);
        let listener = Listener::start(tls, |host| Registry::new(host, options, guard.clone(), contents.clone()));
        Server { listener, tokens, guard, contents }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.listener.host()
    }

    /// The server of tokens, for its requests and faults. Only with [`Auth::Token`].
    pub fn tokens(&self) -> &Listener {
        self.tokens.as_ref().expect("only a registry with Auth::Token has a token server")
    }

    /// No token that was given is good any more.
    pub fn revoke_tokens(&self) {
        self.guard.revoke();
    }

    /// What was asked for so far, in the order in which it arrived.
    pub fn requests(&self) -> Vec<Exchange> {
        self.listener.requests()
    }

    /// Forgets what was asked for so far.
    pub fn clear(&self) {
        self.listener.clear();
    }

    pub fn fault(&self, fault: Fault) {
        self.listener.fault(fault);
    }

    /// No more faults.
    pub fn heal(&self) {
        self.listener.heal();
    }

    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        self.contents().repository(repository).put_blob(bytes)
    }

    /// Stores a manifest as it is, unseen, by its digest and, unless `name` is one, as that tag.
    pub fn put_manifest(&self, repository: &str, name: &str, media_type: &str, bytes: &[u8]) -> Digest {
        self.contents().repository(repository).put_manifest(name, media_type, bytes)
    }

    /// The media type and the bytes of a manifest, by tag or digest.
    pub fn manifest(&self, repository: &str, name: &str) -> Option<(String, Vec<u8>)> {
        let mut contents = self.contents();
        let (_, manifest) = contents.repository(repository).manifest(name)?;
        Some((manifest.media_type.clone(), manifest.bytes.clone()))
    }

    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        self.contents().repository(repository).blobs.get(digest).cloned()
    }

    /// In order.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.contents().repository(repository).tags.keys().cloned().collect()
    }

    /// How many uploads were begun and neither finished nor cancelled.
    pub fn open_uploads(&self) -> usize {
        self.contents().uploads.len()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
