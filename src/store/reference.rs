//! References: the names in index.json.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::format::MediaTypes;
use crate::oci::{Descriptor, MediaType, REF_NAME, WirePlatform, canonical_json};

use super::lock::Lock;
use super::temporary::{Temporary, sync_directory};
use super::{Store, StoreError, layout};

impl Store {
    /// All references by name. The descriptors come without the annotation that holds the name.
    ///
    /// # Errors
    /// index.json cannot be read or is damaged.
    pub fn references(&self) -> Result<BTreeMap<String, Descriptor>, StoreError> {
        let mut references = BTreeMap::new();
        for entry in self.read_index()?.manifests {
            let Some(name) = name_of(&entry) else { continue };
            let name = name.to_owned();
            let descriptor = serde_json::from_value::<Descriptor>(entry);
            let mut descriptor = descriptor.map_err(|error| self.damaged(format!("entry `{name}`: {error}")))?;
            descriptor.annotations.remove(REF_NAME);
            references.insert(name, descriptor);
        }
        Ok(references)
    }

    /// What index.json lists without a name: what other tools put there, and [`Store::keep_unnamed`].
    ///
    /// # Errors
    /// As [`Store::references`].
    pub fn unnamed(&self) -> Result<Vec<Descriptor>, StoreError> {
        let unnamed = self.read_index()?.manifests.into_iter().filter(|entry| name_of(entry).is_none());
        let descriptor = |entry| {
            serde_json::from_value::<Descriptor>(entry)
                .map_err(|error| self.damaged(format!("one of its entries: {error}")))
        };
        unnamed.map(descriptor).collect()
    }

    /// Lists this without a name, so that it is kept, unless index.json has it under some name or none.
    ///
    /// # Errors
    /// As [`Store::set_references`].
    pub fn keep_unnamed(&self, descriptor: &Descriptor) -> Result<(), StoreError> {
        let Descriptor { digest, size, .. } = *descriptor;
        if self.contains(&digest) != Some(size) {
            return Err(StoreError::DanglingReference { name: digest.to_string(), digest, size });
        }
        self.change_index(|index| {
            if !index.manifests.iter().any(|entry| is_of(entry, &digest)) {
                index.manifests.push(serde_json::to_value(descriptor).expect("a descriptor has string keys only"));
            }
        })
    }

    /// Removes the references of these names, and the entries without a name that lead to these digests, all or none. The
    /// blobs stay. What is not there need not be removed.
    ///
    /// # Errors
    /// index.json is damaged or cannot be written.
    pub fn remove_references(&self, names: &BTreeSet<String>, unnamed: &BTreeSet<Digest>) -> Result<(), StoreError> {
        self.change_index(|index| {
            index.manifests.retain(|entry| match name_of(entry) {
                Some(name) => !names.contains(name),
                None => !unnamed.iter().any(|digest| is_of(entry, digest)),
            });
        })
    }

    /// What index.json lists, by name, also what has no name there: that is called by its digest.
    ///
    /// # Errors
    /// As [`Store::references`].
    pub(super) fn roots(&self) -> Result<Vec<(String, Descriptor)>, StoreError> {
        let root = |entry: Value| {
            let name = name_of(&entry).map(str::to_owned);
            let descriptor = serde_json::from_value::<Descriptor>(entry);
            let descriptor = descriptor.map_err(|error| self.damaged(format!("one of its entries: {error}")))?;
            Ok((name.unwrap_or_else(|| descriptor.digest.to_string()), descriptor))
        };
        self.read_index()?.manifests.into_iter().map(root).collect()
    }

    /// Sets these references, all or none; others stay as they are. Of a name given twice, the last one counts.
    ///
    /// # Errors
    /// A descriptor's blob is not in the store in its size; index.json is damaged or cannot be written.
    pub fn set_references(&self, references: &[(String, Descriptor)]) -> Result<(), StoreError> {
        let missing =
            |(_, descriptor): &&(String, Descriptor)| self.contains(&descriptor.digest) != Some(descriptor.size);
        if let Some((name, Descriptor { digest, size, .. })) = references.par_iter().find_first(missing) {
            return Err(StoreError::DanglingReference { name: name.clone(), digest: *digest, size: *size });
        }
        let new: BTreeMap<&str, &Descriptor> =
            references.iter().map(|(name, target)| (name.as_str(), target)).collect();
        if self.lists_all(&new)? {
            return self.flush_new_blobs();
        }
        self.change_index(|index| {
            index.manifests.retain(|entry| name_of(entry).is_none_or(|name| !new.contains_key(name)));
            for (&name, &descriptor) in &new {
                let mut descriptor = descriptor.clone();
                descriptor.annotations.insert(REF_NAME.to_owned(), name.to_owned());
                let entry = serde_json::to_value(descriptor).expect("a descriptor has string keys only");
                index.manifests.push(entry);
            }
        })
    }

