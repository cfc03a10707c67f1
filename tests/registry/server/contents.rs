//! What a registry holds: blobs, manifests and tags by repository, and uploads that are not finished.

use std::collections::BTreeMap;

use ocify::digest::Digest;
use serde_json::Value;

#[derive(Default)]
pub struct Contents {
    pub repositories: BTreeMap<String, Repository>,
    /// By id: the repository and what has arrived.
    pub uploads: BTreeMap<String, Upload>,
    begun: usize,
}

#[derive(Default)]
pub struct Repository {
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    pub manifests: BTreeMap<Digest, Manifest>,
    pub tags: BTreeMap<String, Digest>,
}

pub struct Manifest {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

pub struct Upload {
    pub repository: String,
    pub bytes: Vec<u8>,
}

impl Contents {
    /// A repository, which is there as soon as it is named.
    pub fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// Begins an upload and returns its id.
    pub fn begin(&mut self, repository: &str) -> String {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        self.uploads.insert(id.clone(), Upload { repository: repository.to_owned(), bytes: Vec::new() });
        id
    }
}

impl Repository {
    pub fn put_blob(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.blobs.insert(digest, bytes.to_vec());
        digest
    }

    pub fn put_manifest(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.manifests.insert(digest, Manifest { media_type: media_type.to_owned(), bytes: bytes.to_vec() });
        if name.parse::<Digest>().is_err() {
            self.tags.insert(name.to_owned(), digest);
        }
        digest
    }

    /// By tag or digest.
    pub fn manifest(&self, name: &str) -> Option<(Digest, &Manifest)> {
        let digest = name.parse().ok().or_else(|| self.tags.get(name).copied())?;
        self.manifests.get(&digest).map(|manifest| (digest, manifest))
    }

    /// The digests that a manifest names and that are not here. Layers with `urls` may be elsewhere.
    pub fn missing(&self, manifest: &Value) -> Vec<String> {
        let digest = |descriptor: &Value| descriptor["digest"].as_str().unwrap_or_default().to_owned();
        let list = |key: &str| manifest[key].as_array().into_iter().flatten();
        let blobs =
            manifest.get("config").into_iter().chain(list("layers").filter(|layer| layer.get("urls").is_none()));
        let blobs = blobs.map(digest).filter(|name| !name.parse().is_ok_and(|digest| self.blobs.contains_key(&digest)));
        let children = list("manifests").map(digest);
        let children = children.filter(|name| !name.parse().is_ok_and(|digest| self.manifests.contains_key(&digest)));
        blobs.chain(children).collect()
    }

    /// The descriptors of the manifests whose subject is `subject` (distribution spec, "Listing Referrers").
    pub fn referrers(&self, subject: &str, artifact_type: Option<&str>) -> Vec<Value> {
        let descriptors = self.manifests.iter().filter_map(|(digest, manifest)| {
            let document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
            if document["subject"]["digest"] != subject {
                return None;
            }
            let kind = document["artifactType"].as_str().or(document["config"]["mediaType"].as_str());
            if artifact_type.is_some() && artifact_type != kind {
                return None;
            }
            let mut descriptor = serde_json::json!({
                "mediaType": manifest.media_type, "digest": digest.to_string(), "size": manifest.bytes.len(),
            });
            for (key, value) in
                [("artifactType", kind.map(Value::from)), ("annotations", document.get("annotations").cloned())]
            {
                if let Some(value) = value {
                    descriptor[key] = value;
                }
            }
            Some(descriptor)
        });
        descriptors.collect()
    }
}
