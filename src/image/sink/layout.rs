//! An OCI image layout as a directory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde_json::{Map, Value, json};

use crate::digest::{Digest, HashingReader};
use crate::image::ImageOrIndex;
use crate::image::document::MAX_MANIFEST;
use crate::oci::{Descriptor, REF_NAME, canonical_json};
use crate::store::Store;

use super::output::{OutputDirectory, OutputFile, sync};
use super::{SinkError, blobs, listed, open};

/// The content of the file `oci-layout`.
pub const VERSION_FILE: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes an image or index to the OCI image layout `directory`, listed under `names` or under none.
///
/// Where nothing is yet or an empty directory, a layout is made. To a layout that is there the image is added; a name
/// that is listed already then leads to this image. Blobs are copied and not linked, so that nobody can damage the store
/// through the layout.
///
/// # Errors
/// `directory` holds something else; a blob is missing or damaged; the layout cannot be written.
pub fn oci_layout(store: &Store, what: &ImageOrIndex, names: &[String], directory: &Path) -> Result<(), SinkError> {
    let occupied = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return add(store, what, names, directory);
    }
    let output = OutputDirectory::create(directory)?;
    let root = output.temporary().join("layout");
    fs::create_dir(&root).map_err(SinkError::write(directory))?;
    let written = Written { root: &root, new: Vec::new() };
    written.all(store, what, |blobs| {
        blobs.write("oci-layout", VERSION_FILE)?;
        blobs.write("index.json", &index(None, listed(what, names)))
    })?;
    output.finish(&root)
}

/// Adds to a layout that is there. Others may be adding to it: the lock on the directory makes them wait, so that no
/// entry of `index.json` is lost.
fn add(store: &Store, what: &ImageOrIndex, names: &[String], directory: &Path) -> Result<(), SinkError> {
    let not_a_layout = |problem: String| SinkError::NotALayout { path: directory.to_owned(), problem };
    let lock = File::open(directory).map_err(SinkError::write(directory))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)
        .map_err(|error| SinkError::write(directory)(error.into()))?;

    let version =
        read_json(&directory.join("oci-layout")).map_err(|error| not_a_layout(format!("`oci-layout`: {error}")))?;
    if version.get("imageLayoutVersion") != Some(&json!("1.0.0")) {
        return Err(not_a_layout("its version is not `1.0.0`".into()));
    }
    let old =
        read_json(&directory.join("index.json")).map_err(|error| not_a_layout(format!("`index.json`: {error}")))?;
    if !old.get("manifests").is_some_and(Value::is_array) {
        return Err(not_a_layout("`index.json` has no list of manifests".into()));
    }
    let written = Written { root: directory, new: Vec::new() };
    written.all(store, what, |blobs| blobs.write("index.json", &index(Some(old), listed(what, names))))
}

/// The files that were written into a layout so far; they are removed again if not all can be written.
struct Written<'a> {
    root: &'a Path,
    new: Vec<PathBuf>,
}

impl Written<'_> {
    /// Copies the blobs, then does what is left, which lists them.
    fn all(
        mut self,
        store: &Store,
        what: &ImageOrIndex,
        list: impl FnOnce(&mut Self) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let result = self.blobs(store, what).and_then(|()| list(&mut self));
        if result.is_err() {
            // The error that is reported is the first one; a file that cannot be removed is an unlisted blob.
            self.new.iter().for_each(|path| drop(fs::remove_file(path)));
        }
        result
    }

    fn blobs(&mut self, store: &Store, what: &ImageOrIndex) -> Result<(), SinkError> {
        let directory = self.root.join("blobs/sha256");
        fs::create_dir_all(&directory).map_err(SinkError::write(&directory))?;
        for (digest, size) in blobs(what) {
            let path = directory.join(digest.hex());
            if is_blob(&path, digest, size) {
                continue;
            }
            let mut blob = open(store, &digest, size)?;
            let mut output = OutputFile::create(&path)?;
            io::copy(&mut blob, output.writer()).map_err(|source| SinkError::Blob { digest, source })?;
            output.finish()?;
            self.new.push(path);
        }
        sync(&directory).map_err(SinkError::write(&directory))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), SinkError> {
        let mut output = OutputFile::create(&self.root.join(name))?;
        io::Write::write_all(output.writer(), bytes).map_err(SinkError::write(&self.root.join(name)))?;
        output.finish()
    }
}

/// True if the file at `path` is this blob, byte for byte.
fn is_blob(path: &Path, digest: Digest, size: u64) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut reader = HashingReader::new(file.take(size.saturating_add(1)));
    io::copy(&mut reader, &mut io::sink()).is_ok() && reader.finish() == (digest, size)
}

/// `index.json` with `new` added to what `old` lists. Entries of other tools stay as they are, also where ocify does not
/// know what they say.
fn index(old: Option<Map<String, Value>>, new: Vec<Descriptor>) -> Vec<u8> {
    let mut index = old.unwrap_or_else(|| {
        let media_type = json!("application/vnd.oci.image.index.v1+json");
        Map::from_iter([("schemaVersion".into(), json!(2)), ("mediaType".into(), media_type)])
    });
    let mut entries = match index.remove("manifests") {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    };
    for descriptor in new {
        let name = descriptor.annotations.get(REF_NAME).cloned();
        let entry = serde_json::to_value(&descriptor).expect("a descriptor has string keys only");
        entries.retain(|old| match (&name, name_of(old)) {
            (Some(new), Some(old)) => new != old,
            (None, None) => old.get("digest") != entry.get("digest"),
            _ => true,
        });
        entries.push(entry);
    }
    index.insert("manifests".into(), Value::Array(entries));
    canonical_json(&index)
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(REF_NAME)?.as_str()
}

fn read_json(path: &Path) -> io::Result<Map<String, Value>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_MANIFEST + 1).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}
