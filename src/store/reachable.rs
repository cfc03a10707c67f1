//! What the references need: through indexes and manifests to configs and layers.
//!
//! Whatever a document names in a descriptor is needed, in whatever field: `config` and `layers`, `manifests`, but also
//! the `subject` of a referrer, or `blobs` of an artifact. To keep too much is cheap, to remove too much is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;

use serde::Deserialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::oci::{Descriptor, Index, Manifest, MediaType};

use super::{Store, StoreError, layout};

/// The largest manifest or index in bytes: what registries accept (distribution-spec, "Pushing Manifests").
const MAX_DOCUMENT: u64 = 4 << 20;

/// The largest config in bytes, as containers/image has it.
const MAX_CONFIG: u64 = 16 << 20;

/// What is needed by the references that were seen so far.
#[derive(Default)]
pub(super) struct Reachable {
    /// index.json when it was looked at last.
    index: Vec<u8>,
    /// Manifests and indexes, and what each of them names.
    documents: BTreeMap<Digest, Vec<Digest>>,
    blobs: BTreeSet<Digest>,
    diff_ids: BTreeSet<Digest>,
    unreadable: Vec<Unreadable>,
}

/// A document that a reference needs and that does not say what it needs itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The name in index.json.
    pub reference: String,
    pub digest: Digest,
    /// Such as "is missing".
    pub reason: String,
}

impl Reachable {
    /// What the store's references need now.
    ///
    /// # Errors
    /// index.json cannot be read or is damaged.
    pub(super) fn from(store: &Store) -> Result<Reachable, StoreError> {
        let mut reachable = Reachable::default();
        reachable.extend(store)?;
        Ok(reachable)
    }

    /// Adds what the references need that were set since; those that were removed since keep what they needed.
    ///
    /// # Errors
    /// As [`Reachable::from`].
    pub(super) fn extend(&mut self, store: &Store) -> Result<(), StoreError> {
        let index = std::fs::read(store.path(layout::INDEX_FILE)).unwrap_or_default();
        if index == self.index && !index.is_empty() {
            return Ok(());
        }
        // Read a second time, it may be a newer one already: then the next call sees a difference.
        for (name, descriptor) in store.roots()? {
            self.follow(&name, descriptor, store);
        }
        self.index = index;
        Ok(())
    }

    /// The first document that could not be read, as an error.
    ///
    /// # Errors
    /// There is one: what it needs is not known.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.unreadable.first() {
            None => Ok(()),
            Some(Unreadable { reference, digest, reason }) => Err(StoreError::UnreadableReference {
                reference: reference.clone(),
                digest: *digest,
                reason: reason.clone(),
            }),
        }
    }

    pub(super) fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    pub(super) fn needs_blob(&self, digest: &Digest) -> bool {
        self.blobs.contains(digest)
    }

    /// True if this is the diff ID of a layer of an image that is needed.
    pub(super) fn needs_layer(&self, diff_id: &Digest) -> bool {
        self.diff_ids.contains(diff_id)
    }

    /// `root` and every blob that it leads to.
    pub(super) fn below(&self, root: &Digest) -> BTreeSet<Digest> {
        let mut found = BTreeSet::new();
        let mut open = vec![*root];
        while let Some(digest) = open.pop() {
            if found.insert(digest) {
                open.extend(self.documents.get(&digest).into_iter().flatten());
            }
        }
        found
    }

    /// Adds what `root` needs. Each document is looked at once, so cycles end.
    pub(super) fn follow(&mut self, reference: &str, root: Descriptor, store: &Store) {
        let mut open = vec![(root.digest, root.media_type)];
        while let Some((digest, media_type)) = open.pop() {
            self.blobs.insert(digest);
            if self.documents.contains_key(&digest) {
                continue;
            }
            let named = match read_document(store, &digest, &media_type) {
                Ok(named) => named,
                Err(reason) => {
                    self.unreadable.push(Unreadable { reference: reference.to_owned(), digest, reason });
                    continue;
                }
            };
            self.documents.insert(digest, named.iter().map(|(digest, _)| *digest).collect());
            for (digest, media_type) in named {
                self.blobs.insert(digest);
                match media_type {
                    Some(MediaType::Layer(..)) | None => {}
                    Some(MediaType::Config(_)) => self.diff_ids.extend(diff_ids(store, &digest)),
                    Some(media_type) => open.push((digest, media_type)),
                }
            }
        }
    }
}

