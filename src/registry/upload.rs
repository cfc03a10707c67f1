//! Writing blobs: mounted from another repository, in one request, or in chunks (distribution-spec, "Pushing blobs").

use std::cell::RefCell;
use std::io::{self, Read};
use std::time::Instant;

use ureq::Body;
use ureq::http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use ureq::http::{HeaderValue, Method, Response, Uri};

use crate::digest::Digest;
use crate::http::{Again, redirected, shown};
use crate::oci::{Descriptor, Repository};
use crate::store::{BlobReader, Store};

use super::client::{Action, Client, check, scope};
use super::error::{Failed, RegistryError};
use super::exchange::{Exchange, Payload, Request, in_time, text};
use super::manifest::DIGEST;
use super::query::with_query;

/// How a blob came to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// From another repository of the registry, without its bytes.
    Mounted,
    Sent,
}

/// Other repositories that are asked for a blob before it is sent.
const MOST_MOUNTS: usize = 4;

/// The header in which a registry says how large chunks have to be.
const MIN_CHUNK: &str = "oci-chunk-min-length";

/// An upload that has begun.
struct Session {
    location: Uri,
    /// Bytes that the registry has.
    offset: u64,
    /// The least chunk that the registry takes, in bytes.
    chunk: u64,
    /// A request failed: how much the registry has is to be asked.
    cut: bool,
}

impl Client {
    /// Uploads a blob of the store. `from` are other repositories that may have it: on the same registry, mounting is
    /// tried first. `progress` is told of bytes as they are sent, of each byte of the blob once.
    ///
    /// # Errors
    /// The store does not have the blob, or it is damaged; the registry computed another digest.
    pub fn upload(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        store: &Store,
        from: &[Repository],
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Uploaded, RegistryError> {
        let others = from.iter().filter(|other| other.registry == repository.registry && other.path != repository.path);
        let mut session = None;
        for other in others.take(MOST_MOUNTS) {
            if let Some(unused) = session.take() {
                self.writing(repository, Action::Push)?.cancel(unused);
            }
            match self.mount(repository, other, &blob.digest)? {
                Mount::Mounted => return Ok(Uploaded::Mounted),
                Mount::Session(begun) => session = Some(begun),
                Mount::Refused => {}
            }
        }
        let exchange = self.writing(repository, Action::Push)?;
        let source = Source { blob, store, progress, open: RefCell::new(None), told: RefCell::new(0) };
        let whole = blob.size <= self.options.whole;
        exchange.attempts(|attempts| {
            let mut current = match session.take() {
                Some(begun) if begun.cut => match exchange.resumed(&begun, blob.size)? {
                    Some(resumed) => resumed,
                    None => exchange.begin(repository)?,
                },
                Some(begun) => begun,
                None => exchange.begin(repository)?,
            };
            if whole {
                return exchange.send_whole(&current, &source);
            }
            let result = exchange.send_chunks(&mut current, &source, attempts.deadline());
            if result.is_err() {
                session = Some(Session { cut: true, ..current });
            }
            result
        })?;
        Ok(Uploaded::Sent)
    }

    fn mount(&self, repository: &Repository, from: &Repository, digest: &Digest) -> Result<Mount, RegistryError> {
        check(repository)?;
        check(from)?;
        let endpoint = self.hosts.endpoint(&repository.registry)?;
        let scopes = vec![scope(&repository.path, Action::Push), scope(&from.path, Action::Pull)];
        let url = endpoint.url(&repository.path, "blobs/uploads/");
        let url = with_query(&url, [("mount", digest.to_string().as_str()), ("from", &from.path)]);
        let exchange = self.exchange(endpoint, repository.path.clone(), scopes)?;
        let request = Request::new(Method::POST, &url)?;
        let result = exchange.attempts(|_| {
            let response = exchange.send(&request)?;
            match response.status().as_u16() {
                201 => Ok(Mount::Mounted),
                202 => exchange.session(&request, &response).map(Mount::Session),
                status if (400..500).contains(&status) && !matches!(status, 408 | 429) => Ok(Mount::Refused),
                _ => Err(exchange.unexpected(&request, response)),
            }
        });
        match result {
            // Who may not read the other repository may still write to this one.
            Err(RegistryError::Denied(_)) => Ok(Mount::Refused),
            result => result,
        }
    }
}

enum Mount {
    Mounted,
    /// The registry does not have the blob there, and expects it to be sent.
    Session(Session),
    Refused,
}

impl Exchange<'_> {
    fn begin(&self, repository: &Repository) -> Result<Session, Failed> {
        let url = self.endpoint.url(&repository.path, "blobs/uploads/");
        let request = Request::new(Method::POST, &url)?;
        let response = self.send(&request)?;
        match response.status().as_u16() {
            202 => self.session(&request, &response),
            _ => Err(self.unexpected(&request, response)),
        }
    }

