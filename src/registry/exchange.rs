//! One request to a registry: authentication, redirects, and what its failure means.

use std::io::{self, Read};
use std::time::Instant;

use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, WWW_AUTHENTICATE};
use ureq::http::{HeaderValue, Method, Response, Uri};
use ureq::{Agent, Body, SendBody};

use crate::http::{self, Attempts, Refusal, drain, follow, is_same_origin, parse_url, shown};
use crate::store::StoreError;

use super::challenge::{self, Challenge};
use super::client::Client;
use super::error::{Denied, Failed, Proof, RegistryError, said};
use super::hosts::Endpoint;
use super::secret::{Secret, one_line};
use super::token::Grant;

/// The most of an error's body that is read, in bytes.
const LARGEST_ERROR: u64 = 64 << 10;

/// Requests to one endpoint, with one set of scopes.
pub(super) struct Exchange<'a> {
    pub client: &'a Client,
    pub endpoint: Endpoint,
    pub agent: Agent,
    /// The repository's path, for the choice of credentials; empty where there is none.
    pub repository: String,
    pub scopes: Vec<String>,
}

pub(super) struct Request<'a> {
    pub method: Method,
    pub url: Uri,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub payload: Payload<'a>,
}

/// The body of a request.
pub(super) enum Payload<'a> {
    Empty,
    Bytes(&'a [u8]),
    /// As many bytes as said, from a reader that is opened anew when the request is sent again.
    Stream {
        size: u64,
        open: &'a dyn Fn() -> Result<Box<dyn Read + 'a>, RegistryError>,
    },
}

impl Request<'_> {
    pub fn new<'a>(method: Method, url: &str) -> Result<Request<'a>, RegistryError> {
        let parsed = parse_url(url).map_err(|reason| RegistryError::Malformed {
            request: format!("{method} {}", shown(url)),
            reason: format!("the URL {reason}"),
        })?;
        Ok(Request { method, url: parsed, headers: Vec::new(), payload: Payload::Empty })
    }

    /// Method and URL, for messages.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, shown(&self.url.to_string()))
    }

    pub fn malformed(&self, reason: impl Into<String>) -> RegistryError {
        // It may quote what the registry sent.
        RegistryError::Malformed { request: self.line(), reason: one_line(&reason.into()) }
    }
}

