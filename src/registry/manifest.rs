//! Manifests and indexes: resolve, read, write, delete.

use ureq::http::header::{ACCEPT, CONTENT_TYPE};
use ureq::http::{HeaderValue, Method, Response};
use ureq::{Body, http};

use crate::digest::Digest;
use crate::image::document::{self, MAX_MANIFEST};
use crate::oci::{Descriptor, MediaType, Reference, ReferenceError, Repository};

use super::client::{Action, Client};
use super::error::{Failed, RegistryError};
use super::exchange::{Exchange, Payload, Request, length, text};
use super::referrers::SUBJECT;

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManifestName {
    Tag(String),
    Digest(Digest),
}

/// The manifests that are read: without this, some registries convert what they have.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json, \
                        application/vnd.docker.distribution.manifest.v2+json";

/// The header in which a registry says the digest of a manifest or a blob.
pub(super) const DIGEST: &str = "docker-content-digest";

impl ManifestName {
    /// What a reference names in its repository: by its digest if it has one, else by its tag, else by `latest`.
    pub fn of(reference: &Reference) -> Self {
        match (reference.digest, reference.canonical().tag) {
            (Some(digest), _) => ManifestName::Digest(digest),
            (None, tag) => ManifestName::Tag(tag.unwrap_or_default()),
        }
    }
}

impl std::fmt::Display for ManifestName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ManifestName::Tag(tag) => f.write_str(tag),
            ManifestName::Digest(digest) => write!(f, "{digest}"),
        }
    }
}

impl Client {
    /// The descriptor of a manifest or an index, without reading it where the registry says all that is in one; `None`
    /// if there is none. It is for those who are about to push: the registry itself is asked, not a mirror of it, for the
    /// right to push, and of a tag it is taken at its word.
    pub fn resolve(&self, repository: &Repository, name: &ManifestName) -> Result<Option<Descriptor>, RegistryError> {
        let exchange = self.writing(repository, Action::Push)?;
        let request = reading(&exchange, Method::HEAD, repository, name)?;
        let found = exchange.attempts(|_| {
            let response = exchange.send(&request)?;
            match response.status().as_u16() {
                200 => {
                    Ok(described(&request, &response, name)?.map_or(Head::Vague, |found| Head::Found(Box::new(found))))
                }
                404 => Ok(Head::Missing),
                // Not everything that speaks this API knows HEAD; GET tells what is wrong.
                400 | 405 | 501 => Ok(Head::Vague),
                _ => Err(exchange.unexpected(&request, response)),
            }
        })?;
        match found {
            Head::Missing => Ok(None),
            Head::Found(descriptor) => Ok(Some(*descriptor)),
            Head::Vague => Ok(get(&exchange, repository, name)?.map(|(descriptor, _)| descriptor)),
        }
    }

    /// A manifest or an index, verified against the digest where `name` is one; `None` if there is none. What it is of
    /// is not looked at.
    ///
    /// # Errors
    /// It has more than 4 MiB; it is not of the media type that the registry says, or of two kinds at once.
    pub fn manifest(
        &self,
        repository: &Repository,
        name: &ManifestName,
    ) -> Result<Option<(Descriptor, Vec<u8>)>, RegistryError> {
        self.reading(repository, |exchange| get(exchange, repository, name))
    }

    /// Stores a manifest or an index under a tag or its digest, and returns the digest. If it has a `subject`, it is among
    /// the referrers of that afterwards.
    ///
    /// # Errors
    /// As registries have them: the blobs that it names must be there. The registry computed another digest.
    pub fn put_manifest(
        &self,
        repository: &Repository,
        name: &ManifestName,
        media_type: &MediaType,
        bytes: &[u8],
    ) -> Result<Digest, RegistryError> {
        let exchange = self.writing(repository, Action::Push)?;
        let digest = Digest::of(bytes);
        let mut request = Request::new(Method::PUT, &url(&exchange, repository, name)?)?;
        if let ManifestName::Digest(expected) = name
            && *expected != digest
        {
            return Err(RegistryError::WrongDigest { request: request.line(), expected: *expected, found: digest });
        }
        let value = HeaderValue::from_str(&media_type.to_string());
        let value = value.map_err(|_| request.malformed("the media type is no header"))?;
        request.headers.push((CONTENT_TYPE, value));
        let request = Request { payload: Payload::Bytes(bytes), ..request };
        let is_listed = exchange.attempts(|_| {
            let response = exchange.send(&request)?;
            if !response.status().is_success() {
                return Err(exchange.unexpected(&request, response));
            }
            match text(&response, DIGEST).and_then(|found| found.parse::<Digest>().ok()) {
                Some(found) if found != digest => {
                    Err(RegistryError::WrongDigest { request: request.line(), expected: digest, found }.into())
                }
                _ => Ok(response.headers().contains_key(SUBJECT)),
            }
        })?;
        if !is_listed {
            self.list_referrer(&exchange, repository, media_type, bytes)?;
        }
        Ok(digest)
    }

