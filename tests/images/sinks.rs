//! Images written out and read back.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ocify::archive::read::{Limits, read_tar};
use ocify::format::Compression;
use ocify::image::sink::{self, SinkError};
use ocify::image::{Image, import_docker_archive, import_layout, import_oci_archive, validate};
use serde_json::{Value, json};

use crate::images::fixture::{Fixture, amd64, names};

fn sample(fixture: &Fixture) -> Image {
    let layers = [Compression::Gzip, Compression::Zstd, Compression::None, Compression::Gzip];
    let layers = layers.iter().zip(["a", "b", "c", "a"]);
    let layers =
        layers.map(|(&compression, name)| fixture.compressed_layer(&[(name, "text"), ("d/e", name)], compression));
    fixture.image(r#"{"env": {"A": "b"}, "entrypoint": ["/a"]}"#, layers.collect())
}

fn index_json(layout: &Path) -> Value {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

/// The members of a tar as the tar crate reads them, by name.
fn members(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(fs::File::open(file).unwrap());
    let read = |entry: std::io::Result<tar::Entry<fs::File>>| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0, 0, 0));
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    };
    archive.entries().unwrap().map(read).collect()
}

#[test]
fn an_image_comes_back_from_each_form_as_it_was() {
    let fixture = Fixture::new();
    let image = sample(&fixture);
    let [layout, archive, docker] = ["layout", "oci.tar", "docker.tar"].map(|name| fixture.path(name));
    sink::oci_layout(&fixture.store, &image.clone().into(), &[], &layout).unwrap();
    sink::oci_archive(&fixture.store, &image.clone().into(), &["a:1".into()], &archive).unwrap();
    sink::docker_archive(&fixture.store, &image, &["a:1".into()], &docker).unwrap();
    let store = fixture.other_store();
    assert_eq!(import_layout(&layout, &image.digest(), &amd64(), &store).unwrap(), image);
    assert!(validate(&store, &image.digest()).is_empty());
    assert_eq!(import_oci_archive(&archive, None, &amd64(), &fixture.other_store()).unwrap(), image);
    let store = fixture.other_store();
    let loaded = import_docker_archive(&docker, None, &amd64(), &store).unwrap();
    assert_eq!(loaded.config_bytes(), image.config_bytes());
    assert!(validate(&store, &loaded.digest()).is_empty());
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    let (first, second) = (Fixture::new(), Fixture::new());
    let write = |fixture: &Fixture| {
        let image = sample(fixture);
        let (oci, docker, rootfs) = (fixture.path("o.tar"), fixture.path("d.tar"), fixture.path("r.tar"));
        sink::oci_archive(&fixture.store, &image.clone().into(), &["x".into()], &oci).unwrap();
        sink::docker_archive(&fixture.store, &image, &["x".into()], &docker).unwrap();
        sink::tar(&fixture.store, &image, &rootfs).unwrap();
        [oci, docker, rootfs].map(|file| fs::read(file).unwrap())
    };
    assert!(write(&first) == write(&second));
}

#[test]
fn a_docker_archive_has_what_docker_save_writes() {
    let fixture = Fixture::new();
    let image = sample(&fixture);
    let file = fixture.path("d.tar");
    sink::docker_archive(&fixture.store, &image, &["web".into(), "example.com:5000/x:2".into()], &file).unwrap();
    let members = members(&file);
    let layers: Vec<String> = image.layers().iter().map(|layer| format!("{}.tar", layer.diff_id.0.hex())).collect();
    let config = format!("{}.json", image.id().hex());
    let list: Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
    let tags = ["web:latest", "example.com:5000/x:2"];
    assert_eq!(list, json!([{"Config": config, "RepoTags": tags, "Layers": layers}]));
    assert_eq!(members[&config], image.config_bytes());
    assert_eq!(layers[0], layers[3]);
    assert_eq!(members.len(), 5, "a layer that is there twice is written once");
    for layer in image.layers() {
        let tar = &members[&format!("{}.tar", layer.diff_id.0.hex())];
        assert_eq!(read_tar(&tar[..], &Limits::default(), None).unwrap().digest, layer.diff_id.0);
    }
    for name in ["Web", "web@sha256:0", ""] {
        let error = sink::docker_archive(&fixture.store, &image, &[name.into()], &fixture.path("x.tar")).unwrap_err();
        assert!(matches!(error, SinkError::Name(_)), "{error}");
    }
}

#[test]
fn a_layout_that_is_there_is_added_to() {
    let fixture = Fixture::new();
    let [a, b] = ["a", "b"].map(|name| fixture.image("{}", vec![fixture.layer(&[(name, "")])]));
    let layout = fixture.path("layout");
    let write = |image: &Image, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        sink::oci_layout(&fixture.store, &image.clone().into(), &names, &layout).unwrap();
    };
    fs::create_dir(&layout).unwrap();
    write(&a, &["one", "two"]);
    let mut foreign = index_json(&layout);
    let other = json!({"mediaType": "x", "digest": "sha512:unknown", "size": 1, "artifactType": "kept"});
    foreign["manifests"].as_array_mut().unwrap().push(other.clone());
    foreign["annotations"] = json!({"kept": "too"});
    fs::write(layout.join("index.json"), foreign.to_string()).unwrap();
    write(&b, &["two"]);
    write(&b, &[]);
    write(&b, &[]);

    let index = index_json(&layout);
    let listed: Vec<(Value, Value)> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["digest"].clone(), entry["annotations"]["org.opencontainers.image.ref.name"].clone()))
        .collect();
    let (digest_a, digest_b) = (json!(a.digest()), json!(b.digest()));
    let expected = [
        (digest_a, json!("one")),
        (other["digest"].clone(), Value::Null),
        (digest_b.clone(), json!("two")),
        (digest_b, Value::Null),
    ];
    assert_eq!(listed, expected);
    assert_eq!(index["manifests"][1], other);
    assert_eq!(index["annotations"], json!({"kept": "too"}));
    assert_eq!(names(&layout), ["blobs", "index.json", "oci-layout"]);
    for image in [&a, &b] {
        assert_eq!(import_layout(&layout, &image.digest(), &amd64(), &fixture.other_store()).unwrap(), *image);
    }
}

