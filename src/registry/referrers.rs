//! What refers to an image: signatures, lists of parts and the like (distribution-spec, "Listing Referrers").

use serde::Deserialize;

use crate::digest::Digest;
use crate::oci::{Descriptor, Repository};

use super::client::{Action, Client};
use super::error::RegistryError;
use super::exchange::Request;
use super::manifest::{ManifestName, get};
use super::query::with_query;

/// The most referrers of an image.
const MOST: usize = 100_000;

/// The part of an index that matters here.
#[derive(Deserialize)]
struct List {
    manifests: Vec<Referrer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    #[serde(flatten)]
    descriptor: Descriptor,
    artifact_type: Option<String>,
}

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
            let wanted = |referrer: &Referrer| {
                artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted))
            };
            found.extend(list.manifests.into_iter().filter(wanted).map(|referrer| referrer.descriptor));
            if found.len() > MOST { Err(request.malformed(format!("more than {MOST} referrers"))) } else { Ok(()) }
        };
        if !exchange.pages(&url, &mut read)? {
            let tag = ManifestName::Tag(format!("sha256-{}", subject.hex()));
            if let Some((_, bytes)) = get(&exchange, repository, &tag)? {
                read(&Request::new(ureq::http::Method::GET, &url)?, &bytes)?;
            }
        }
        Ok(found)
    }
}
