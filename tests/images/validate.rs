//! Damage is found, all of it at once.

use ocify::digest::Digest;
use ocify::format::Compression;
use ocify::image::{Layer, Problem, validate, validate_documents};
use ocify::oci::{Descriptor, MediaType};
use serde_json::{Value, json};

use crate::images::fixture::Fixture;

fn kinds(problems: &[Problem]) -> Vec<&'static str> {
    let mut kinds: Vec<_> = problems
        .iter()
        .map(|problem| match problem {
            Problem::Missing { .. } => "missing",
            Problem::Store { .. } => "store",
            Problem::Size { .. } => "size",
            Problem::Document { .. } => "document",
            Problem::Unpack { .. } => "unpack",
            Problem::DiffId { .. } => "diff id",
            Problem::Compression { .. } => "compression",
            Problem::LayerType { .. } => "layer type",
            Problem::Families { .. } => "families",
            Problem::History { .. } => "history",
            Problem::NoPlatform { .. } => "no platform",
            Problem::OtherPlatform { .. } => "other platform",
            Problem::OtherReader { .. } => "other reader",
        })
        .collect();
    kinds.sort_unstable();
    kinds
}

/// An image whose documents say whatever the test wants them to.
fn write_image(fixture: &Fixture, config: &Value, mut manifest: Value) -> Digest {
    let digest = fixture.put(config);
    manifest["config"]["digest"] = json!(digest);
    manifest["config"]["size"] = json!(fixture.store.contains(&digest));
    fixture.put(&manifest)
}

fn documents(fixture: &Fixture, layers: Vec<Layer>) -> (Value, Value) {
    let image = fixture.image("{}", layers);
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap();
    (read(image.config_bytes()), read(image.manifest_bytes()))
}

#[test]
fn every_kind_of_damage_in_one_image_is_reported_together() {
    let fixture = Fixture::new();
    let layer = |name: &str| fixture.layer(&[(name, "some text")]);
    let (flipped, long, mislabelled, wrong_id) = (layer("a"), layer("b"), layer("c"), layer("d"));
    let (gone, not_gzip) = (layer("e"), fixture.raw_layer(b"\x1f\x8b\x08 no gzip", Digest::of(b"")));
    let layers = vec![flipped.clone(), long, mislabelled, wrong_id, gone.clone(), not_gzip];
    let (mut config, mut manifest) = documents(&fixture, layers);
    manifest["layers"][1]["size"] = json!(1);
    manifest["layers"][2]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+zstd");
    manifest["layers"][3]["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
    config["rootfs"]["diff_ids"][3] = json!(Digest::of(b"another"));
    config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(json!(Digest::of(b"one too many")));
    config["history"].as_array_mut().unwrap().push(json!({"created_by": "one too many"}));
    config["architecture"] = json!("");
    manifest["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
    let digest = write_image(&fixture, &config, manifest);
    fixture.damage(&flipped.descriptor.digest);
    let blob = fixture.store.root().join("blobs/sha256").join(gone.descriptor.digest.hex());
    std::fs::remove_file(blob).unwrap();

    let problems = validate(&fixture.store, &digest);
    let expected = [
        "compression",
        "diff id",
        "document",
        "families",
        "history",
        "layer type",
        "missing",
        "no platform",
        "size",
        "store",
        "unpack",
    ];
    assert_eq!(kinds(&problems), expected, "{problems:#?}");
}

#[test]
fn a_sound_image_has_no_problems_whatever_its_layers_are() {
    let fixture = Fixture::new();
    let layers = [Compression::Gzip, Compression::Zstd, Compression::None];
    let layers = layers.map(|compression| fixture.compressed_layer(&[("a/b", "text")], compression));
    let image = fixture.image("{}", layers.into());
    assert!(validate(&fixture.store, &image.digest()).is_empty());
    assert!(validate_documents(&fixture.store, &image).is_empty());
}

#[test]
fn documents_can_be_checked_without_unpacking_layers() {
    let fixture = Fixture::new();
    let layer = fixture.layer(&[("a", "text")]);
    let image = fixture.image("{}", vec![layer.clone()]);
    fixture.damage(&layer.descriptor.digest);
    assert!(validate_documents(&fixture.store, &image).is_empty());
    assert_eq!(kinds(&validate(&fixture.store, &image.digest())), ["store"]);
    assert_eq!(kinds(&validate_documents(&fixture.store, &image)), ["missing"], "it is in quarantine now");
}

#[test]
fn damaged_documents_are_problems_and_not_the_end() {
    let fixture = Fixture::new();
    let image = fixture.image("{}", vec![fixture.layer(&[("a", "text")])]);
    fixture.damage(&image.id());
    assert_eq!(kinds(&validate(&fixture.store, &image.digest())), ["store"]);
    fixture.damage(&image.digest());
    assert_eq!(kinds(&validate(&fixture.store, &image.digest())), ["store"]);
    assert_eq!(kinds(&validate(&fixture.store, &image.digest())), ["missing"]);
}

#[test]
fn an_index_that_lies_about_its_images_is_found_out() {
    let fixture = Fixture::new();
    let (image, gone) = (fixture.image("{}", vec![]), Digest::of(b"nowhere"));
    let entry = |platform: &str, size: u64| {
        let wire = json!({"os": "linux", "architecture": platform});
        let mut entry = serde_json::to_value(image.descriptor()).unwrap();
        (entry["platform"], entry["size"]) = (wire, json!(size));
        entry
    };
    let size = image.manifest_bytes().len() as u64;
    let missing = Descriptor::new(MediaType::from("application/vnd.oci.image.manifest.v1+json"), gone, 1);
    let index = fixture.put(&json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry("arm64", size), entry("amd64", size + 1), missing]}));
    let problems = validate(&fixture.store, &index);
    assert_eq!(kinds(&problems), ["missing", "other platform", "size"], "{problems:#?}");
}
