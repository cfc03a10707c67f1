//! What a spec makes of a base.

use ocify::format::{Compression, MediaTypes};
use ocify::image::{ImageError, assemble, assemble_index, layer_entries, spool_contents, tree, validate};
use ocify::oci::{History, MediaType};
use ocify::path::ImagePath;
use ocify::target::Settings;
use serde_json::{Value, json};

use crate::images::fixture::{Fixture, image_spec, index_spec, made_by};

fn config(image: &ocify::image::Image) -> Value {
    serde_json::from_slice(image.config_bytes()).unwrap()
}

fn manifest(image: &ocify::image::Image) -> Value {
    serde_json::from_slice(image.manifest_bytes()).unwrap()
}

const EVERY_FIELD: &str = r#"{
    "platform": "linux/arm/v7", "os_version": "6.1", "env": {"PATH": "/bin", "A": "x=y", "EMPTY": ""},
    "entrypoint": ["/bin/app"], "cmd": ["--serve"], "workdir": "/srv", "user": "1000:1000",
    "ports": ["8080", "53/udp"], "volumes": ["/data"], "labels": {"b": "2", "a": "1"}, "stop_signal": "SIGINT",
    "healthcheck": {"test": ["CMD", "/bin/check"], "interval_ms": 1500, "timeout_ms": 100, "start_period_ms": 200,
        "start_interval_ms": 50, "retries": 3},
    "shell": ["/bin/sh", "-c"], "author": "someone", "created": "2024-02-29T12:00:00Z",
    "annotations": {"org.example.z": "1", "org.example.a": "2"},
    "history": [{"created_by": "by hand", "comment": "first", "author": "me"}], "tags": ["example.com/web:1"]
}"#;

#[test]
fn every_field_lands_where_image_spec_has_it() {
    let fixture = Fixture::new();
    let layer = fixture.layer(&[("bin/app", "#!")]);
    let image = fixture.image(EVERY_FIELD, vec![layer.clone()]);
    let expected = json!({
        "architecture": "arm", "variant": "v7", "os": "linux", "os.version": "6.1",
        "author": "someone", "created": "2024-02-29T12:00:00Z",
        "config": {
            "User": "1000:1000", "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
            "Env": ["PATH=/bin", "A=x=y", "EMPTY="], "Entrypoint": ["/bin/app"], "Cmd": ["--serve"],
            "Volumes": {"/data": {}}, "WorkingDir": "/srv", "Labels": {"a": "1", "b": "2"}, "StopSignal": "SIGINT",
            "Healthcheck": {"Test": ["CMD", "/bin/check"], "Interval": 1_500_000_000u64, "Timeout": 100_000_000,
                "StartPeriod": 200_000_000, "StartInterval": 50_000_000, "Retries": 3},
            "Shell": ["/bin/sh", "-c"],
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id.to_string()]},
        "history": [{"created": "2024-02-29T12:00:00Z", "created_by": "by hand", "comment": "first", "author": "me"}],
    });
    assert_eq!(config(&image), expected);
    let expected = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": image.id().to_string(),
            "size": image.config_bytes().len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": layer.descriptor.digest.to_string(), "size": layer.descriptor.size}],
        "annotations": {"org.example.a": "2", "org.example.z": "1"},
    });
    assert_eq!(manifest(&image), expected);
    assert!(validate(&fixture.store, &image.digest()).is_empty());
}

#[test]
fn an_empty_spec_on_scratch_is_an_image_of_the_epoch() {
    let fixture = Fixture::new();
    let settings = Settings { epoch: 86_400, platform: "linux/arm64".parse().unwrap(), ..Settings::default() };
    let image = assemble(None, &image_spec("{}"), Vec::new(), &settings).unwrap();
    image.save(&fixture.store).unwrap();
    let expected = json!({"architecture": "arm64", "os": "linux", "created": "1970-01-02T00:00:00Z", "config": {},
        "rootfs": {"type": "layers", "diff_ids": []}});
    assert_eq!(config(&image), expected);
    assert!(validate(&fixture.store, &image.digest()).is_empty());
}

const BASE: &str = r#"{
    "env": {"PATH": "/bin", "LANG": "C"}, "entrypoint": ["/base"], "cmd": ["x"], "workdir": "/base", "user": "base",
    "ports": ["80"], "volumes": ["/base"], "labels": {"from": "base", "kept": "yes"}, "stop_signal": "9",
    "healthcheck": {"test": ["CMD", "/base"], "retries": 7}, "shell": ["/base"], "author": "base",
    "created": "2020-01-01T00:00:00Z", "annotations": {"from": "base", "kept": "yes"}
}"#;

