//! Names under which archives list an image.

use crate::oci::Reference;

use super::SinkError;

/// `names` as `docker load` and `podman load` take them: each with a tag, `latest` where none is given.
pub fn repository_tags(names: &[String]) -> Result<Vec<String>, SinkError> {
    let tag = |name: &String| match name.parse::<Reference>()? {
        Reference { digest: Some(_), .. } => Err(SinkError::NameWithDigest { name: name.clone() }),
        reference => Ok(reference.or_latest().to_string()),
    };
    names.iter().map(tag).collect()
}
