//! The wire types of image-spec 1.1 and of Docker's schema 2, as they are read and written.
//!
//! These are not oci-spec's structs: those keep annotations and labels in hash maps, whose order would reach the
//! bytes, and drop what Docker adds to the config (health check, shell). oci-spec names the media types, and
//! `image::validate` parses with it what these wrote.

mod canonical;
mod config;
mod manifest;
mod media_type;
mod reference;
mod repository;

pub use canonical::canonical_json;
pub use config::{ContainerConfig, HealthConfig, History, ImageConfig, RootFs};
pub use manifest::{Descriptor, Index, Manifest, WirePlatform};
pub use media_type::MediaType;
pub use reference::{Reference, ReferenceError};
pub use repository::Repository;

/// The annotation with the digest of the image below (ibid).
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The annotation with the name of the image below (ibid).
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";

use serde::{Deserialize, Deserializer};

/// The annotation under which an image layout lists a name (image-spec, "Pre-Defined Annotation Keys").
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Go's encoder writes `null` for an empty list or map.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