#[test]
fn what_is_not_said_comes_from_the_base() {
    let fixture = Fixture::new();
    let base = fixture.image(BASE, vec![fixture.layer(&[("a", "1")])]);
    let image = fixture.on(Some(&base), "{}", vec![]).unwrap();
    let mut expected = config(&base);
    expected["created"] = json!("1970-01-01T00:00:00Z");
    assert_eq!(config(&image), expected);
    assert_eq!(image.manifest().annotations, base.manifest().annotations);
    assert_eq!(image.layers(), base.layers());
}

#[test]
fn maps_add_to_the_base_and_everything_else_replaces_it() {
    let fixture = Fixture::new();
    let base = fixture.image(BASE, vec![]);
    let on_base = |spec: &str, key: &str| {
        let image = fixture.on(Some(&base), spec, vec![]).unwrap();
        config(&image)["config"].get(key).cloned().unwrap_or_default()
    };
    for (spec, key, expected) in [
        (r#"{"env": {"NEW": "1", "PATH": "/x"}}"#, "Env", json!(["PATH=/x", "LANG=C", "NEW=1"])),
        (r#"{"ports": ["81", "80/tcp"]}"#, "ExposedPorts", json!({"80/tcp": {}, "81/tcp": {}})),
        (r#"{"volumes": ["/x"]}"#, "Volumes", json!({"/base": {}, "/x": {}})),
        (r#"{"labels": {"from": "here"}}"#, "Labels", json!({"from": "here", "kept": "yes"})),
        (r#"{"entrypoint": ["/x"]}"#, "Entrypoint", json!(["/x"])),
        (r#"{"entrypoint": ["/x"]}"#, "Cmd", Value::Null),
        (r#"{"entrypoint": ["/x"], "cmd": ["y"]}"#, "Cmd", json!(["y"])),
        (r#"{"entrypoint": []}"#, "Entrypoint", Value::Null),
        (r#"{"cmd": ["y"]}"#, "Entrypoint", json!(["/base"])),
        (r#"{"cmd": []}"#, "Cmd", Value::Null),
        (r#"{"workdir": "/x"}"#, "WorkingDir", json!("/x")),
        (r#"{"user": "x"}"#, "User", json!("x")),
        (r#"{"stop_signal": "TERM"}"#, "StopSignal", json!("TERM")),
        (r#"{"stop_signal": "sigusr1"}"#, "StopSignal", json!("sigusr1")),
        (r#"{"shell": ["/x"]}"#, "Shell", json!(["/x"])),
        (r#"{"healthcheck": {"test": ["NONE"]}}"#, "Healthcheck", json!({"Test": ["NONE"]})),
    ] {
        assert_eq!(on_base(spec, key), expected, "{spec}");
    }
    let spec = r#"{"author": "x", "annotations": {"from": "here"}}"#;
    let image = fixture.on(Some(&base), spec, vec![]).unwrap();
    assert_eq!(image.config().author.as_deref(), Some("x"));
    assert_eq!(manifest(&image)["annotations"], json!({"from": "here", "kept": "yes"}));
}

#[test]
fn what_says_how_the_base_was_built_is_not_taken_over() {
    let fixture = Fixture::new();
    let config_digest = fixture.put(&json!({
        "architecture": "arm64", "variant": "v8", "os": "linux", "os.features": ["x"], "container": "abc",
        "container_config": {"Cmd": ["x"]}, "docker_version": "1", "id": "x", "parent": "y",
        "config": {"OnBuild": ["RUN x"], "Image": "sha256:x", "StopTimeout": 5, "Env": null},
        "rootfs": {"type": "layers", "diff_ids": []},
    }));
    let size = fixture.store.contains(&config_digest).unwrap();
    let base = fixture.put(&json!({"schemaVersion": 2, "layers": [], "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json", "digest": config_digest, "size": size}}));
    let base = ocify::image::load_image(&fixture.store, &base).unwrap();
    let image = fixture.on(Some(&base), r#"{"platform": "linux/arm64"}"#, vec![]).unwrap();
    let expected = json!({"architecture": "arm64", "variant": "v8", "os": "linux", "os.features": ["x"],
        "created": "1970-01-01T00:00:00Z", "config": {"StopTimeout": 5},
        "rootfs": {"type": "layers", "diff_ids": []}});
    assert_eq!(config(&image), expected);
}

#[test]
fn a_base_for_another_platform_is_an_error() {
    let fixture = Fixture::new();
    let base = fixture.image(r#"{"platform": "linux/arm64"}"#, vec![]);
    let error = fixture.on(Some(&base), r#"{"platform": "linux/amd64"}"#, vec![]).unwrap_err();
    assert!(matches!(error, ImageError::OtherPlatform { .. }), "{error}");
    assert_eq!(error.field(), Some("platform"));
    let image = fixture.on(Some(&base), "{}", vec![]).unwrap();
    assert_eq!(image.platform().to_string(), "linux/arm64", "without a word it is the base's");
}

#[test]
fn values_that_no_image_can_have_are_errors_that_name_the_field() {
    let fixture = Fixture::new();
    for (spec, field) in [
        (r#"{"ports": ["99999"]}"#, "ports"),
        (r#"{"volumes": ["data"]}"#, "volumes"),
        (r#"{"volumes": ["/a/../b"]}"#, "volumes"),
        (r#"{"workdir": "app"}"#, "workdir"),
        (r#"{"workdir": ""}"#, "workdir"),
        (r#"{"user": ""}"#, "user"),
        (r#"{"author": "a\u0000"}"#, "author"),
        (r#"{"os_version": ""}"#, "os_version"),
        (r#"{"stop_signal": "SIGFOO"}"#, "stop_signal"),
        (r#"{"env": {"A=B": ""}}"#, "env"),
        (r#"{"env": {"": "x"}}"#, "env"),
        (r#"{"env": {"A": "\u0000"}}"#, "env"),
        (r#"{"entrypoint": ["a\u0000"]}"#, "entrypoint"),
        (r#"{"cmd": ["a\u0000"]}"#, "cmd"),
        (r#"{"shell": []}"#, "shell"),
        (r#"{"healthcheck": {"test": []}}"#, "healthcheck"),
        (r#"{"labels": {"": "x"}}"#, "labels"),
        (r#"{"annotations": {"": "x"}}"#, "annotations"),
        (r#"{"annotations": {"a": "x"}, "media_types": "docker"}"#, "annotations"),
        (r#"{"created": "yesterday"}"#, "created"),
        (r#"{"tags": ["Not A Name"]}"#, "tags"),
        (r#"{"history": [{}]}"#, "history"),
    ] {
        let error = fixture.on(None, spec, vec![]).unwrap_err();
        assert_eq!(error.field(), Some(field), "{spec}: {error}");
        assert!(error.to_string().starts_with(&format!("`{field}`: ")), "{error}");
    }
}

#[test]
fn history_has_one_entry_for_each_layer() {
    let fixture = Fixture::new();
    let [a, b] = [fixture.layer(&[("a", "")]), fixture.layer(&[("b", "")])];
    let timed = History { created: Some("2001-01-01T00:00:00Z".into()), ..made_by("x") };
    let added = vec![(a.clone(), timed)];
    let base = assemble(None, &image_spec("{}"), added, &Settings::default()).unwrap();
    let image = fixture.on(Some(&base), r#"{"created": "2002-02-02T00:00:00Z"}"#, vec![b.clone()]).unwrap();
    let expected = json!([{"created": "2001-01-01T00:00:00Z", "created_by": "x"},
        {"created": "2002-02-02T00:00:00Z", "created_by": "layer 0"}]);
    assert_eq!(config(&image)["history"], expected);

    // Without entries for the layers below, those above would be taken for them.
    let mut silent = config(&base);
    silent["history"] = Value::Null;
    let config_digest = fixture.put(&silent);
    let mut listing = manifest(&base);
    listing["config"]["digest"] = json!(config_digest);
    listing["config"]["size"] = json!(fixture.store.contains(&config_digest));
    let silent = ocify::image::load_image(&fixture.store, &fixture.put(&listing)).unwrap();
    let image = fixture.on(Some(&silent), "{}", vec![b.clone()]).unwrap();
    assert_eq!(config(&image).get("history"), None);
    assert!(validate(&fixture.store, &image.digest()).is_empty());
    let error = fixture.on(Some(&silent), r#"{"history": [{}]}"#, vec![b]).unwrap_err();
    assert_eq!(error.field(), Some("history"));
}

#[test]
fn a_family_of_media_types_covers_the_layers_of_the_base_too() {
    let fixture = Fixture::new();
    let layers = vec![
        fixture.layer(&[("a", "")]),
        fixture.compressed_layer(&[("b", "")], Compression::Zstd),
        fixture.compressed_layer(&[("c", "")], Compression::None),
    ];
    let base = fixture.image("{}", layers);
    let docker = fixture.on(Some(&base), r#"{"media_types": "docker"}"#, vec![]).unwrap();
    let types: Vec<String> = docker.layers().iter().map(|layer| layer.descriptor.media_type.to_string()).collect();
    assert_eq!(
        types,
        [
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar",
        ]
    );
    assert_eq!(docker.descriptor().media_type, MediaType::Manifest(MediaTypes::Docker));
    assert_eq!(docker.manifest().config.media_type, MediaType::Config(MediaTypes::Docker));
    assert!(validate(&fixture.store, &docker.digest()).is_empty());
    let digests = |image: &ocify::image::Image| -> Vec<_> {
        image.layers().iter().map(|layer| (layer.descriptor.digest, layer.diff_id)).collect()
    };
    assert_eq!(digests(&docker), digests(&base));
    let back = fixture.on(Some(&docker), "{}", vec![]).unwrap();
    assert_eq!(back.manifest().layers, base.manifest().layers);
}

#[test]
fn an_index_lists_its_images_in_order_with_their_platforms() {
    let fixture = Fixture::new();
    let image = |platform: &str| fixture.image(&format!(r#"{{"platform": "{platform}"}}"#), vec![]);
    let images = [image("linux/arm/v6"), image("linux/amd64")];
    let spec = index_spec(r#"{"images": [], "annotations": {"a": "b"}, "tags": ["x"]}"#);
    let index = assemble_index(&images, &spec, &Settings::default()).unwrap();
    index.save(&fixture.store).unwrap();
    let entry = |image: &ocify::image::Image, platform: Value| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest(),
            "size": image.manifest_bytes().len(), "platform": platform})
    };
    let expected = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
    "annotations": {"a": "b"}, "manifests": [
        entry(&images[0], json!({"os": "linux", "architecture": "arm", "variant": "v6"})),
        entry(&images[1], json!({"os": "linux", "architecture": "amd64"})),
    ]});
    assert_eq!(serde_json::from_slice::<Value>(index.bytes()).unwrap(), expected);
    let loaded = ocify::image::load(&fixture.store, &index.digest()).unwrap();
    assert_eq!(loaded, index.into());
    assert_eq!(loaded.images(), images.iter().collect::<Vec<_>>());
    assert!(ocify::image::validate(&fixture.store, &loaded.digest()).is_empty());

    let twice = [images[0].clone(), images[0].clone()];
    let error = assemble_index(&twice, &spec, &Settings::default()).unwrap_err();
    assert!(matches!(error, ImageError::DuplicatePlatform { .. }), "{error}");
    assert_eq!(assemble_index(&[], &spec, &Settings::default()).unwrap_err().field(), Some("images"));
    let docker = index_spec(r#"{"images": [], "annotations": {"a": "b"}, "media_types": "docker"}"#);
    assert_eq!(assemble_index(&images, &docker, &Settings::default()).unwrap_err().field(), Some("annotations"));
}

#[test]
fn layers_are_read_once_and_their_contents_can_be_had_later() {
    let fixture = Fixture::new();
    let lower = fixture.layer(&[("etc/a", "lower a"), ("etc/b", "lower b"), ("etc/c", "lower c"), ("empty", "")]);
    let upper = fixture.compressed_layer(&[("etc/b", "upper b"), ("etc/.wh.a", "")], Compression::None);
    let image = fixture.image("{}", vec![lower.clone(), upper]);
    let merged = tree(&fixture.store, &image).unwrap();
    let path = |text: &str| ImagePath::parse(text).unwrap();
    assert!(merged.get(&path("etc/a")).is_none());

    let mut entries: Vec<_> = merged.entries().collect();
    let mut contents: Vec<_> = entries
        .iter_mut()
        .filter_map(|entry| match &mut entry.kind {
            ocify::entry::Kind::File { content } => Some(content),
            _ => None,
        })
        .collect();
    spool_contents(&fixture.store, image.layers(), &mut contents).unwrap();
    let texts: Vec<Vec<u8>> = contents.iter().map(|content| content.read_all(100).unwrap()).collect();
    assert_eq!(texts, [&b""[..], b"upper b", b"lower c"]);

    fixture.damage(&lower.descriptor.digest);
    assert_eq!(layer_entries(&fixture.store, &lower).unwrap().len(), 5, "the index is enough");
}

#[test]
fn a_layer_with_another_tar_stream_than_its_diff_id_says_is_refused() {
    let fixture = Fixture::new();
    let (good, other) = (fixture.layer(&[("a", "1")]), fixture.layer(&[("a", "2")]));
    let swapped = ocify::image::Layer { diff_id: other.diff_id, ..good };
    let error = layer_entries(&fixture.store, &swapped).unwrap_err();
    assert!(matches!(error, ImageError::DiffId { .. }), "{error}");
    assert!(fixture.store.layer_index(&other.diff_id).unwrap().is_none(), "nothing wrong was remembered");
}
