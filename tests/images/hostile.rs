//! Manifests and layouts made to deceive: the rows of the hostile inputs that reach files. Each is refused with a typed
//! error, and nothing of it is committed to the store.

use std::fs;
use std::path::{Path, PathBuf};

use ocify::digest::Digest;
use ocify::image::{DocumentError, ImageError, import_layout, load};
use ocify::store::StoreError;
use serde_json::{Value, json};

use crate::images::fixture::{Fixture, amd64, names};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A layout on disk whose blobs say whatever the test wants them to.
struct Layout {
    fixture: Fixture,
    path: PathBuf,
}

impl Layout {
    fn new() -> Self {
        let fixture = Fixture::new();
        let path = fixture.path("layout");
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Layout { fixture, path }
    }

    fn put(&self, bytes: impl AsRef<[u8]>) -> Digest {
        let digest = Digest::of(bytes.as_ref());
        fs::write(self.blob(&digest), bytes).unwrap();
        digest
    }

    fn json(&self, value: Value) -> Digest {
        self.put(value.to_string())
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.hex())
    }

    fn descriptor(&self, media_type: &str, digest: Digest) -> Value {
        json!({"mediaType": media_type, "digest": digest, "size": fs::metadata(self.blob(&digest)).unwrap().len()})
    }

    fn config(&self, diff_ids: &[Digest]) -> Value {
        let config =
            json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        self.descriptor(CONFIG, self.json(config))
    }

    /// A sound manifest of one layer, as a value to be tampered with.
    fn manifest(&self) -> Value {
        let layer = self.put([0; 1024]);
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": self.config(&[layer]),
            "layers": [self.descriptor(LAYER, layer)]})
    }

    /// The error of importing `digest`, with nothing committed.
    fn refused(&self, digest: Digest) -> ImageError {
        let error = import_layout(&self.path, &digest, &amd64(), &self.fixture.store).unwrap_err();
        let store = self.fixture.store.root();
        assert!(self.fixture.store.contains(&digest).is_none(), "the manifest was committed");
        assert_eq!(names(&store.join("ingest")), [""; 0], "something was left behind");
        error
    }

    /// Imports a manifest that was changed, which must be refused.
    fn tampered(&self, change: impl FnOnce(&mut Value)) -> ImageError {
        let mut manifest = self.manifest();
        change(&mut manifest);
        self.refused(self.json(manifest))
    }
}

fn problem(error: ImageError) -> DocumentError {
    match error {
        ImageError::Document { problem, .. } => problem,
        other => panic!("not refused for its content: {other}"),
    }
}

macro_rules! refused_as {
    ($error:expr, $pattern:pat) => {
        let problem = problem($error);
        assert!(matches!(problem, $pattern), "{problem}");
    };
}

#[test]
fn the_manifest_is_sound_before_it_is_tampered_with() {
    let layout = Layout::new();
    let digest = layout.json(layout.manifest());
    let image = import_layout(&layout.path, &digest, &amd64(), &layout.fixture.store).unwrap();
    assert_eq!(load(&layout.fixture.store, &digest).unwrap(), image.into());
}

#[test]
fn layers_and_manifests_in_one_document() {
    let layout = Layout::new();
    refused_as!(layout.tampered(|manifest| manifest["manifests"] = json!([])), DocumentError::TwoKinds);
}

#[test]
fn neither_layers_nor_manifests() {
    let layout = Layout::new();
    refused_as!(layout.refused(layout.json(json!({"schemaVersion": 2}))), DocumentError::NoKind);
}

#[test]
fn a_repeated_key() {
    let layout = Layout::new();
    let text = layout.manifest().to_string().replacen('{', r#"{"layers":[],"#, 1);
    refused_as!(layout.refused(layout.put(text)), DocumentError::Json(_));
}

#[test]
fn a_media_type_that_is_not_the_documents() {
    let layout = Layout::new();
    refused_as!(layout.tampered(|manifest| manifest["mediaType"] = json!(INDEX)), DocumentError::MediaType { .. });
    let manifest = layout.json(layout.manifest());
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [layout.descriptor(INDEX, manifest)]});
    refused_as!(layout.refused(layout.json(index)), DocumentError::MediaType { .. });
}

#[test]
fn a_descriptor_whose_media_type_disagrees_with_the_manifest() {
    let layout = Layout::new();
    let manifest = layout.json(layout.manifest());
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let index = json!({"schemaVersion": 2, "manifests": [layout.descriptor(docker, manifest)]});
    refused_as!(layout.refused(layout.json(index)), DocumentError::MediaType { .. });
}