    /// Changes index.json as it is now, not as this process saw it last: that is what the lock is for. A change that
    /// changes nothing takes no lock, so a build that finds everything done works on a read-only store.
    fn change_index(&self, change: impl Fn(&mut IndexFile)) -> Result<(), StoreError> {
        if self.read_index()?.changed(&change).is_none() {
            return self.flush_new_blobs();
        }
        let _lock = Lock::acquire(&self.path(layout::INDEX_LOCK))?;
        let Some(index) = self.read_index()?.changed(&change) else { return Ok(()) };
        // Blobs are given their names without a flush of the directory, by this process or another one, and a reference
        // must not outlive those names in a power failure.
        sync_directory(&self.path(layout::BLOBS))?;
        let path = self.path(layout::INDEX_FILE);
        let mut temporary = Temporary::create(&self.path(layout::INGEST))?;
        temporary.write_all(&canonical_json(&index)).map_err(StoreError::write("write", &path))?;
        temporary.persist(&path, 0o600)
    }

    /// A blob that the index names already may have been missing, and be back.
    fn flush_new_blobs(&self) -> Result<(), StoreError> {
        let has_new = self.has_new_blobs.load(Ordering::Acquire);
        if has_new { sync_directory(&self.path(layout::BLOBS)) } else { Ok(()) }
    }

    /// True if the index lists these references and no others of their names. False if that can't be told by the bytes.
    /// Of 10,000 entries this takes a tenth of the time that a look at their values does.
    fn lists_all(&self, references: &BTreeMap<&str, &Descriptor>) -> Result<bool, StoreError> {
        let Some(bytes) = self.index_bytes()? else { return Ok(references.is_empty()) };
        let Ok(index) = serde_json::from_slice::<RawIndex>(&bytes) else { return Ok(false) };
        let entries = references.iter().map(|(name, descriptor)| Entry::new(name, descriptor));
        let entries: BTreeSet<String> = entries.filter_map(|entry| serde_json::to_string(&entry).ok()).collect();
        let (listed, others): (Vec<&RawValue>, Vec<&RawValue>) =
            index.manifests.iter().partition(|entry| entries.contains(entry.get()));
        let is_other = |entry: &&RawValue| {
            let name = serde_json::from_str::<RawName>(entry.get());
            name.is_ok_and(|entry| entry.annotations.name.is_none_or(|name| !references.contains_key(&*name)))
        };
        Ok(listed.len() == references.len() && index.schema_version == 2 && others.iter().all(is_other))
    }

    /// A missing file is an empty index: that is what a person leaves who follows the advice about a damaged one.
    fn read_index(&self) -> Result<IndexFile, StoreError> {
        let Some(bytes) = self.index_bytes()? else { return Ok(IndexFile::default()) };
        let index: IndexFile = serde_json::from_slice(&bytes).map_err(|error| self.damaged(error.to_string()))?;
        if index.schema_version != 2 {
            return Err(self.damaged(format!("its schema version is {}, not 2", index.schema_version)));
        }
        Ok(index)
    }

    fn index_bytes(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(layout::INDEX_FILE);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.map(Some).map_err(StoreError::read("read", &path)),
        }
    }

    fn damaged(&self, reason: String) -> StoreError {
        StoreError::DamagedIndex { path: self.path(layout::INDEX_FILE), reason }
    }
}

/// index.json, with entries kept as they are: those of other tools have fields that ocify does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IndexFile {
    schema_version: u32,
    manifests: Vec<Value>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Default for IndexFile {
    fn default() -> Self {
        let media_type = MediaType::Index(MediaTypes::Oci).to_string();
        let other = Map::from_iter([("mediaType".to_owned(), Value::String(media_type))]);
        IndexFile { schema_version: 2, manifests: Vec::new(), other }
    }
}