    fn session(&self, request: &Request, response: &Response<Body>) -> Result<Session, Failed> {
        let chunk = text(response, MIN_CHUNK).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Session { location: location(request, response)?, offset: 0, chunk, cut: false })
    }

    fn send_whole(&self, session: &Session, source: &Source) -> Result<(), Failed> {
        self.finish(
            session,
            source,
            Payload::Stream { size: source.blob.size, open: &|| source.read(0, source.blob.size) },
        )
    }

    fn send_chunks(&self, session: &mut Session, source: &Source, deadline: Instant) -> Result<(), Failed> {
        let size = source.blob.size;
        while session.offset < size {
            let at = session.offset;
            let length = self.client.options.chunk.max(session.chunk).max(1).min(size - at);
            let mut request = Request::new(Method::PATCH, &session.location.to_string())?;
            let range = HeaderValue::from_str(&format!("{at}-{}", at + length - 1));
            request.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")));
            request.headers.push((CONTENT_RANGE, range.map_err(|_| request.malformed("the range is no header"))?));
            let request =
                Request { payload: Payload::Stream { size: length, open: &|| source.read(at, length) }, ..request };
            // A registry may take a byte at a time.
            in_time(&request, deadline)?;
            let response = self.send(&request)?;
            match response.status().as_u16() {
                202 => {}
                // The registry has another part of the blob than was thought, or has lost the upload.
                404 | 416 => return Err(Failed { again: Again::Soon, ..self.unexpected(&request, response) }),
                _ => return Err(self.unexpected(&request, response)),
            }
            let arrived = arrived(&response).unwrap_or(at + length);
            if arrived <= at || arrived > at + length {
                return Err(request.malformed(format!("{arrived} bytes are said to have arrived")).into());
            }
            (session.location, session.offset) = (location(&request, &response)?, arrived);
        }
        self.finish(session, source, Payload::Empty)
    }

    /// Closes an upload, with the bytes that are still to come.
    fn finish(&self, session: &Session, source: &Source, payload: Payload) -> Result<(), Failed> {
        let digest = source.blob.digest;
        let url = with_query(&session.location.to_string(), [("digest", digest.to_string().as_str())]);
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
        let request = Request { headers, payload, ..Request::new(Method::PUT, &url)? };
        let response = self.send(&request)?;
        match response.status().as_u16() {
            201 | 204 => {}
            // The upload is lost, and the next attempt begins another.
            404 => return Err(Failed { again: Again::Soon, ..self.unexpected(&request, response) }),
            _ => return Err(self.unexpected(&request, response)),
        }
        match text(&response, DIGEST).and_then(|found| found.parse::<Digest>().ok()) {
            Some(found) if found != digest => {
                Err(RegistryError::WrongDigest { request: request.line(), expected: digest, found }.into())
            }
            _ => Ok(()),
        }
    }

    /// How far a cut upload got; `None` if the registry does not know it any more.
    fn resumed(&self, session: &Session, size: u64) -> Result<Option<Session>, Failed> {
        let request = Request::new(Method::GET, &session.location.to_string())?;
        let response = self.send(&request)?;
        if response.status().as_u16() != 204 {
            return Ok(None);
        }
        let Some(offset) = arrived(&response).filter(|offset| *offset <= size) else { return Ok(None) };
        let location = match response.headers().contains_key(LOCATION) {
            true => location(&request, &response)?,
            false => session.location.clone(),
        };
        Ok(Some(Session { location, offset, chunk: session.chunk, cut: false }))
    }

    /// Gives up an upload. The registry does so by itself after a while.
    fn cancel(&self, session: Session) {
        let request = Request::new(Method::DELETE, &session.location.to_string());
        let _ = request.map(|request| self.send(&request));
    }
}

/// The bytes of the blob, read in order while they are sent in order.
struct Source<'a> {
    blob: &'a Descriptor,
    store: &'a Store,
    progress: &'a dyn Fn(u64),
    /// A reader that is kept from chunk to chunk, and where it is.
    open: RefCell<Option<(BlobReader, u64)>>,
    told: RefCell<u64>,
}

/// `left` bytes of a blob.
struct Part<'a> {
    source: &'a Source<'a>,
    left: u64,
}

impl<'a> Source<'a> {
    fn read(&'a self, at: u64, length: u64) -> Result<Box<dyn Read + 'a>, RegistryError> {
        let mut open = self.open.borrow_mut();
        if open.as_ref().is_none_or(|(_, position)| *position != at) {
            let reader = self.store.open_described(self.blob)?;
            let mut reader = reader.ok_or(RegistryError::Missing { digest: self.blob.digest })?;
            // Read, not skipped: whether the blob is damaged shows only if all of it is.
            let skipped = io::copy(&mut reader.by_ref().take(at), &mut io::sink());
            skipped.map_err(|source| RegistryError::Write { source })?;
            *open = Some((reader, at));
        }
        Ok(Box::new(Part { source: self, left: length }))
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut open = self.source.open.borrow_mut();
        let Some((reader, position)) = open.as_mut() else { return Ok(0) };
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let n = reader.read(&mut buffer[..wanted])?;
        *position += n as u64;
        self.left -= n as u64;
        let mut told = self.source.told.borrow_mut();
        if *position > *told {
            (self.source.progress)(*position - *told);
            *told = *position;
        }
        Ok(n)
    }
}

/// `Location`, checked as a redirect is. It may be on another host, which gets no credentials.
fn location(request: &Request, response: &Response<Body>) -> Result<Uri, RegistryError> {
    let location =
        text(response, LOCATION.as_str()).ok_or_else(|| request.malformed("the answer has no `Location`"))?;
    redirected(&request.url, location)
        .map_err(|reason| request.malformed(format!("it sends to `{}`: {reason}", shown(location))))
}

/// The bytes that a registry has of an upload: `Range`, whose end is inclusive. Nothing is `0-0` to most.
fn arrived(response: &Response<Body>) -> Option<u64> {
    let range = text(response, RANGE.as_str())?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    match range.split_once('-')? {
        ("0", "0") => Some(0),
        ("0", end) => end.parse::<u64>().ok()?.checked_add(1),
        _ => None,
    }
}
