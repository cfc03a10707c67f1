//! What marks a directory or an archive as an image layout (image-spec, "Image Layout § oci-layout file").

use std::path::Path;

use serde::Deserialize;

use crate::image::{ImageError, document};
use crate::oci::Index;

/// More bytes than any `oci-layout` file has.
pub const MAX_VERSION_FILE: u64 = 4096;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionFile {
    image_layout_version: String,
}

/// Checks the content of the file `oci-layout` of the layout at `path`.
pub fn check_version(path: &Path, content: Option<Vec<u8>>) -> Result<(), ImageError> {
    let content = content.ok_or_else(|| not_a_layout(path, "it has no file `oci-layout`"))?;
    match serde_json::from_slice::<VersionFile>(&content) {
        Ok(file) if file.image_layout_version == "1.0.0" => Ok(()),
        Ok(file) => Err(not_a_layout(path, &format!("its version is `{}`, not `1.0.0`", file.image_layout_version))),
        Err(error) => Err(not_a_layout(path, &format!("`oci-layout`: {error}"))),
    }
}

/// Reads the content of the file `index.json` of the layout at `path`.
pub fn parse_index(path: &Path, content: Option<Vec<u8>>) -> Result<Index, ImageError> {
    let content = content.ok_or_else(|| not_a_layout(path, "it has no `index.json`"))?;
    document::parse_index(&content).map_err(|error| not_a_layout(path, &format!("`index.json`: {error}")))
}

/// The error that there is no image layout at `path`.
pub fn not_a_layout(path: &Path, problem: &str) -> ImageError {
    ImageError::NotA { path: path.to_owned(), what: "an OCI image layout", problem: problem.to_owned() }
}