    /// Deletes a manifest or an index, or a tag. Its blobs stay until the registry collects garbage.
    ///
    /// # Errors
    /// There is none; the registry does not allow it, which many do not.
    pub fn delete_manifest(&self, repository: &Repository, name: &ManifestName) -> Result<(), RegistryError> {
        let exchange = self.writing(repository, Action::Delete)?;
        let request = Request::new(Method::DELETE, &url(&exchange, repository, name)?)?;
        exchange.attempts(|_| {
            let response = exchange.send(&request)?;
            match response.status() {
                status if status.is_success() => Ok(()),
                http::StatusCode::NOT_FOUND => Err(RegistryError::not_found(repository, name).into()),
                _ => Err(exchange.unexpected(&request, response)),
            }
        })
    }
}

/// What HEAD tells of a manifest.
enum Head {
    Missing,
    /// It is there, but not all that a descriptor needs is said.
    Vague,
    Found(Box<Descriptor>),
}

/// The URL of a manifest.
fn url(exchange: &Exchange, repository: &Repository, name: &ManifestName) -> Result<String, RegistryError> {
    // Anyone can make one of any text.
    if let ManifestName::Tag(tag) = name
        && !Reference::is_tag(tag)
    {
        return Err(ReferenceError::tag(format!("{repository}:{tag}")).into());
    }
    Ok(exchange.endpoint.url(&repository.path, &format!("manifests/{name}")))
}

fn reading(
    exchange: &Exchange,
    method: Method,
    repository: &Repository,
    name: &ManifestName,
) -> Result<Request<'static>, RegistryError> {
    let url = url(exchange, repository, name)?;
    let headers = vec![(ACCEPT, HeaderValue::from_static(ACCEPTED))];
    Ok(Request { headers, ..Request::new(method, &url)? })
}

/// A manifest from one endpoint.
pub(super) fn get(
    exchange: &Exchange,
    repository: &Repository,
    name: &ManifestName,
) -> Result<Option<(Descriptor, Vec<u8>)>, RegistryError> {
    let request = reading(exchange, Method::GET, repository, name)?;
    exchange.attempts(|attempts| {
        let response = exchange.send(&request)?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            _ => return Err(exchange.unexpected(&request, response)),
        }
        let stated = stated_type(&response);
        let bytes = exchange.body(&request, response, MAX_MANIFEST, attempts.deadline())?;
        // What the registry says in `Docker-Content-Digest` is not looked at: what was computed counts.
        let found = Digest::of(&bytes);
        if let ManifestName::Digest(expected) = name
            && *expected != found
        {
            return Err(RegistryError::WrongDigest { request: request.line(), expected: *expected, found }.into());
        }
        let media_type = document::kind(&bytes, stated.as_ref())
            .map_err(|problem| RegistryError::Document { request: request.line(), problem })?;
        Ok(Some((Descriptor::new(media_type, found, bytes.len() as u64), bytes)))
    })
}

/// The descriptor that the head of a response makes.
fn described(request: &Request, response: &Response<Body>, name: &ManifestName) -> Result<Option<Descriptor>, Failed> {
    let digest = text(response, DIGEST).and_then(|digest| digest.parse::<Digest>().ok());
    let (Some(found), Some(media_type), Some(size)) = (digest, stated_type(response), length(response)) else {
        return Ok(None);
    };
    if !matches!(media_type, MediaType::Manifest(_) | MediaType::Index(_)) {
        return Ok(None);
    }
    match name {
        ManifestName::Digest(expected) if *expected != found => {
            Err(RegistryError::WrongDigest { request: request.line(), expected: *expected, found }.into())
        }
        _ if size > MAX_MANIFEST => {
            Err(RegistryError::TooLarge { request: request.line(), limit: MAX_MANIFEST }.into())
        }
        _ => Ok(Some(Descriptor::new(media_type, found, size))),
    }
}

/// The media type of `Content-Type`, unless it is one of those that servers give to any file.
fn stated_type(response: &Response<Body>) -> Option<MediaType> {
    let stated = text(response, CONTENT_TYPE.as_str())?.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match stated.as_str() {
        "" | "application/json" | "application/octet-stream" | "binary/octet-stream" | "text/plain" => None,
        stated => Some(MediaType::from(stated)),
    }
}
