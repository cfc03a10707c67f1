//! Reading blobs: whether they are there, and into the store.

use std::io::{self, Read, Write};

use ureq::Body;
use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::http::{HeaderValue, Method, Response};

use crate::digest::Digest;
use crate::http::{Again, Attempts};
use crate::oci::{Descriptor, Repository};
use crate::store::{Ingest, Store, StoreError};

use super::client::{Action, Client};
use super::error::{Failed, RegistryError};
use super::exchange::{Exchange, Request, in_time, length, text};

/// A download, which goes on where it was cut.
struct Download<'a> {
    blob: &'a Descriptor,
    store: &'a Store,
    progress: &'a dyn Fn(u64),
    /// What has arrived, with its length in bytes; kept from attempt to attempt.
    arrived: Option<(Ingest, u64)>,
    /// How much of the blob was told to `progress`.
    told: u64,
}

impl Client {
    /// True if the registry has a blob of this digest and size. It is for those who are about to push, as
    /// [`Client::resolve`] is.
    pub fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, RegistryError> {
        let exchange = self.writing(repository, Action::Push)?;
        let request = Request::new(Method::HEAD, &url(&exchange, repository, &blob.digest))?;
        exchange.attempts(|_| {
            let response = exchange.send(&request)?;
            match response.status().as_u16() {
                200 => Ok(length(&response).is_none_or(|length| length == blob.size)),
                404 => Ok(false),
                _ => Err(exchange.unexpected(&request, response)),
            }
        })
    }

    /// Downloads a blob into the store, hashing it on the way; it is there whole or not at all. A cut transfer goes on
    /// where it was cut if the server can do that. `progress` is told of bytes as they arrive, of each byte of the blob
    /// once.
    ///
    /// # Errors
    /// It has another size or digest; nobody has it.
    pub fn download(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        store: &Store,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let found = self.reading(repository, |exchange| {
            let mut download = Download { blob, store, progress, arrived: None, told: 0 };
            let url = url(exchange, repository, &blob.digest);
            exchange.attempts(|attempts| download.attempt(exchange, &url, attempts))
        })?;
        found.ok_or_else(|| missing(repository, &blob.digest))
    }
}

impl Download<'_> {
    /// `None` if the registry does not have the blob.
    fn attempt(&mut self, exchange: &Exchange, url: &str, attempts: &Attempts) -> Result<Option<()>, Failed> {
        let mut request = Request::new(Method::GET, url)?;
        let limit = exchange.client.options.http.size;
        if self.blob.size > limit {
            return Err(RegistryError::TooLarge { request: request.line(), limit }.into());
        }
        let at = self.arrived.as_ref().map_or(0, |(_, length)| *length);
        if at > 0 {
            let value = HeaderValue::from_str(&format!("bytes={at}-"));
            request.headers.push((RANGE, value.map_err(|_| request.malformed("the range is no header"))?));
        }
        let response = exchange.send(&request)?;
        let is_rest = response.status().as_u16() == 206;
        match response.status().as_u16() {
            206 if at > 0 && continues(&response, at, self.blob.size) => {}
            200 => {
                if let Some(length) = length(&response) {
                    check_size(&request, self.blob, length)?;
                }
                self.arrived = None;
            }
            206 | 416 if at > 0 => {
                // Not the rest that was asked for: the next attempt asks for the whole.
                self.arrived = None;
                let failed = exchange.unexpected(&request, response);
                return Err(Failed { again: Again::Soon, ..failed });
            }
            404 => return Ok(None),
            _ => return Err(exchange.unexpected(&request, response)),
        }
        let (mut ingest, mut length) = match self.arrived.take() {
            Some(arrived) => arrived,
            None => (self.store.ingest().map_err(RegistryError::from)?, 0),
        };
        let result = self.copy(&request, response, &mut ingest, &mut length, attempts);
        if let Err(failed) = result {
            self.arrived = Some((ingest, length));
            return Err(failed);
        }
        match ingest.commit_expecting(&self.blob.digest, Some(self.blob.size)) {
            Ok(_) => Ok(Some(())),
            Err(StoreError::WrongDigest { found, .. }) => {
                // It may be the rest of something else: the next attempt asks for the whole.
                let again = if is_rest { Again::Soon } else { Again::Never };
                Err(Failed { error: wrong_digest(&request, self.blob, found), again })
            }
            Err(error) => Err(RegistryError::from(error).into()),
        }
    }

    fn copy(
        &mut self,
        request: &Request,
        response: Response<Body>,
        ingest: &mut Ingest,
        length: &mut u64,
        attempts: &Attempts,
    ) -> Result<(), Failed> {
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 128 << 10];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) if *length < self.blob.size => {
                    let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(Failed::of(&request.line(), cut.into()));
                }
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failed::of(&request.line(), error.into())),
            };
            if *length + n as u64 > self.blob.size {
                let limit = self.blob.size;
                return Err(RegistryError::TooLarge { request: request.line(), limit }.into());
            }
            ingest.write_all(&buffer[..n]).map_err(|source| RegistryError::Write { source })?;
            *length += n as u64;
            if *length > self.told {
                (self.progress)(*length - self.told);
                self.told = *length;
            }
            in_time(request, attempts.deadline())?;
        }
    }
}

/// True if a response is the rest of a blob of `size` bytes from `at` on (RFC 9110, 14.4).
fn continues(response: &Response<Body>, at: u64, size: u64) -> bool {
    let Some(range) = text(response, CONTENT_RANGE.as_str()).and_then(|range| range.strip_prefix("bytes ")) else {
        return false;
    };
    let whole = [format!("{at}-{}/{size}", size - 1), format!("{at}-{}/*", size - 1)];
    whole.iter().any(|whole| whole == range.trim())
}

fn url(exchange: &Exchange, repository: &Repository, digest: &Digest) -> String {
    exchange.endpoint.url(&repository.path, &format!("blobs/{digest}"))
}

fn missing(repository: &Repository, digest: &Digest) -> RegistryError {
    let what = format!("blob {digest} in {}", repository.path);
    RegistryError::NotFound { registry: repository.registry.clone(), what }
}

fn check_size(request: &Request, blob: &Descriptor, found: u64) -> Result<(), RegistryError> {
    if found == blob.size {
        return Ok(());
    }
    Err(RegistryError::WrongSize { request: request.line(), expected: blob.size, found })
}

fn wrong_digest(request: &Request, blob: &Descriptor, found: Digest) -> RegistryError {
    RegistryError::WrongDigest { request: request.line(), expected: blob.digest, found }
}
