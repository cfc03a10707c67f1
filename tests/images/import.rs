//! Images that other tools wrote: layouts, and the archives of skopeo, docker and podman.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ocify::archive::read::ReadError;
use ocify::digest::Digest;
use ocify::format::Compression;
use ocify::image::{
    Image, ImageError, ImageOrIndex, Wanted, assemble_index, import_docker_archive, import_layout, import_oci_archive,
    load, read_archive, read_layout, sink, tree, validate,
};
use ocify::path::ImagePath;
use ocify::platform::Platform;
use ocify::target::Settings;
use serde_json::{Value, json};

use crate::images::fixture::{Fixture, amd64, index_spec, names};

enum Member<'a> {
    File(&'a str, &'a [u8]),
    Symlink(&'a str, &'a str),
}

/// A tar of these members in this order.
fn tar(path: &Path, members: &[Member]) {
    let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
    for member in members {
        match member {
            Member::File(name, bytes) => tar.append(&header(name, bytes.len()), *bytes).unwrap(),
            Member::Symlink(name, target) => {
                let mut header = header(name, 0);
                header.set_entry_type(tar::EntryType::Symlink);
                tar.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    tar.into_inner().unwrap();
}

/// The name is put in as it is: the tar crate would refuse those that some tests need.
fn header(name: &str, size: usize) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(size as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

/// The bytes of an uncompressed layer with one file.
fn layer_tar(name: &str, text: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header(name, text.len()), text.as_bytes()).unwrap();
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn config(architecture: &str, layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    // With white space and in an order that is not canonical: the bytes must be kept.
    format!(
        r#"{{ "os": "linux", "architecture": "{architecture}", "docker_version": "1.13",
             "rootfs": {} }}"#,
        json!({"type": "layers", "diff_ids": diff_ids})
    )
    .into_bytes()
}

fn text_of(fixture: &Fixture, image: &Image, path: &str) -> Option<Digest> {
    match &tree(&fixture.store, image).unwrap().get(&ImagePath::parse(path).unwrap())?.kind {
        ocify::entry::Kind::File { content } => Some(content.digest),
        _ => None,
    }
}

#[test]
fn old_archives_of_docker_save_have_links_for_shared_layers() {
    let fixture = Fixture::new();
    let file = fixture.path("image.tar");
    let layer = layer_tar("a", "text");
    let config = config("amd64", &[&layer, &layer]);
    let list = json!([{"Config": "abc.json", "RepoTags": ["a:1"], "Layers": ["one/layer.tar", "two/layer.tar"]}]);
    tar(
        &file,
        &[
            Member::File("one/VERSION", b"1.0"),
            Member::File("one/layer.tar", &layer),
            Member::Symlink("two/layer.tar", "../one/layer.tar"),
            Member::File("abc.json", &config),
            Member::File("manifest.json", list.to_string().as_bytes()),
        ],
    );
    let image = import_docker_archive(&file, None, &amd64(), &fixture.store).unwrap();
    assert_eq!(image.id(), Digest::of(&config), "the image ID stays");
    assert_eq!(image.layers().len(), 2);
    assert_eq!(image.layers()[0].descriptor.media_type.to_string(), "application/vnd.oci.image.layer.v1.tar");
    assert_eq!(text_of(&fixture, &image, "a"), Some(Digest::of(b"text")));
    assert!(validate(&fixture.store, &image.digest()).is_empty());

    let again = import_docker_archive(&file, Some(&image.id()), &amd64(), &fixture.other_store()).unwrap();
    assert_eq!(again.digest(), image.digest(), "the manifest is made of the archive's content alone");
}

#[test]
fn new_archives_of_docker_save_have_blobs_that_may_be_compressed() {
    let fixture = Fixture::new();
    let file = fixture.path("image.tar");
    let (layer, compressed) = (layer_tar("a", "text"), gzip(&layer_tar("a", "text")));
    let config = config("amd64", &[&layer]);
    let [layer_name, config_name] =
        [&compressed, &config].map(|blob| format!("blobs/sha256/{}", Digest::of(blob).hex()));
    let list = json!([{"Config": config_name, "RepoTags": null, "Layers": [layer_name]}]).to_string();
    tar(
        &file,
        &[
            Member::File(&layer_name, &compressed),
            Member::File(&config_name, &config),
            Member::File("manifest.json", list.as_bytes()),
        ],
    );
    // docker load takes a compressed archive as well.
    fs::write(&file, gzip(&fs::read(&file).unwrap())).unwrap();
    let image = import_docker_archive(&file, None, &amd64(), &fixture.store).unwrap();
    assert_eq!(image.layers()[0].descriptor.media_type.to_string(), "application/vnd.oci.image.layer.v1.tar+gzip");
    assert_eq!(image.layers()[0].descriptor.digest, Digest::of(&compressed));
    assert!(validate(&fixture.store, &image.digest()).is_empty());
}

#[test]
fn of_several_images_in_an_archive_one_is_chosen() {
    let fixture = Fixture::new();
    let file = fixture.path("images.tar");
    let layer = layer_tar("a", "text");
    let [arm, intel, other] = [config("arm64", &[&layer]), config("amd64", &[&layer]), config("amd64", &[])];
    let archive = |third: &str| {
        let item = |name: &str, layers: &[&str]| json!({"Config": name, "Layers": layers});
        let list = json!([
            item("arm.json", &["l"]),
            item("intel.json", &["l"]),
            item("intel.json", &["l"]),
            item(third, if third == "other.json" { &[] } else { &["l"] })
        ]);
        tar(
            &file,
            &[
                Member::File("arm.json", &arm),
                Member::File("intel.json", &intel),
                Member::File("other.json", &other),
                Member::File("l", &layer),
                Member::File("manifest.json", list.to_string().as_bytes()),
            ],
        );
    };
    let import = |id: Option<&[u8]>, platform: &str| {
        let id = id.map(Digest::of);
        import_docker_archive(&file, id.as_ref(), &platform.parse().unwrap(), &fixture.store)
    };
    archive("intel.json");
    assert_eq!(import(None, "linux/amd64").unwrap().id(), Digest::of(&intel));
    assert_eq!(import(None, "linux/arm64").unwrap().id(), Digest::of(&arm));
    assert_eq!(import(Some(&arm), "linux/amd64").unwrap().id(), Digest::of(&arm));
    let error = import(None, "linux/s390x").unwrap_err();
    assert!(error.to_string().contains("linux/amd64, linux/arm64"), "{error}");
    assert!(matches!(import(Some(b"nobody"), "linux/amd64"), Err(ImageError::Missing { .. })));

    archive("other.json");
    let error = import(None, "linux/amd64").unwrap_err();
    assert!(matches!(&error, ImageError::Several { digests } if digests.len() == 2), "{error}");
    assert!(error.to_string().contains(&Digest::of(&other).to_string()), "{error}");
}

#[test]
fn docker_archives_that_lie_are_refused() {
    let layer = layer_tar("a", "text");
    let evil = layer_tar("../../evil", "text");
    let good = config("amd64", &[&layer]);
    let list = |config: &str, layers: &[&str]| json!([{"Config": config, "Layers": layers}]).to_string();
    for (why, list, config, layer) in [
        ("no list", String::new(), &good, &layer),
        ("not a list", "{}".into(), &good, &layer),
        ("a config outside", list("../../etc/passwd", &["l"]), &good, &layer),
        ("a layer outside", list("c", &["/../../etc/passwd"]), &good, &layer),
        ("a layer that is not there", list("c", &["m"]), &good, &layer),
        ("fewer layers than diff IDs", list("c", &[]), &good, &layer),
        ("more layers than diff IDs", list("c", &["l", "l"]), &good, &layer),
        ("one layer 501 times", list("c", &["l"; 501]), &config("amd64", &[&layer[..]; 501]), &layer),
        ("a layer of another diff ID", list("c", &["l"]), &config("amd64", &[b"x"]), &layer),
        ("a config that is none", list("c", &["l"]), &b"[]".to_vec(), &layer),
        ("a layer that is no tar", list("c", &["l"]), &config("amd64", &[b"no tar"]), &b"no tar".to_vec()),
        ("a layer with `..`", list("c", &["l"]), &config("amd64", &[&evil]), &evil),
        ("a layer of xz", list("c", &["l"]), &good, &b"\xfd7zXZ\0\0\0".to_vec()),
        ("a link out of the archive", list("c", &["out"]), &good, &layer),
    ] {
        let fixture = Fixture::new();
        let file = fixture.path("image.tar");
        let mut members =
            vec![Member::File("c", config), Member::File("l", layer), Member::Symlink("out", "/etc/passwd")];
        if !list.is_empty() {
            members.push(Member::File("manifest.json", list.as_bytes()));
        }
        tar(&file, &members);
        let imported = import_docker_archive(&file, None, &amd64(), &fixture.store);
        assert!(imported.is_err(), "{why}");
        assert_eq!(names(&fixture.store.root().join("ingest")), [""; 0], "{why}");
    }
}

#[test]
fn an_archive_whose_names_lead_out_is_refused_unread() {
    let fixture = Fixture::new();
    let file = fixture.path("image.tar");
    tar(&file, &[Member::File("../evil", b"x"), Member::File("manifest.json", b"[]")]);
    let error = import_docker_archive(&file, None, &amd64(), &fixture.store).unwrap_err();
    assert!(matches!(error, ImageError::Archive { source: ReadError::Entry { .. }, .. }), "{error}");
    assert!(!fixture.path("evil").exists());
}

/// An index of two images, as a layout and as an archive beside it.
fn two_platforms(fixture: &Fixture) -> (ImageOrIndex, [Image; 2], PathBuf, PathBuf) {
    let image = |platform: &str| {
        let layer = fixture.compressed_layer(&[("which", platform)], Compression::Zstd);
        fixture.image(&format!(r#"{{"platform": "{platform}"}}"#), vec![layer])
    };
    let images = [image("linux/amd64"), image("linux/arm64")];
    let index = assemble_index(&images, &index_spec(r#"{"images": []}"#), &Settings::default()).unwrap();
    index.save(&fixture.store).unwrap();
    let index = ImageOrIndex::Index(index);
    let (layout, archive) = (fixture.path("layout"), fixture.path("layout.tar"));
    sink::oci_layout(&fixture.store, &index, &["x".into()], &layout).unwrap();
    sink::oci_archive(&fixture.store, &index, &["x".into(), "y".into()], &archive).unwrap();
    (index, images, layout, archive)
}

#[test]
fn of_an_index_the_image_for_the_platform_is_taken() {
    let fixture = Fixture::new();
    let (index, images, layout, archive) = two_platforms(&fixture);
    let store = fixture.other_store();
    for image in &images {
        let platform = image.platform();
        assert_eq!(import_layout(&layout, &index.digest(), &platform, &store).unwrap(), *image);
        assert_eq!(import_oci_archive(&archive, None, &platform, &store).unwrap(), *image);
        assert_eq!(import_oci_archive(&archive, Some(&index.digest()), &platform, &store).unwrap(), *image);
        let other = "linux/riscv64".parse().unwrap();
        assert_eq!(import_oci_archive(&archive, Some(&image.digest()), &other, &store).unwrap(), *image);
        assert!(validate(&store, &image.digest()).is_empty());
    }
    let riscv: Platform = "linux/riscv64".parse().unwrap();
    let error = import_layout(&layout, &index.digest(), &riscv, &store).unwrap_err();
    assert!(matches!(error, ImageError::NoneForPlatform { .. }), "{error}");
    let error = import_oci_archive(&archive, Some(&Digest::of(b"nobody")), &riscv, &store).unwrap_err();
    assert!(matches!(error, ImageError::Missing { .. }), "{error}");
}

#[test]
fn attestations_and_signatures_beside_an_image_are_not_taken_for_images() {
    let fixture = Fixture::new();
    let image = fixture.image("{}", vec![]);
    let layout = fixture.path("layout");
    sink::oci_layout(&fixture.store, &image.clone().into(), &[], &layout).unwrap();
    let put = |value: Value| {
        let digest = Digest::of(value.to_string().as_bytes());
        fs::write(layout.join("blobs/sha256").join(digest.hex()), value.to_string()).unwrap();
        (digest, value.to_string().len())
    };
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let empty = json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2});
    let (signature, size) = put(json!({"schemaVersion": 2, "mediaType": manifest, "config": empty, "layers": []}));
    let nowhere = Digest::of(b"nowhere");
    // Without a platform, so that the image's own config has to say it.
    let plain = json!({"mediaType": manifest, "digest": image.digest(), "size": image.manifest_bytes().len()});
    let (index, _) = put(json!({"schemaVersion": 2, "manifests": [
        {"mediaType": manifest, "digest": signature, "size": size},
        {"mediaType": manifest, "digest": nowhere, "size": 1, "platform": {"os": "unknown", "architecture": "unknown"}},
        {"mediaType": "application/spdx+json", "digest": nowhere, "size": 1},
        plain,
    ]}));
    let imported = import_layout(&layout, &index, &amd64(), &fixture.other_store()).unwrap();
    assert_eq!(imported, image);
}

#[test]
fn a_whole_index_is_read_with_what_lies_beside_its_images() {
    let fixture = Fixture::new();
    let (_, [image, _], layout, _) = two_platforms(&fixture);
    let put = |document: Value| {
        let bytes = document.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        fs::write(layout.join("blobs/sha256").join(digest.hex()), &bytes).unwrap();
        (digest, bytes.len())
    };
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let layer = b"{}";
    fs::write(layout.join("blobs/sha256").join(Digest::of(layer).hex()), layer).unwrap();
    // As BuildKit writes provenance: an image for no platform.
    let (config, config_size) = put(json!({"os": "unknown", "architecture": "unknown", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(layer)]}}));
    let (provenance, size) = put(json!({"schemaVersion": 2, "mediaType": manifest,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": config_size},
        "layers": [{"mediaType": "application/vnd.in-toto+json", "digest": Digest::of(layer), "size": 2}]}));
    let (index, index_size) = put(json!({ "schemaVersion": 2, "annotations": {"k": "v"}, "manifests": [
        {"mediaType": manifest, "digest": image.digest(), "size": image.manifest_bytes().len()},
        {"mediaType": manifest, "digest": provenance, "size": size,
         "platform": {"os": "unknown", "architecture": "unknown"}},
    ]}));
    let (signature, signature_size) = put(json!({"schemaVersion": 2, "mediaType": manifest,
        "config": {"mediaType": "application/vnd.dev.cosign", "digest": config, "size": config_size}, "layers": []}));
    let list = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": manifest, "digest": signature, "size": signature_size},
        {"mediaType": "application/spdx+json", "digest": Digest::of(b"nowhere"), "size": 1},
        {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": index, "size": index_size,
         "annotations": {"io.containerd.image.name": "docker.io/library/web:1", "org.opencontainers.image.ref.name": "1"}},
    ]});
    fs::write(layout.join("index.json"), list.to_string()).unwrap();

    let store = fixture.other_store();
    let listed = read_layout(&layout, Wanted::All, &store).unwrap();
    let [only] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((only.what.digest(), only.names.as_slice()), (index, &["docker.io/library/web:1".to_owned()][..]));
    assert_eq!(load(&store, &index).unwrap().images().len(), 2, "byte for byte, with its provenance");
    assert_eq!(read_layout(&layout, Wanted::Named("web:1"), &store).unwrap(), listed);
    let error = read_layout(&layout, Wanted::Named("web:2"), &store).unwrap_err();
    assert!(matches!(&error, ImageError::NoName { names, .. } if names.len() == 1), "{error}");
}

