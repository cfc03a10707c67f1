//! HTTP and HTTPS: attempts, redirects, and what of a server's failures is worth another attempt.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::header::{CONTENT_LENGTH, LOCATION, RETRY_AFTER};
use ureq::http::{Response, Uri};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Timeout};

use crate::digest::Digest;
use crate::store::Store;

use super::client::{Client, Stop, commit};
use super::error::Failure;
use super::location::{redirected, shown};
use super::options::Options;
use super::resolver::PublicResolver;

/// A failed attempt that another one may mend.
#[derive(Debug)]
pub(super) struct Refusal {
    pub failure: Failure,
    /// The pause that the server asked for.
    pub pause: Option<Duration>,
}

/// What makes requests. Every setting is here and none on a request: ureq reads the certificate authorities anew for
/// a request with settings of its own.
pub(super) fn agent(options: &Options) -> Agent {
    let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(RootCerts::PlatformVerifier).build();
    let mut config = Agent::config_builder()
        .tls_config(tls)
        .user_agent(concat!("ocify/", env!("CARGO_PKG_VERSION")))
        // The digest is that of the file, not of a compressed form of it.
        .accept_encoding("identity")
        .http_status_as_error(false)
        // Redirects are followed here, where each can be judged.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_resolve(Some(options.connect))
        .timeout_connect(Some(options.connect))
        .timeout_send_request(Some(options.idle))
        .timeout_recv_response(Some(options.idle))
        .timeout_per_read(Some(options.idle))
        .timeout_per_write(Some(options.idle))
        .timeout_global(Some(options.total));
    if !options.proxy_from_environment {
        config = config.proxy(None);
    }
    Agent::with_parts(config.build(), DefaultConnector::default(), PublicResolver::default())
}

impl Client {
    /// Downloads `url` into the store, in as many attempts as it takes and the options allow.
    pub(super) fn download(&self, url: &Uri, digest: &Digest, store: &Store) -> Result<(), Stop> {
        let deadline = Instant::now() + self.options.total;
        let mut backoff = self.options.backoff;
        let mut attempt = 1;
        loop {
            let refusal = match self.attempt(url, digest, store, deadline) {
                Err(Stop::Attempt(refusal)) if attempt < self.options.attempts => refusal,
                result => return result,
            };
            let pause = refusal.pause.map_or(varied(backoff), |asked| asked.min(self.options.retry_after));
            if Instant::now() + pause >= deadline {
                return Err(Stop::Attempt(refusal));
            }
            thread::sleep(pause);
            backoff *= 2;
            attempt += 1;
        }
    }

    fn attempt(&self, url: &Uri, digest: &Digest, store: &Store, deadline: Instant) -> Result<(), Stop> {
        let response = self.follow(url)?;
        let status = response.status();
        if status.as_u16() != 200 {
            let failure = Failure::Status(status.as_u16());
            if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
                let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                return Err(Stop::Attempt(Refusal { failure, pause: asked.map(Duration::from_secs) }));
            }
            return Err(Stop::Url(failure));
        }
        let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.options.size) {
            return Err(Stop::Url(Failure::TooLarge(self.options.size)));
        }
        let body = response.into_body().into_reader();
        commit(self.copy(body, store, deadline, |error| judged(error.into()))?, digest)
    }

    /// The first response that is no redirect.
    fn follow(&self, url: &Uri) -> Result<Response<Body>, Stop> {
        let mut url = url.clone();
        for _ in 0..=self.options.redirects {
            let response = self.agent.get(&url).call().map_err(judged)?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let Some(reference) = response.headers().get(LOCATION) else { return Ok(response) };
            let reference = String::from_utf8_lossy(reference.as_bytes());
            url = redirected(&url, &reference)
                .map_err(|reason| Stop::Url(Failure::Redirect { url: shown(&reference), reason }))?;
        }
        Err(Stop::Url(Failure::TooManyRedirects(self.options.redirects)))
    }
}

/// What an error of the transport means. Connections that were refused or cut are worth another attempt; a server that
/// was silent for as long as it may be has had its chance.
fn judged(error: ureq::Error) -> Stop {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof};
    match error {
        ureq::Error::Timeout(timeout) => Stop::Url(Failure::Timeout(match timeout {
            Timeout::Resolve => "resolving the name",
            Timeout::Connect => "connecting",
            Timeout::SendRequest | Timeout::PerWrite => "sending the request",
            Timeout::RecvResponse => "waiting for the response",
            Timeout::PerRead => "waiting for data",
            _ => "the transfer",
        })),
        ureq::Error::Io(error) => {
            let again = matches!(
                error.kind(),
                ConnectionRefused | ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof
            );
            let failure = Failure::Transport(error.to_string());
            if again { Stop::Attempt(Refusal { failure, pause: None }) } else { Stop::Url(failure) }
        }
        ureq::Error::HostNotFound => Stop::Url(Failure::Transport("no such host".into())),
        ureq::Error::Other(error) => Stop::Url(Failure::Transport(error.to_string())),
        // An error may quote the URL that ureq was given; ours is shown beside it, without its query.
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Stop::Url(Failure::Transport("the URL is malformed".into())),
        error => Stop::Url(Failure::Transport(error.to_string())),
    }
}

/// `pause`, more or less by up to half, so that clients which failed together do not return together.
fn varied(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1001;
    pause / 2 + pause.mul_f64(random as f64 / 1000.0)
}
