//! What refers to an image: signatures, lists of parts and the like (distribution-spec, "Listing Referrers").

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::digest::Digest;
use crate::format::MediaTypes;
use crate::image::document;
use crate::oci::{Descriptor, Index, MediaType, Repository, canonical_json};

use super::client::{Action, Client};
use super::error::RegistryError;
use super::exchange::{Exchange, Request};
use super::manifest::{ManifestName, get};
use super::query::with_query;

/// The most referrers of an image.
const MOST: usize = 100_000;

/// The part of an index that matters here.
#[derive(Deserialize)]
struct List {
    manifests: Vec<Descriptor>,
}

/// The part of a manifest or an index that a list of referrers needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    subject: Option<Subject>,
    artifact_type: Option<String>,
    config: Option<Config>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: String,
}

/// The header in which a registry says that it lists a manifest under its subject.
pub(super) const SUBJECT: &str = "oci-subject";

impl Client {
    /// The manifests whose `subject` is `subject`, in the registry's order: as its API lists them, else as the index
    /// that is tagged `sha256-HEX` does. Only those of `artifact_type`, if one is given.
    pub fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let exchange = self.writing(repository, Action::Pull)?;
        let url = exchange.endpoint.url(&repository.path, &format!("referrers/{subject}"));
        let url = with_query(&url, artifact_type.map(|wanted| ("artifactType", wanted)));
        let mut found = Vec::new();
        let mut read = |request: &Request, bytes: &[u8]| -> Result<(), RegistryError> {
            let list: List = serde_json::from_slice(bytes)
                .map_err(|error| request.malformed(format!("the list of referrers is not valid: {error}")))?;
            // A registry need not filter.
            let wanted = |referrer: &Descriptor| {
                artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted))
            };
            found.extend(list.manifests.into_iter().filter(wanted));
            if found.len() > MOST { Err(request.malformed(format!("more than {MOST} referrers"))) } else { Ok(()) }
        };
        if !exchange.pages(&url, &mut read)? {
            let tag = tag_of(subject);
            if let Some((_, bytes)) = get(&exchange, repository, &tag)? {
                read(&Request::new(ureq::http::Method::GET, &url)?, &bytes)?;
            }
        }
        Ok(found)
    }
    /// Lists a manifest that was stored under its subject, if it has one, where the registry does not list it itself
    /// (ibid., "Pushing Manifests with Subject"). Of two who do so at the same time one may be lost.
    ///
    /// # Errors
    /// What is tagged as the list is none, or would become larger than a manifest may be.
    pub(super) fn list_referrer(
        &self,
        exchange: &Exchange,
        repository: &Repository,
        media_type: &MediaType,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        let Ok(Referrer { subject: Some(subject), artifact_type, config, annotations }) = serde_json::from_slice(bytes)
        else {
            return Ok(());
        };
        let media_types = Some(MediaType::Index(MediaTypes::Oci));
        let tag = tag_of(&subject.digest);
        let mut list = match get(exchange, repository, &tag)? {
            Some((_, bytes)) => document::parse_index(&bytes).map_err(|problem| RegistryError::Document {
                request: format!("the referrers of {} in {repository}", subject.digest),
                problem,
            })?,
            None => Index {
                annotations: BTreeMap::new(),
                manifests: Vec::new(),
                media_type: media_types.clone(),
                schema_version: 2,
            },
        };
        let referrer = Descriptor {
            artifact_type: artifact_type.or(config.map(|config| config.media_type)),
            annotations: annotations.unwrap_or_default(),
            ..Descriptor::of(media_type.clone(), bytes)
        };
        if list.manifests.iter().any(|listed| listed.digest == referrer.digest) {
            return Ok(());
        }
        list.manifests.push(referrer);
        list.media_type = media_types;
        let bytes = canonical_json(&list);
        document::check_sizes(&bytes, &[]).map_err(|problem| RegistryError::Document {
            request: format!("the referrers of {} in {repository}", subject.digest),
            problem,
        })?;
        self.put_manifest(repository, &tag, &MediaType::Index(MediaTypes::Oci), &bytes).map(drop)
    }
}

/// The tag under which a list is where the registry keeps none (ibid., "Referrers Tag Schema").
fn tag_of(subject: &Digest) -> ManifestName {
    ManifestName::Tag(format!("sha256-{}", subject.hex()))
}