#[test]
fn an_archive_of_both_kinds_is_read_as_docker_does() {
    let fixture = Fixture::new();
    let file = fixture.path("image.tar");
    let layer = layer_tar("a", "text");
    let [one, two] = [config("amd64", &[&layer]), config("arm64", &[&layer])];
    let list = json!([
        {"Config": "one.json", "RepoTags": ["a:1", "b:1"], "Layers": ["l"]},
        {"Config": "two.json", "RepoTags": null, "Layers": ["l"]},
        {"Config": "one.json", "RepoTags": ["c:1"], "Layers": ["l"]},
    ]);
    tar(
        &file,
        &[
            Member::File("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
            Member::File("index.json", br#"{"schemaVersion":2,"manifests":[]}"#),
            Member::File("one.json", &one),
            Member::File("two.json", &two),
            Member::File("l", &layer),
            Member::File("manifest.json", list.to_string().as_bytes()),
        ],
    );
    let read = |wanted| read_archive(fs::File::open(&file).unwrap(), &file, wanted, &fixture.store);
    let listed = read(Wanted::All).unwrap();
    assert_eq!(
        listed.iter().map(|listed| listed.names.clone()).collect::<Vec<_>>(),
        [vec!["a:1", "b:1", "c:1"], vec![]]
    );
    assert_eq!(read(Wanted::Named("docker.io/library/c:1")).unwrap()[0].what, listed[0].what);
    assert!(matches!(read(Wanted::Only), Err(ImageError::SeveralNames { .. })));

    let many = json!(vec![json!({"Config": "one.json", "Layers": ["l"]}); 1001]).to_string();
    tar(
        &file,
        &[Member::File("one.json", &one), Member::File("l", &layer), Member::File("manifest.json", many.as_bytes())],
    );
    let error = read_archive(fs::File::open(&file).unwrap(), &file, Wanted::All, &fixture.store).unwrap_err();
    assert!(error.to_string().contains("more than 1000 images"), "{error}");
    tar(&file, &[Member::File("x", b"")]);
    let error = read_archive(fs::File::open(&file).unwrap(), &file, Wanted::All, &fixture.store).unwrap_err();
    assert!(error.to_string().contains("neither `manifest.json` nor `oci-layout`"), "{error}");
}

#[test]
fn an_archive_that_is_no_layout_is_named() {
    let fixture = Fixture::new();
    let file = fixture.path("x.tar");
    let import = || import_oci_archive(&file, None, &amd64(), &fixture.store).unwrap_err();
    assert!(matches!(import(), ImageError::Io { .. }), "no such file");
    tar(&file, &[Member::File("manifest.json", b"[]")]);
    assert!(import().to_string().contains("is not an OCI image layout"), "{}", import());
    tar(&file, &[Member::File("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)]);
    assert!(import().to_string().contains("index.json"), "{}", import());
    fs::write(&file, "not an archive at all").unwrap();
    assert!(matches!(import(), ImageError::Archive { .. }), "{}", import());
}
