//! References: the names in index.json.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::format::MediaTypes;
use crate::oci::{Descriptor, MediaType, REF_NAME, canonical_json};

use super::lock::Lock;
use super::temporary::Temporary;
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

    /// Sets these references, all or none; others stay as they are. Of a name given twice, the last one counts.
    ///
    /// # Errors
    /// A descriptor's blob is not in the store in its size; index.json is damaged or cannot be written.
    pub fn set_references(&self, references: &[(String, Descriptor)]) -> Result<(), StoreError> {
        for (name, descriptor) in references {
            let Descriptor { digest, size, .. } = *descriptor;
            if self.contains(&digest) != Some(size) {
                return Err(StoreError::DanglingReference { name: name.clone(), digest, size });
            }
        }
        let new: BTreeMap<&String, &Descriptor> = references.iter().map(|(name, target)| (name, target)).collect();
        self.change_index(|index| {
            let names: BTreeSet<&str> = new.keys().map(|name| name.as_str()).collect();
            index.manifests.retain(|entry| name_of(entry).is_none_or(|name| !names.contains(name)));
            for (name, descriptor) in new {
                let mut descriptor = descriptor.clone();
                descriptor.annotations.insert(REF_NAME.to_owned(), name.clone());
                let entry = serde_json::to_value(descriptor).expect("a descriptor has string keys only");
                index.manifests.push(entry);
            }
        })
    }

    /// Removes a reference; the blobs stay. False if there was none of this name.
    pub fn remove_reference(&self, name: &str) -> Result<bool, StoreError> {
        let mut found = false;
        self.change_index(|index| {
            let before = index.manifests.len();
            index.manifests.retain(|entry| name_of(entry) != Some(name));
            found = index.manifests.len() < before;
        })?;
        Ok(found)
    }

    /// Changes index.json as it is now, not as this process saw it last: that is what the lock is for.
    fn change_index(&self, change: impl FnOnce(&mut IndexFile)) -> Result<(), StoreError> {
        let _lock = Lock::acquire(&self.path(layout::INDEX_LOCK))?;
        let old = self.read_index()?;
        let mut new = old.clone();
        change(&mut new);
        new.sort();
        if new == old {
            return Ok(());
        }
        let path = self.path(layout::INDEX_FILE);
        let mut temporary = Temporary::create(&self.path(layout::INGEST))?;
        temporary.write_all(&canonical_json(&new)).map_err(StoreError::write("write", &path))?;
        temporary.persist(&path, 0o600)
    }

    /// A missing file is an empty index: that is what a person leaves who follows the advice about a damaged one.
    fn read_index(&self) -> Result<IndexFile, StoreError> {
        let path = self.path(layout::INDEX_FILE);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(IndexFile::default()),
            bytes => bytes.map_err(StoreError::read("read", &path))?,
        };
        let index: IndexFile = serde_json::from_slice(&bytes).map_err(|error| self.damaged(error.to_string()))?;
        if index.schema_version != 2 {
            return Err(self.damaged(format!("its schema version is {}, not 2", index.schema_version)));
        }
        Ok(index)
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
    /// By name; entries without one come last and keep their order.
    fn sort(&mut self) {
        self.manifests.sort_by(|a, b| {
            let key = |entry| name_of(entry).map_or((true, ""), |name| (false, name));
            key(a).cmp(&key(b))
        });
    }
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(REF_NAME)?.as_str()
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
}