#[test]
fn a_damaged_blob_in_a_layout_is_written_anew() {
    let fixture = Fixture::new();
    let image = sample(&fixture);
    let layout = fixture.path("layout");
    sink::oci_layout(&fixture.store, &image.clone().into(), &[], &layout).unwrap();
    let blob = layout.join("blobs/sha256").join(image.id().hex());
    fs::write(&blob, vec![b'x'; image.config_bytes().len()]).unwrap();
    sink::oci_layout(&fixture.store, &image.clone().into(), &[], &layout).unwrap();
    assert_eq!(fs::read(&blob).unwrap(), image.config_bytes());
}

#[test]
fn what_is_no_layout_is_not_added_to() {
    let fixture = Fixture::new();
    let image = sample(&fixture);
    let other = fixture.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("precious"), "x").unwrap();
    let error = sink::oci_layout(&fixture.store, &image.clone().into(), &[], &other).unwrap_err();
    assert!(matches!(error, SinkError::NotALayout { .. }), "{error}");
    let error = sink::directory(&fixture.store, &image, &other).unwrap_err();
    assert!(matches!(error, SinkError::Extract(_)), "{error}");
    assert_eq!(names(&other), ["precious"]);
}

#[test]
fn the_file_tree_is_flattened() {
    let fixture = Fixture::new();
    let image = sample(&fixture);
    let (file, directory) = (fixture.path("r.tar"), fixture.path("rootfs"));
    sink::tar(&fixture.store, &image, &file).unwrap();
    let contents = read_tar(fs::File::open(&file).unwrap(), &Limits::default(), None).unwrap();
    let paths: Vec<String> = contents.entries.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(paths, ["/a", "/b", "/c", "/d", "/d/e"]);
    let skipped = sink::directory(&fixture.store, &image, &directory).unwrap();
    assert!(skipped.is_empty());
    assert_eq!(names(&directory), ["a", "b", "c", "d"]);
    assert_eq!(fs::read_to_string(directory.join("d/e")).unwrap(), "a", "the last layer wins");
}

#[test]
fn a_failure_leaves_nothing_behind_and_what_was_there_stays() {
    let fixture = Fixture::new();
    let image = sample(&fixture);
    let out = fixture.path("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("file"), "old").unwrap();
    // Made and listed before the damage, so that only the sinks can find it.
    let what = image.clone().into();
    let last = image.layers()[2].descriptor.digest;
    let existing = fixture.path("existing");
    let small = fixture.image("{}", vec![]);
    sink::oci_layout(&fixture.store, &small.clone().into(), &[], &existing).unwrap();
    let before = (names(&existing.join("blobs/sha256")), index_json(&existing));

    type Sink<'a> = Box<dyn Fn(&Path) -> Result<(), SinkError> + 'a>;
    let store = &fixture.store;
    let empty = fixture.path("empty");
    fs::create_dir(&empty).unwrap();
    let sinks: [Sink; 7] = [
        Box::new(|path| sink::oci_archive(store, &what, &[], path)),
        Box::new(|path| sink::docker_archive(store, &image, &[], path)),
        Box::new(|path| sink::tar(store, &image, path)),
        Box::new(|_| sink::oci_layout(store, &what, &[], &out.join("layout"))),
        Box::new(|_| sink::directory(store, &image, &out.join("directory")).map(drop)),
        Box::new(|_| sink::oci_layout(store, &what, &[], &existing)),
        Box::new(|_| sink::oci_layout(store, &what, &[], &empty)),
    ];
    for (at, sink) in sinks.iter().enumerate() {
        // Each time anew: the first one to read it puts it into quarantine.
        fixture.compressed_layer(&[("c", "text"), ("d/e", "c")], Compression::None);
        fixture.damage(&last);
        let error = sink(&out.join("file")).unwrap_err();
        assert!(chain(&error).contains("is damaged"), "sink {at} blames something else: {}", chain(&error));
        assert_eq!(names(&out), ["file"], "sink {at}");
        assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "old", "sink {at}");
    }
    assert_eq!(names(&empty), [""; 0]);
    assert_eq!((names(&existing.join("blobs/sha256")), index_json(&existing)), before);
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn only_regular_files_are_replaced() {
    let fixture = Fixture::new();
    let image = sample(&fixture);
    let (file, directory) = (fixture.path("f"), fixture.path("d"));
    fs::create_dir(&directory).unwrap();
    for path in [&directory, Path::new("/dev/null")] {
        let error = sink::tar(&fixture.store, &image, path).unwrap_err();
        assert!(matches!(error, SinkError::InTheWay { .. }), "{error}");
    }
    fs::write(&file, "old").unwrap();
    sink::tar(&fixture.store, &image, &file).unwrap();
    assert!(fs::metadata(&file).unwrap().len() > 1024);
    // As any program's file: the umask decides, and not a temporary file's 0600.
    let umask = {
        fs::write(fixture.path("plain"), "").unwrap();
        fs::metadata(fixture.path("plain")).unwrap().permissions().mode()
    };
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode(), umask);
}
