//! The wire types of image-spec 1.1 and of Docker's schema 2, as they are read and written.
//!
//! These are not oci-spec's structs: those keep annotations and labels in hash maps, whose order would reach the
//! bytes, and drop what Docker adds to the config (health check, shell). oci-spec names the media types, and
//! `image::validate` parses with it what these wrote.

mod config;
mod manifest;
mod media_type;
mod reference;

pub use config::{ContainerConfig, HealthConfig, History, ImageConfig, RootFs};
pub use manifest::{Descriptor, Index, Manifest, WirePlatform};
pub use media_type::MediaType;
pub use reference::{Reference, ReferenceError};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The annotation under which an image layout lists a name (image-spec, "Pre-Defined Annotation Keys").
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// JSON as encoding v1 writes it: UTF-8, no insignificant white space, keys of every object sorted bytewise.
///
/// # Panics
/// If `value` has a map whose keys are not strings; no wire type has one.
pub fn canonical_json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut value = serde_json::to_value(value).expect("wire types have string keys only");
    sort_keys(&mut value);
    serde_json::to_vec(&value).expect("a value can be written")
}

/// Go's encoder writes `null` for an empty list or map.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // Always so, unless some dependency turns on serde_json's `preserve_order`.
            if !map.keys().is_sorted() {
                let mut pairs: Vec<(String, Value)> = std::mem::take(map).into_iter().collect();
                pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
                map.extend(pairs);
            }
            map.values_mut().for_each(sort_keys);
        }
        Value::Array(items) => items.iter_mut().for_each(sort_keys),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_sorts_keys_at_every_depth() {
        let value: Value = serde_json::from_str(r#"{"b": [{"z": 1, "a": "é"}], "a": null}"#).unwrap();
        assert_eq!(canonical_json(&value), r#"{"a":null,"b":[{"a":"é","z":1}]}"#.as_bytes());
    }
}