/// What the manifest or index `digest` names; nothing for what is of another type and not a document.
fn read_document(
    store: &Store,
    digest: &Digest,
    media_type: &MediaType,
) -> Result<Vec<(Digest, Option<MediaType>)>, String> {
    let read = read(store, digest, MAX_DOCUMENT);
    let parsed = read.and_then(|bytes| {
        let checked = match media_type {
            MediaType::Manifest(_) => serde_json::from_slice::<Manifest>(&bytes).map(drop),
            MediaType::Index(_) => serde_json::from_slice::<Index>(&bytes).map(drop),
            _ => Ok(()),
        };
        let value = checked.and_then(|()| serde_json::from_slice::<Value>(&bytes));
        value.map_err(|error| format!("is not valid: {error}"))
    });
    let mut named = Vec::new();
    match parsed {
        Ok(value) => collect(&value, &mut named),
        Err(reason) if matches!(media_type, MediaType::Manifest(_) | MediaType::Index(_)) => return Err(reason),
        Err(_) => {}
    }
    Ok(named)
}

/// Adds what looks like a descriptor, at any depth.
fn collect(value: &Value, named: &mut Vec<(Digest, Option<MediaType>)>) {
    match value {
        Value::Object(fields) => {
            if let Some(digest) = fields.get("digest").and_then(Value::as_str).and_then(|text| text.parse().ok()) {
                named.push((digest, fields.get("mediaType").and_then(Value::as_str).map(MediaType::from)));
            }
            fields.values().for_each(|value| collect(value, named));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, named)),
        _ => {}
    }
}

/// The diff IDs that a config names; none if it cannot be read. They keep only what can be made again.
fn diff_ids(store: &Store, config: &Digest) -> Vec<Digest> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        diff_ids: Vec<Digest>,
    }
    let config = read(store, config, MAX_CONFIG).ok().and_then(|bytes| serde_json::from_slice::<Config>(&bytes).ok());
    config.map_or(Vec::new(), |config| config.rootfs.diff_ids)
}