impl IndexFile {
    /// The index after `change`, in order; `None` if it is the same.
    fn changed(&self, change: impl Fn(&mut IndexFile)) -> Option<IndexFile> {
        let mut new = self.clone();
        change(&mut new);
        new.sort();
        (new != *self).then_some(new)
    }

    /// By name; entries without one come last and keep their order.
    fn sort(&mut self) {
        self.manifests.sort_by(|a, b| {
            let key = |entry| name_of(entry).map_or((true, ""), |name| (false, name));
            key(a).cmp(&key(b))
        });
    }
}

/// index.json with its entries as they are written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIndex<'a> {
    schema_version: u32,
    #[serde(borrow)]
    manifests: Vec<&'a RawValue>,
}

/// What an entry is called, whatever else is in it.
#[derive(Deserialize)]
struct RawName<'a> {
    #[serde(borrow, default)]
    annotations: NameOnly<'a>,
}

#[derive(Default, Deserialize)]
struct NameOnly<'a> {
    #[serde(borrow, rename = "org.opencontainers.image.ref.name")]
    name: Option<Cow<'a, str>>,
}

/// An entry as it is written: [`Descriptor`] with its name among the annotations and its fields in the order of
/// canonical JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    annotations: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: &'a Option<String>,
    digest: &'a Digest,
    media_type: &'a MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: &'a Option<WirePlatform>,
    size: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    urls: &'a [String],
}

impl<'a> Entry<'a> {
    fn new(name: &'a str, descriptor: &'a Descriptor) -> Self {
        let Descriptor { media_type, digest, size, urls, data, platform, artifact_type, annotations } = descriptor;
        let mut annotations: BTreeMap<&str, &str> =
            annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        annotations.insert(REF_NAME, name);
        Entry { annotations, artifact_type, data, digest, media_type, platform, size: *size, urls }
    }
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(REF_NAME)?.as_str()
}