impl Exchange<'_> {
    /// Repeats `attempt` as often as its failures and the options allow.
    pub fn attempts<T>(&self, mut attempt: impl FnMut(&Attempts) -> Result<T, Failed>) -> Result<T, RegistryError> {
        let mut attempts = Attempts::new(&self.client.options.http);
        loop {
            match attempt(&attempts) {
                Err(failed) if attempts.next(failed.again) => {}
                result => return result.map_err(|failed| failed.error),
            }
        }
    }

    /// Sends a request, follows it where it reads, and authenticates where the registry asks for it. Only what denies
    /// access is an error; other statuses are the caller's to judge.
    pub fn send(&self, request: &Request) -> Result<Response<Body>, Failed> {
        let send = |url: &Uri| match is_same_origin(url, &self.endpoint.origin) {
            true => self.authenticated(request, url),
            // Elsewhere, whatever is asked for is shown to whoever knows the URL.
            false => self.plain(request, url, None),
        };
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return send(&request.url);
        }
        let mut line = request.line();
        let redirects = self.client.options.http.redirects;
        let result: Result<_, Step> = follow(&request.url, redirects, |url| {
            line = format!("{} {}", request.method, shown(&url.to_string()));
            send(url).map_err(Step::Failed)
        });
        result.map_err(|step| match step {
            Step::Failed(failed) => failed,
            Step::Refused(refusal) => Failed::of(&line, refusal),
        })
    }

    fn authenticated(&self, request: &Request, url: &Uri) -> Result<Response<Body>, Failed> {
        let used = self.grant()?;
        let mut response = self.plain(request, url, used.as_ref())?;
        if response.status().as_u16() != 401 {
            return self.not_forbidden(request, response, used.as_ref());
        }
        let challenges = challenges(request, &response)?;
        let secrets = used.as_ref().map(|grant| grant.secrets.clone()).unwrap_or_default();
        let grant = if challenges.is_empty() {
            None
        } else {
            // Read before the token server is asked, so that the connection can be used again.
            drain(&mut response);
            Some(self.renewed(used.as_ref(), &challenges)?)
        };
        match grant {
            Some(grant) if grant.header.is_some() && used.is_none_or(|used| used.header != grant.header) => {
                let response = self.plain(request, url, Some(&grant))?;
                match response.status().as_u16() {
                    401 => Err(self.denied(request, response, grant.proof, &grant.secrets)),
                    _ => self.not_forbidden(request, response, Some(&grant)),
                }
            }
            grant => {
                let proof = grant.map_or(Proof::NotAsked, |grant| grant.proof);
                Err(self.denied(request, response, proof, &secrets))
            }
        }
    }

    /// Sends a request to `url` as it is.
    pub fn plain(&self, request: &Request, url: &Uri, grant: Option<&Grant>) -> Result<Response<Body>, Failed> {
        let line = || format!("{} {}", request.method, shown(&url.to_string()));
        let mut builder = ureq::http::Request::builder().method(request.method.clone()).uri(url.clone());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(header) = grant.and_then(|grant| grant.header.as_ref()) {
            builder = builder.header(AUTHORIZATION, header);
        }
        let invalid =
            |_| RegistryError::Malformed { request: line(), reason: "it cannot be put into a request".into() };
        let result = match &request.payload {
            Payload::Empty if matches!(request.method, Method::GET | Method::HEAD | Method::DELETE) => {
                self.agent.run(builder.body(SendBody::none()).map_err(invalid)?)
            }
            Payload::Empty => self.agent.run(builder.body(&[][..]).map_err(invalid)?),
            Payload::Bytes(bytes) => self.agent.run(builder.body(*bytes).map_err(invalid)?),
            Payload::Stream { size, open } => {
                let mut reader = open()?;
                let builder = builder.header(CONTENT_LENGTH, *size);
                self.agent.run(builder.body(SendBody::from_reader(&mut reader)).map_err(invalid)?)
            }
        };
        result.map_err(|error| match store_error(error) {
            Ok(error) => RegistryError::Store(error).into(),
            Err(error) => Failed::of(&line(), error.into()),
        })
    }

    /// What a response of a status that is no success means.
    pub fn refused(&self, request: &Request, response: Response<Body>, secrets: &[Secret]) -> Failed {
        let again = http::again(&response);
        let failure = http::Failure::Status(response.status().as_u16());
        let said = self.said(request, response, secrets);
        Failed { error: RegistryError::Http { request: request.line(), failure, said }, again }
    }

    /// As [`Exchange::refused`], for a response of [`Exchange::send`].
    pub fn unexpected(&self, request: &Request, response: Response<Body>) -> Failed {
        self.refused(request, response, &self.secrets())
    }

    /// What the body of an error says. `secrets` are what the request was sent with.
    pub fn said(&self, request: &Request, response: Response<Body>, secrets: &[Secret]) -> Option<String> {
        let deadline = Instant::now() + self.client.options.http.idle;
        let bytes = self.body(request, response, LARGEST_ERROR, deadline).ok()?;
        said(&bytes, secrets)
    }

    /// The whole body.
    ///
    /// # Errors
    /// It has more than `limit` bytes, or was cut.
    pub fn body(
        &self,
        request: &Request,
        response: Response<Body>,
        limit: u64,
        deadline: Instant,
    ) -> Result<Vec<u8>, Failed> {
        let too_large = || RegistryError::TooLarge { request: request.line(), limit };
        if length(&response).is_some_and(|length| length > limit) && request.method != Method::HEAD {
            return Err(too_large().into());
        }
        let mut bytes = Vec::new();
        let mut body = response.into_body().into_reader().take(limit + 1);
        let mut buffer = [0; 16 << 10];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => return Ok(bytes),
                Ok(n) => bytes.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failed::of(&request.line(), error.into())),
            }
            if bytes.len() as u64 > limit {
                return Err(too_large().into());
            }
            in_time(request, deadline)?;
        }
    }

    fn not_forbidden(
        &self,
        request: &Request,
        response: Response<Body>,
        grant: Option<&Grant>,
    ) -> Result<Response<Body>, Failed> {
        if response.status().as_u16() != 403 {
            return Ok(response);
        }
        let (proof, secrets) = match grant {
            Some(grant) => (grant.proof.clone(), &grant.secrets[..]),
            None => (Proof::NotAsked, &[][..]),
        };
        Err(self.denied(request, response, proof, secrets))
    }

    fn denied(&self, request: &Request, response: Response<Body>, proof: Proof, secrets: &[Secret]) -> Failed {
        let status = response.status().as_u16();
        let said = self.said(request, response, secrets);
        let (registry, scopes) = (self.endpoint.name.clone(), self.scopes.clone());
        RegistryError::from(Box::new(Denied { registry, scopes, proof, status, said })).into()
    }
}

/// An error once the time for the transfer is over.
pub(super) fn in_time(request: &Request, deadline: Instant) -> Result<(), Failed> {
    if Instant::now() <= deadline {
        return Ok(());
    }
    Err(Failed::of(&request.line(), Refusal::lasting(http::Failure::Timeout("the transfer"))))
}

/// `Content-Length`.
pub(super) fn length(response: &Response<Body>) -> Option<u64> {
    text(response, CONTENT_LENGTH.as_str())?.parse().ok()
}

/// A header, if it is text.
pub(super) fn text<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn challenges(request: &Request, response: &Response<Body>) -> Result<Vec<Challenge>, RegistryError> {
    let mut challenges = Vec::new();
    for value in response.headers().get_all(WWW_AUTHENTICATE) {
        let value = value.to_str().map_err(|_| "it is not text");
        let parsed = value.and_then(challenge::parse);
        challenges.extend(parsed.map_err(|reason| request.malformed(format!("bad `WWW-Authenticate`: {reason}")))?);
    }
    Ok(challenges)
}

/// The store's error, if a body that was to be sent could not be read from it.
fn store_error(error: ureq::Error) -> Result<StoreError, ureq::Error> {
    match error {
        ureq::Error::Io(error) => error.downcast::<StoreError>().map_err(ureq::Error::Io),
        error => Err(error),
    }
}

/// Why [`follow`] ended.
enum Step {
    Failed(Failed),
    Refused(Refusal),
}

impl From<Refusal> for Step {
    fn from(refusal: Refusal) -> Self {
        Step::Refused(refusal)
    }
}
