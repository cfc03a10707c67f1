//! Files that say what was built and pushed, for the steps of a pipeline that follow.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::image::ImageOrIndex;
use crate::image::sink::OutputFile;
use crate::oci::Reference;

/// An image with the names that it was pushed to.
pub(super) struct Pushed {
    pub(super) what: ImageOrIndex,
    pub(super) names: Vec<Reference>,
}

/// Writes a digest, without a newline, as `podman push --digestfile` does.
pub(super) fn write_digest(file: &Path, digest: &Digest) -> Result<(), Diagnostic> {
    write_bytes(file, digest.to_string().as_bytes())
}

/// Writes an object with a field for each image, under its label or name; what is in it has the keys of `docker buildx
/// build --metadata-file`.
pub(super) fn write(file: &Path, images: &[(String, Pushed)]) -> Result<(), Diagnostic> {
    let field = |(title, pushed): &(String, Pushed)| (title.clone(), object(pushed));
    let images: Map<String, Value> = images.iter().map(field).collect();
    write_bytes(file, format!("{:#}\n", Value::Object(images)).as_bytes())
}

fn object(Pushed { what, names }: &Pushed) -> Value {
    let platforms = what.images().into_iter().map(|image| (image.platform().to_string(), json!(image.digest())));
    json!({
        "containerimage.descriptor": what.descriptor(),
        "containerimage.digest": what.digest(),
        "image.name": names.iter().map(Reference::to_string).collect::<Vec<_>>().join(","),
        "ocify.platforms": platforms.collect::<Map<String, Value>>(),
    })
}

fn write_bytes(file: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    let unwritable = || Diagnostic::failure(format!("{} cannot be written", file.display()));
    let mut out = OutputFile::create(file).map_err(|error| unwritable().caused_by(error))?;
    out.writer().write_all(bytes).map_err(|error| unwritable().caused_by(error))?;
    out.finish().map_err(|error| unwritable().caused_by(error))
}