fn is_of(entry: &Value, digest: &Digest) -> bool {
    entry.get("digest").and_then(Value::as_str).is_some_and(|text| text == digest.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_sorted_by_name_and_nameless_ones_keep_their_order() {
        let named = |name: &str| json!({"annotations": {REF_NAME: name}});
        let manifests = vec![json!({"n": 2}), named("b"), json!({"n": 1}), named(""), named("a")];
        let mut index = IndexFile { manifests, ..IndexFile::default() };
        index.sort();
        assert_eq!(index.manifests, [named(""), named("a"), named("b"), json!({"n": 2}), json!({"n": 1})]);
    }

    fn new_store() -> (tempfile::TempDir, Store, Descriptor) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let digest = store.put_blob(b"{}").unwrap();
        (directory, store, Descriptor::new(MediaType::Manifest(MediaTypes::Oci), digest, 2))
    }

    #[test]
    fn a_reference_is_replaced_and_removed_by_name() {
        let (_directory, store, old) = new_store();
        let mut new = old.clone();
        new.annotations.insert("a".into(), "b".into());
        store.set_references(&[("x".into(), old.clone()), ("y".into(), old.clone())]).unwrap();
        store.set_references(&[("x".into(), old.clone()), ("x".into(), new.clone())]).unwrap();
        assert_eq!(store.references().unwrap(), BTreeMap::from([("x".into(), new), ("y".into(), old.clone())]));
        for names in [["x"], ["none"]] {
            store.remove_references(&names.map(str::to_owned).into(), &BTreeSet::new()).unwrap();
        }
        assert_eq!(store.references().unwrap(), BTreeMap::from([("y".into(), old)]));
    }

    #[test]
    fn what_has_no_name_is_listed_once_and_removed_by_digest() {
        let (_directory, store, descriptor) = new_store();
        store.keep_unnamed(&descriptor).unwrap();
        store.keep_unnamed(&descriptor).unwrap();
        store.set_references(&[("x".into(), descriptor.clone())]).unwrap();
        assert_eq!(store.unnamed().unwrap(), std::slice::from_ref(&descriptor));
        let unnamed = BTreeSet::from([descriptor.digest]);
        store.remove_references(&BTreeSet::new(), &unnamed).unwrap();
        assert_eq!(store.unnamed().unwrap(), []);
        store.keep_unnamed(&descriptor).unwrap();
        assert_eq!(store.unnamed().unwrap(), [], "it has a name");
        assert_eq!(store.references().unwrap().len(), 1);
    }

    #[test]
    fn an_index_that_lists_everything_is_recognised_by_its_bytes() {
        let (_directory, store, descriptor) = new_store();
        let mut full = descriptor.clone();
        full.annotations = BTreeMap::from([("a".into(), "\"é".into()), ("z".into(), "".into())]);
        full.platform = Some(WirePlatform {
            architecture: "arm".into(),
            os: "linux".into(),
            os_version: Some("1".into()),
            variant: Some("v7".into()),
        });
        (full.urls, full.data) = (vec!["u".into()], Some("e30=".into()));
        store.set_references(&[("a".into(), descriptor.clone()), ("b".into(), full.clone())]).unwrap();
        let lists =
            |references: &[(&str, &Descriptor)]| store.lists_all(&references.iter().copied().collect()).unwrap();
        assert!(lists(&[("a", &descriptor), ("b", &full)]) && lists(&[("b", &full)]) && lists(&[]));
        assert!(!lists(&[("a", &full)]) && !lists(&[("c", &full)]) && !lists(&[("b", &full), ("c", &full)]));

        let path = store.path(layout::INDEX_FILE);
        let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let entries = index["manifests"].as_array_mut().unwrap();
        entries.push(json!({"annotations": {REF_NAME: "a"}, "digest": "of another tool"}));
        entries.push(json!({"digest": "without a name"}));
        fs::write(&path, index.to_string()).unwrap();
        assert!(!lists(&[("a", &descriptor)]), "two of that name");
        assert!(lists(&[("b", &full)]));
    }

    #[test]
    fn a_reference_to_what_is_not_there_is_refused() {
        let (_directory, store, good) = new_store();
        let mut bad = good.clone();
        bad.size += 1;
        let error = store.set_references(&[("good".into(), good), ("bad".into(), bad)]).unwrap_err();
        assert!(matches!(&error, StoreError::DanglingReference { name, .. } if name == "bad"), "{error}");
        assert!(store.references().unwrap().is_empty());
    }

    #[test]
    fn entries_of_other_tools_are_kept_whole() {
        let (_directory, store, descriptor) = new_store();
        let nameless = json!({"mediaType": "x/y", "digest": descriptor.digest, "size": 2, "artifactType": "z/z"});
        let named = json!({"mediaType": "x/y", "digest": descriptor.digest, "size": 2, "urls": ["u"],
            "annotations": {REF_NAME: "z"}});
        let index = json!({"schemaVersion": 2, "annotations": {"k": "v"}, "manifests": [nameless, named]});
        let path = store.path(layout::INDEX_FILE);
        fs::write(&path, index.to_string()).unwrap();
        store.set_references(&[("a".into(), descriptor)]).unwrap();
        let index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(index["annotations"], json!({"k": "v"}));
        assert_eq!((&index["manifests"][1], &index["manifests"][2]), (&named, &nameless));
        assert_eq!(store.references().unwrap().into_keys().collect::<Vec<_>>(), ["a", "z"]);
    }

    #[test]
    fn a_damaged_index_is_named_and_not_overwritten() {
        let (_directory, store, descriptor) = new_store();
        let path = store.path(layout::INDEX_FILE);
        let entry = r#"{"schemaVersion":2,"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"x"}}]}"#;
        for text in ["", "{}", "[1]", r#"{"schemaVersion":1,"manifests":[]}"#, entry] {
            fs::write(&path, text).unwrap();
            let error = store.references().unwrap_err();
            assert!(matches!(&error, StoreError::DamagedIndex { path: named, .. } if *named == path), "{error}");
            assert!(error.to_string().contains("restore it from a copy, or remove it"), "{error}");
        }
        fs::write(&path, "{").unwrap();
        let set = |store: &Store| store.set_references(&[("x".into(), descriptor.clone())]);
        assert!(matches!(set(&store), Err(StoreError::DamagedIndex { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"{");
        fs::remove_file(&path).unwrap();
        set(&store).unwrap();
        assert_eq!(store.references().unwrap().len(), 1);
    }
}
