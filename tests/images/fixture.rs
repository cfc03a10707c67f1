//! A store with layers made in the test, and specs written as JSON.

use std::io::Write;
use std::path::PathBuf;

use ocify::archive::write::{Encoding, encode};
use ocify::digest::{DiffId, Digest};
use ocify::entry::{Content, Entry, Kind, Metadata};
use ocify::format::{Compression, MediaTypes};
use ocify::image::{Image, ImageError, Layer, assemble};
use ocify::oci::{Descriptor, History, MediaType, canonical_json};
use ocify::path::ImagePath;
use ocify::platform::Platform;
use ocify::store::Store;
use ocify::target::{ImageSpec, IndexSpec, Settings};
use serde_json::Value;
use tempfile::TempDir;

pub struct Fixture {
    pub directory: TempDir,
    pub store: Store,
}

impl Fixture {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        Fixture { directory, store }
    }

    /// A path beside the store.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another, empty store.
    pub fn other_store(&self) -> Store {
        Store::open(tempfile::tempdir_in(self.directory.path()).unwrap().keep()).unwrap()
    }

    /// A gzip layer of files with these contents, whose blob is in the store.
    pub fn layer(&self, files: &[(&str, &str)]) -> Layer {
        self.compressed_layer(files, Compression::Gzip)
    }

    pub fn compressed_layer(&self, files: &[(&str, &str)], compression: Compression) -> Layer {
        let mut blob = Vec::new();
        let encoded = encode(&entries(files), &Encoding { compression }, &mut blob).unwrap();
        self.store.put_blob(&blob).unwrap();
        let media_type = MediaType::layer(MediaTypes::Oci, compression);
        Layer { descriptor: Descriptor::new(media_type, encoded.digest, encoded.size), diff_id: encoded.diff_id }
    }

    /// A layer whose blob consists of `bytes`, which are said to be the tar stream `diff_id`.
    pub fn raw_layer(&self, bytes: &[u8], diff_id: Digest) -> Layer {
        self.store.put_blob(bytes).unwrap();
        let media_type = MediaType::layer(MediaTypes::Oci, Compression::None);
        Layer { descriptor: Descriptor::of(media_type, bytes), diff_id: DiffId(diff_id) }
    }

    /// An image on nothing, in the store.
    pub fn image(&self, spec: &str, layers: Vec<Layer>) -> Image {
        self.on(None, spec, layers).unwrap()
    }

    /// An image on a base, in the store.
    pub fn on(&self, base: Option<&Image>, spec: &str, layers: Vec<Layer>) -> Result<Image, ImageError> {
        let added = layers.into_iter().enumerate().map(|(at, layer)| (layer, made_by(&format!("layer {at}"))));
        let image = assemble(base, &image_spec(spec), added.collect(), &Settings::default())?;
        image.save(&self.store).unwrap();
        Ok(image)
    }

    /// Puts a document into the store as it is.
    pub fn put(&self, document: &Value) -> Digest {
        self.store.put_blob(&canonical_json(document)).unwrap()
    }

    /// Flips a bit in a blob of the store.
    pub fn damage(&self, digest: &Digest) {
        let path = self.store.root().join("blobs/sha256").join(digest.hex());
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last / 2] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
    }
}

pub fn image_spec(json: &str) -> ImageSpec {
    serde_json::from_str(json).unwrap()
}

pub fn index_spec(json: &str) -> IndexSpec {
    serde_json::from_str(json).unwrap()
}

pub fn made_by(command: &str) -> History {
    History { created_by: Some(command.into()), ..History::default() }
}

pub fn amd64() -> Platform {
    "linux/amd64".parse().unwrap()
}

/// The names in the directory, sorted: to see that nothing was left behind.
pub fn names(directory: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn entries(files: &[(&str, &str)]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (path, text) in files {
        let path = ImagePath::parse(path).unwrap();
        for parent in path.ancestors() {
            entries.push(Entry { path: parent, metadata: Metadata::root_owned(0o755, 0), kind: Kind::Directory });
        }
        let content = Content::inline(text.as_bytes().to_vec());
        entries.push(Entry { path, metadata: Metadata::root_owned(0o644, 0), kind: Kind::File { content } });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries.dedup_by(|a, b| a.path == b.path);
    entries
}
