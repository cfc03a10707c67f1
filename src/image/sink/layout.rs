//! An OCI image layout as a directory.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde_json::{Map, Value, json};

use crate::digest::{Digest, HashingReader};
use crate::image::ImageOrIndex;
use crate::image::document::MAX_MANIFEST;
use crate::oci::{Descriptor, REF_NAME, canonical_json};
use crate::store::Store;

use super::output::{OutputDirectory, OutputFile};
use super::{SinkError, blobs, copy_error, listed, open};

/// The content of the file `oci-layout`.
pub const VERSION_FILE: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes an image or index to the OCI image layout `directory`, listed under `names` or under none.
///
/// Where nothing is yet or an empty directory, a layout is made. To a layout that is there the image is added; a name
/// that is listed already then leads to this image. Blobs are copied and not linked, so that nobody can damage the store
/// through the layout.
///
/// An image of Docker's media types can be in a layout, but skopeo finds it there by no name, only as the single one.
///
/// # Errors
/// `directory` holds something else; a blob is missing or damaged; the layout cannot be written.
pub fn oci_layout(store: &Store, what: &ImageOrIndex, names: &[String], directory: &Path) -> Result<(), SinkError> {
    if directory.is_dir() {
        return add(store, what, names, directory);
    }
    let output = OutputDirectory::create(directory)?;
    let root = output.temporary().join("layout");
    fs::create_dir(&root).map_err(SinkError::write(directory))?;
    fill(store, what, &root, None, listed(what, names))?;
    output.finish(&root)
}

/// Adds to a directory that is there. Others may be adding to it: the lock on the directory makes them wait, so that no
/// entry of `index.json` is lost.
fn add(store: &Store, what: &ImageOrIndex, names: &[String], directory: &Path) -> Result<(), SinkError> {
    let lock = File::open(directory).map_err(SinkError::write(directory))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)
        .map_err(|error| SinkError::write(directory)(error.into()))?;
    let mut there = fs::read_dir(directory).map_err(SinkError::write(directory))?;
    let old = if there.next().is_some() { Some(read_index(directory)?) } else { None };
    fill(store, what, directory, old, listed(what, names))
}

/// Writes the blobs, then `index.json` that lists them, and last the file that marks a layout.
fn fill(
    store: &Store,
    what: &ImageOrIndex,
    root: &Path,
    old: Option<Map<String, Value>>,
    new: Vec<Descriptor>,
) -> Result<(), SinkError> {
    let mut written = Written { root, new: Vec::new() };
    let is_new = old.is_none();
    let result = written.blobs(store, what).and_then(|()| {
        written.write("index.json", &index(old, new), is_new)?;
        if is_new { written.write("oci-layout", VERSION_FILE, true) } else { Ok(()) }
    });
    if result.is_err() {
        written.remove();
    }
    result
}

/// What was added to a layout so far; it is removed again if not all can be written.
struct Written<'a> {
    root: &'a Path,
    new: Vec<PathBuf>,
}

impl Written<'_> {
    fn blobs(&mut self, store: &Store, what: &ImageOrIndex) -> Result<(), SinkError> {
        self.directory("blobs")?;
        self.directory("blobs/sha256")?;
        let directory = self.root.join("blobs/sha256");
        for (digest, size) in blobs(what) {
            let path = directory.join(digest.hex());
            if is_blob(&path, digest, size) {
                continue;
            }
            let mut blob = open(store, &digest, size)?;
            let mut output = OutputFile::create(&path)?;
            io::copy(&mut blob, output.writer()).map_err(|error| copy_error(error, &path, digest))?;
            output.finish()?;
            self.new.push(path);
        }
        Ok(())
    }

    fn directory(&mut self, name: &str) -> Result<(), SinkError> {
        let path = self.root.join(name);
        match fs::create_dir(&path) {
            Ok(()) => self.new.push(path),
            Err(_) if path.is_dir() => {}
            Err(error) => return Err(SinkError::write(&path)(error)),
        }
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8], is_new: bool) -> Result<(), SinkError> {
        let path = self.root.join(name);
        let mut output = OutputFile::create(&path)?;
        output.writer().write_all(bytes).map_err(SinkError::write(&path))?;
        output.finish()?;
        if is_new {
            self.new.push(path);
        }
        Ok(())
    }

    /// The error that is reported is the one that led here; what cannot be removed is in nobody's way.
    fn remove(&self) {
        for path in self.new.iter().rev() {
            drop(if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) });
        }
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

fn read_index(directory: &Path) -> Result<Map<String, Value>, SinkError> {
    let fail = |problem: String| SinkError::NotALayout { path: directory.to_owned(), problem };
    let read = |name: &str| read_json(&directory.join(name)).map_err(|error| fail(format!("`{name}`: {error}")));
    if read("oci-layout")?.get("imageLayoutVersion") != Some(&json!("1.0.0")) {
        return Err(fail("its version is not `1.0.0`".into()));
    }
    let index = read("index.json")?;
    match index.get("manifests").is_some_and(Value::is_array) {
        true => Ok(index),
        false => Err(fail("`index.json` has no list of manifests".into())),
    }
}

fn read_json(path: &Path) -> io::Result<Map<String, Value>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_MANIFEST + 1).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}
