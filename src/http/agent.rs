//! What makes requests, and follows where they are sent on to.

use std::io::{self, Read};

use ureq::http::header::LOCATION;
use ureq::http::{Response, Uri};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};

use super::resolver::PublicResolver;
use super::{Failure, Options, Refusal, redirected, shown};

/// How much of a body that nobody wants is read so that its connection can serve the next request, in bytes.
const DRAINED: u64 = 64 << 10;

/// What makes requests. Every setting is here and none on a request: ureq reads the certificate authorities anew for
/// a request with settings of its own.
pub fn agent(options: &Options, roots: RootCerts) -> Agent {
    let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(roots).build();
    let mut config = Agent::config_builder()
        .tls_config(tls)
        .user_agent(concat!("ocify/", env!("CARGO_PKG_VERSION")))
        // The digest is that of the file, not of a compressed form of it.
        .accept_encoding("identity")
        .http_status_as_error(false)
        // Redirects are followed here, where each can be judged.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(CONNECTIONS)
        .max_idle_connections_per_host(CONNECTIONS)
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

/// Connections that are kept for further requests: about as many as there are threads that make them.
const CONNECTIONS: usize = 16;

/// The first response that is no redirect to a reading request, which `send` makes.
pub fn follow<E: From<Refusal>>(
    url: &Uri,
    redirects: u32,
    mut send: impl FnMut(&Uri) -> Result<Response<Body>, E>,
) -> Result<Response<Body>, E> {
    let mut url = url.clone();
    for _ in 0..=redirects {
        let mut response = send(&url)?;
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(response);
        }
        let Some(reference) = response.headers().get(LOCATION) else { return Ok(response) };
        let reference = String::from_utf8_lossy(reference.as_bytes()).into_owned();
        drain(&mut response);
        url = redirected(&url, &reference)
            .map_err(|reason| Refusal::lasting(Failure::Redirect { url: shown(&reference), reason }))?;
    }
    Err(Refusal::lasting(Failure::TooManyRedirects(redirects)).into())
}

/// Reads the rest of a small body, so that its connection can serve the next request. If that fails, it cannot.
pub fn drain(response: &mut Response<Body>) {
    let _ = io::copy(&mut response.body_mut().as_reader().take(DRAINED), &mut io::sink());
}