#[test]
fn sizes_that_are_negative_absent_or_no_integer() {
    let layout = Layout::new();
    for size in [json!(-1), json!(1.5), json!("1024"), Value::Null, json!(1e30)] {
        for place in ["/config/size", "/layers/0/size"] {
            let error = layout.tampered(|manifest| *manifest.pointer_mut(place).unwrap() = size.clone());
            refused_as!(error, DocumentError::Json(_));
        }
    }
}

#[test]
fn a_config_shorter_or_longer_than_its_descriptor_says() {
    let layout = Layout::new();
    for change in [-1, 1] {
        let error = layout.tampered(|manifest| {
            let size = manifest["config"]["size"].as_i64().unwrap();
            manifest["config"]["size"] = json!(size + change);
        });
        refused_as!(error, DocumentError::Size { .. });
    }
}

#[test]
fn a_layer_shorter_or_longer_than_its_descriptor_says() {
    let layout = Layout::new();
    for size in [1023, 1025] {
        let error = layout.tampered(|manifest| manifest["layers"][0]["size"] = json!(size));
        assert!(matches!(error, ImageError::Store(StoreError::WrongSize { .. })), "{error}");
    }
}

#[test]
fn blobs_whose_bytes_are_not_those_of_their_name() {
    let layout = Layout::new();
    let manifest = layout.manifest();
    let digest = layout.json(manifest.clone());
    let layer: Digest = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    fs::write(layout.blob(&layer), [1; 1024]).unwrap();
    let error = layout.refused(digest);
    assert!(matches!(error, ImageError::Store(StoreError::WrongDigest { .. })), "{error}");
    let config: Digest = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
    let text = fs::read_to_string(layout.blob(&config)).unwrap().replace("amd64", "arm64");
    fs::write(layout.blob(&config), text).unwrap();
    refused_as!(layout.refused(digest), DocumentError::Digest { .. });
    fs::write(layout.blob(&digest), "{}").unwrap();
    refused_as!(layout.refused(digest), DocumentError::Digest { .. });
}

#[test]
fn digests_that_are_no_digests() {
    let layout = Layout::new();
    let upper = format!("sha256:{}", "A".repeat(64));
    for digest in ["sha256:../../x", &upper, "sha256:abc", "md5:abc", "sha512:abc", ""] {
        let error = layout.tampered(|manifest| manifest["layers"][0]["digest"] = json!(digest));
        refused_as!(error, DocumentError::Json(_));
    }
}

#[test]
fn more_or_fewer_diff_ids_than_layers() {
    let layout = Layout::new();
    for diff_ids in [&[][..], &[Digest::of(b""); 2]] {
        let config = layout.config(diff_ids);
        refused_as!(layout.tampered(|manifest| manifest["config"] = config), DocumentError::LayerCount { .. });
    }
}

#[test]
fn diff_ids_in_another_order() {
    let layout = Layout::new();
    let [a, b] = [layout.put([0; 1024]), layout.put([0; 2048])];
    let layers = [layout.descriptor(LAYER, a), layout.descriptor(LAYER, b)];
    let manifest = json!({"schemaVersion": 2, "config": layout.config(&[b, a]), "layers": layers});
    let store = &layout.fixture.store;
    let image = import_layout(&layout.path, &layout.json(manifest), &amd64(), store).unwrap();
    let error = ocify::image::tree(store, &image).unwrap_err();
    assert!(matches!(error, ImageError::DiffId { .. }), "{error}");
}

#[test]
fn indexes_that_nest_too_deep_or_list_too_much() {
    let layout = Layout::new();
    let mut inner = layout.descriptor(MANIFEST, layout.json(layout.manifest()));
    for depth in 1..=5 {
        let digest = layout.json(json!({"schemaVersion": 2, "manifests": [inner]}));
        inner = layout.descriptor(INDEX, digest);
        let imported = import_layout(&layout.path, &digest, &amd64(), &layout.fixture.store);
        assert_eq!(imported.is_ok(), depth <= 4, "depth {depth}");
        let store = &layout.fixture.store;
        store.put_blob(&fs::read(layout.blob(&digest)).unwrap()).unwrap();
        assert_eq!(load(store, &digest).is_ok(), depth <= 4, "depth {depth}");
        assert_eq!(ocify::image::validate(store, &digest).is_empty(), depth <= 4, "depth {depth}");
    }
    let entry = |n: u64| {
        json!({"mediaType": MANIFEST, "digest": Digest::of(&n.to_be_bytes()), "size": 1,
        "platform": {"os": "linux", "architecture": "amd64"}})
    };
    let many: Vec<Value> = (0..1001).map(entry).collect();
    let many = layout.json(json!({"schemaVersion": 2, "manifests": many}));
    refused_as!(layout.refused(many), DocumentError::TooMany { .. });
}