/// The verified bytes of a blob. Not [`Store::read_blob`]: to look changes nothing, so what is damaged stays where it is.
fn read(store: &Store, digest: &Digest, limit: u64) -> Result<Vec<u8>, String> {
    let file = File::open(store.blob_path(digest)).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be opened: {error}"),
    })?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("has more than {limit} bytes"));
    }
    let found = Digest::of(&bytes);
    if found == *digest { Ok(bytes) } else { Err(format!("is damaged: its bytes have the digest {found}")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::format::MediaTypes;

    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    struct Fixture {
        _directory: tempfile::TempDir,
        store: Store,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::open(directory.path().join("store")).unwrap();
            Fixture { _directory: directory, store }
        }

        fn blob(&self, media_type: &str, content: &Value) -> Value {
            let bytes = content.to_string().into_bytes();
            let digest = self.store.put_blob(&bytes).unwrap();
            json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        }

        fn list(&self, entries: &[&Value]) {
            let index = json!({"schemaVersion": 2, "manifests": entries});
            std::fs::write(self.store.path(layout::INDEX_FILE), index.to_string()).unwrap();
        }
    }

    fn digest(descriptor: &Value) -> Digest {
        descriptor["digest"].as_str().unwrap().parse().unwrap()
    }

    fn manifest(config: &Value, layers: &[&Value]) -> Value {
        json!({"schemaVersion": 2, "config": config, "layers": layers})
    }

    #[test]
    fn all_that_documents_name_is_needed_at_any_depth() {
        let fixture = Fixture::new();
        let diff_id = Digest::of(b"tar");
        let config = json!({"rootfs": {"type": "layers", "diff_ids": [diff_id]}});
        let config = fixture.blob("application/vnd.oci.image.config.v1+json", &config);
        let layer = fixture.blob("application/vnd.oci.image.layer.v1.tar+gzip", &json!("layer"));
        let image = fixture.blob(MANIFEST, &manifest(&config, &[&layer]));
        let inner = fixture.blob(INDEX, &json!({"schemaVersion": 2, "manifests": [image]}));
        let outer = fixture.blob(INDEX, &json!({"schemaVersion": 2, "manifests": [inner]}));
        // A referrer: an artifact whose subject is an image that nothing else names.
        let other = fixture.blob(MANIFEST, &manifest(&config, &[]));
        let signature = fixture.blob("application/x-signature", &json!("s"));
        let mut artifact = manifest(&fixture.blob("application/vnd.oci.empty.v1+json", &json!({})), &[&signature]);
        artifact["subject"] = other.clone();
        let artifact = fixture.blob(MANIFEST, &artifact);
        let foreign = fixture.blob("application/x-bundle", &json!({"parts": [{"digest": digest(&layer), "size": 7}]}));
        let unneeded = fixture.blob(MANIFEST, &manifest(&config, &[&signature]));
        fixture.list(&[&outer, &artifact, &foreign]);

        let reachable = Reachable::from(&fixture.store).unwrap();
        reachable.check().unwrap();
        for needed in [&outer, &inner, &image, &config, &layer, &artifact, &other, &signature, &foreign] {
            assert!(reachable.needs_blob(&digest(needed)), "{needed}");
        }
        assert!(!reachable.needs_blob(&digest(&unneeded)) && reachable.needs_layer(&diff_id));
        let below_image = [&outer, &inner, &image, &config, &layer].map(digest);
        assert_eq!(reachable.below(&digest(&outer)), BTreeSet::from(below_image));
    }

    #[test]
    fn references_that_are_set_later_are_added_and_none_is_taken_away() {
        let fixture = Fixture::new();
        let [a, b] = ["a", "b"].map(|name| {
            let config = fixture.blob("application/vnd.oci.image.config.v1+json", &json!(name));
            fixture.blob(MANIFEST, &manifest(&config, &[]))
        });
        fixture.list(&[&a]);
        let mut reachable = Reachable::from(&fixture.store).unwrap();
        assert!(reachable.needs_blob(&digest(&a)) && !reachable.needs_blob(&digest(&b)));
        fixture.list(&[&b]);
        reachable.extend(&fixture.store).unwrap();
        assert!(reachable.needs_blob(&digest(&a)) && reachable.needs_blob(&digest(&b)));
    }

    #[test]
    fn a_document_that_cannot_be_read_is_named_and_left_where_it_is() {
        let text = MediaType::Manifest(MediaTypes::Oci).to_string();
        for (bytes, reason) in [
            (None, "is missing"),
            (Some(&b"{}"[..]), "is damaged: its bytes have the digest"),
            (Some(b"not what it was"), "is damaged"),
        ] {
            let fixture = Fixture::new();
            let mut entry = fixture.blob(&text, &manifest(&json!({}), &[]));
            let path = fixture.store.blob_path(&digest(&entry));
            std::fs::remove_file(&path).unwrap();
            bytes.iter().for_each(|bytes| std::fs::write(&path, bytes).unwrap());
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": "shop/web:1"});
            fixture.list(&[&entry]);
            let error = Reachable::from(&fixture.store).unwrap().check().unwrap_err().to_string();
            assert!(error.contains("`shop/web:1`") && error.contains(reason), "{error}");
            assert_eq!(path.exists(), bytes.is_some());
        }
        let fixture = Fixture::new();
        let entry = fixture.blob(&text, &json!({"schemaVersion": 2}));
        fixture.list(&[&entry]);
        let error = Reachable::from(&fixture.store).unwrap().check().unwrap_err().to_string();
        assert!(error.contains("is not valid: missing field"), "{error}");
        assert!(error.contains(&digest(&entry).to_string()), "a nameless one is called by its digest: {error}");
    }
}