#[test]
fn an_index_that_contains_itself_cannot_be_written_but_by_breaking_its_digest() {
    let layout = Layout::new();
    let claimed = Digest::of(b"myself");
    let text = json!({"schemaVersion": 2, "manifests": [{"mediaType": INDEX, "digest": claimed, "size": 10}]});
    fs::write(layout.blob(&claimed), text.to_string()).unwrap();
    refused_as!(layout.refused(claimed), DocumentError::Digest { .. });
}

#[test]
fn one_layer_thousands_of_times() {
    let layout = Layout::new();
    let layer = layout.put([0; 1024]);
    let manifest = |layers: usize| {
        let (listed, diff_ids) = (vec![layout.descriptor(LAYER, layer); layers], vec![layer; layers]);
        layout.json(json!({"schemaVersion": 2, "config": layout.config(&diff_ids), "layers": listed}))
    };
    import_layout(&layout.path, &manifest(500), &amd64(), &layout.fixture.store).unwrap();
    refused_as!(layout.refused(manifest(501)), DocumentError::TooManyLayers { found: 501 });
}

#[test]
fn a_manifest_of_many_megabytes() {
    let layout = Layout::new();
    let padding = " ".repeat(5 << 20);
    let digest = layout.put(format!("{}{padding}", layout.manifest()));
    refused_as!(layout.refused(digest), DocumentError::TooLarge { .. });
    // And out of the store, into which another tool may have put it.
    let digest = layout.fixture.store.put_blob(padding.as_bytes()).unwrap();
    let error = load(&layout.fixture.store, &digest).unwrap_err();
    assert!(matches!(error, ImageError::Store(StoreError::TooLarge { .. })), "{error}");
}

#[test]
fn foreign_layers() {
    let layout = Layout::new();
    let error = layout.tampered(|manifest| manifest["layers"][0]["urls"] = json!(["http://169.254.169.254/"]));
    refused_as!(error, DocumentError::ForeignLayer { .. });
}

#[test]
fn embedded_data_that_is_not_the_blob() {
    let layout = Layout::new();
    for data in ["", "AAAA", "not base64", "YQ=="] {
        let error = layout.tampered(|manifest| manifest["config"]["data"] = json!(data));
        refused_as!(error, DocumentError::EmbeddedData { .. });
    }
}

#[test]
fn artifacts_that_are_no_images() {
    let layout = Layout::new();
    let error =
        layout.tampered(|manifest| manifest["config"]["mediaType"] = json!("application/vnd.oci.empty.v1+json"));
    refused_as!(error, DocumentError::NotAnImage { .. });
    let error = layout.tampered(|manifest| manifest["schemaVersion"] = json!(1));
    refused_as!(error, DocumentError::SchemaVersion { found: 1 });
}

#[test]
fn a_rootfs_that_is_not_layers() {
    let layout = Layout::new();
    let config =
        layout.json(json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "base", "diff_ids": []}}));
    let config = layout.descriptor(CONFIG, config);
    refused_as!(layout.tampered(|manifest| manifest["config"] = config), DocumentError::RootFs { .. });
}

#[test]
fn json_nested_without_end() {
    let layout = Layout::new();
    let text = format!("{{\"schemaVersion\":2,\"x\":{}", "[".repeat(1 << 20));
    refused_as!(layout.refused(layout.put(text)), DocumentError::Json(_));
}

#[test]
fn a_missing_blob_and_what_is_no_file() {
    let layout = Layout::new();
    let error = layout.refused(Digest::of(b"nowhere"));
    assert!(matches!(error, ImageError::Missing { .. }), "{error}");
    let digest = Digest::of(b"a directory");
    fs::create_dir(layout.blob(&digest)).unwrap();
    assert!(matches!(layout.refused(digest), ImageError::Io { .. }));
    // Reading a FIFO without a writer would wait for ever.
    let digest = Digest::of(b"a pipe");
    let made = std::process::Command::new("mkfifo").arg(layout.blob(&digest)).status();
    assert!(made.unwrap().success());
    assert!(matches!(layout.refused(digest), ImageError::Io { .. }));
}

#[test]
fn a_directory_that_is_no_layout() {
    let layout = Layout::new();
    let refuse = |path: &Path| {
        let error = import_layout(path, &Digest::of(b""), &amd64(), &layout.fixture.store).unwrap_err();
        assert!(matches!(error, ImageError::NotA { .. }), "{error}");
    };
    refuse(&layout.fixture.path("nowhere"));
    for text in ["", "{}", r#"{"imageLayoutVersion":"2.0.0"}"#] {
        fs::write(layout.path.join("oci-layout"), text).unwrap();
        refuse(&layout.path);
    }
}
