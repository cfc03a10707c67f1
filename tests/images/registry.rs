//! Images of a registry: what is asked for, what is kept, and what is not believed.

use std::sync::Mutex;

use ocify::diagnostic::Diagnostic;
use ocify::digest::Digest;
use ocify::format::MediaTypes;
use ocify::image::{Image, ImageError, Registry, Resolved, import_registry, resolve};
use ocify::oci::{Descriptor, MediaType, Reference, Repository};
use ocify::platform::Platform;
use ocify::store::Store;
use serde_json::json;

use super::fixture::{Fixture, amd64};

/// A registry whose blobs are in a store, with one tag. It remembers what it was asked for.
struct Shelf {
    fixture: Fixture,
    tag: Mutex<Digest>,
    asked: Mutex<Vec<String>>,
}

impl Shelf {
    fn new(fixture: Fixture, tag: Digest) -> Shelf {
        Shelf { fixture, tag: Mutex::new(tag), asked: Mutex::default() }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Registry for Shelf {
    fn manifest(&self, reference: &Reference) -> Result<Option<(Descriptor, Vec<u8>)>, Diagnostic> {
        self.asked.lock().unwrap().push(reference.to_string());
        let digest = reference.digest.unwrap_or(*self.tag.lock().unwrap());
        let Ok(Some(bytes)) = self.fixture.store.read_blob(&digest, 1 << 20) else { return Ok(None) };
        let is_index = String::from_utf8_lossy(&bytes).contains("\"manifests\"");
        let media_type =
            if is_index { MediaType::Index(MediaTypes::Oci) } else { MediaType::Manifest(MediaTypes::Oci) };
        Ok(Some((Descriptor::new(media_type, digest, bytes.len() as u64), bytes)))
    }

    fn blob(&self, _: &Reference, blob: &Descriptor, store: &Store) -> Result<(), Diagnostic> {
        self.asked.lock().unwrap().push(format!("blob {}", blob.digest));
        let bytes = self.fixture.store.read_blob(&blob.digest, 1 << 20).unwrap();
        store.put_blob(&bytes.ok_or_else(|| Diagnostic::failure("gone"))?).unwrap();
        Ok(())
    }
}

fn name() -> Reference {
    "registry.example.com/shop/base:1".parse().unwrap()
}

fn at(digest: &Digest) -> String {
    format!("{}@{digest}", name())
}

/// Images for two platforms and the index of both.
fn two() -> (Shelf, [Image; 2], Digest) {
    let fixture = Fixture::new();
    let layer = fixture.layer(&[("a", "a")]);
    let amd = fixture.image("{}", vec![layer.clone()]);
    let arm = fixture.image(r#"{"platform": "linux/arm64"}"#, vec![layer]);
    let index = fixture.put(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [amd.descriptor(), arm.descriptor()],
    }));
    (Shelf::new(fixture, index), [amd, arm], index)
}

fn import(shelf: &Shelf, digest: &Digest, platform: &Platform, store: &Store) -> Result<Image, ImageError> {
    import_registry(shelf, &name(), digest, platform, store)
}

#[test]
fn a_name_stands_for_an_index_and_the_images_in_it() {
    let (shelf, [amd, arm], index) = two();
    let store = shelf.fixture.other_store();
    let arm64: Platform = "linux/arm64".parse().unwrap();
    let platforms = [(amd64(), amd.digest()), (arm64.clone(), arm.digest())].into();
    assert_eq!(resolve(&shelf, &name(), &store).unwrap(), Some(Resolved { digest: index, platforms }));
    assert_eq!(shelf.asked(), [name().to_string()], "the index says what it has");

    *shelf.tag.lock().unwrap() = arm.digest();
    let platforms = [(arm64, arm.digest())].into();
    assert_eq!(resolve(&shelf, &name(), &store).unwrap(), Some(Resolved { digest: arm.digest(), platforms }));
    *shelf.tag.lock().unwrap() = Digest::of(b"gone");
    assert_eq!(resolve(&shelf, &name(), &store).unwrap(), None);
}

#[test]
fn a_platform_that_an_index_has_twice_is_not_chosen() {
    let (shelf, [amd, arm], _) = two();
    let other = shelf.fixture.image(r#"{"user": "7"}"#, vec![]);
    let index = shelf.fixture.put(&json!({
        "schemaVersion": 2,
        "manifests": [amd.descriptor(), other.descriptor(), arm.descriptor()],
    }));
    *shelf.tag.lock().unwrap() = index;
    let found = resolve(&shelf, &name(), &shelf.fixture.other_store()).unwrap().unwrap();
    assert_eq!(found.platforms.into_keys().map(|platform| platform.to_string()).collect::<Vec<_>>(), ["linux/arm64"]);
}

#[test]
fn an_import_takes_manifest_and_config_and_remembers_where_the_layers_are() {
    let (shelf, [amd, _], index) = two();
    let store = shelf.fixture.other_store();
    assert_eq!(import(&shelf, &index, &amd64(), &store).unwrap(), amd);
    assert_eq!(shelf.asked(), [at(&index), at(&amd.digest()), format!("blob {}", amd.id())]);
    assert!(amd.documents_are_in(&store).unwrap());
    let layer = &amd.layers()[0].descriptor.digest;
    assert_eq!(store.contains(layer), None);
    assert_eq!(store.sources(layer), [Repository::of(&name())]);

    assert_eq!(import(&shelf, &index, &amd64(), &store).unwrap(), amd);
    assert_eq!(shelf.asked(), [""; 0], "what the store has is not asked for");
}

#[test]
fn what_is_damaged_in_the_store_is_asked_for_again() {
    let (shelf, [amd, _], _) = two();
    let store = shelf.fixture.other_store();
    import(&shelf, &amd.digest(), &amd64(), &store).unwrap();
    shelf.asked();
    for digest in [amd.digest(), amd.id()] {
        let path = store.root().join("blobs/sha256").join(digest.hex());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "damaged").unwrap();
        assert_eq!(import(&shelf, &amd.digest(), &amd64(), &store).unwrap(), amd);
        assert_eq!(shelf.asked().len(), 1);
    }
}

#[test]
fn what_a_registry_says_is_held_against_the_digest() {
    struct Liar(Vec<u8>, MediaType);
    impl Registry for Liar {
        fn manifest(&self, reference: &Reference) -> Result<Option<(Descriptor, Vec<u8>)>, Diagnostic> {
            let digest = reference.digest.unwrap_or_else(|| Digest::of(&self.0));
            Ok(Some((Descriptor::new(self.1.clone(), digest, self.0.len() as u64), self.0.clone())))
        }

        fn blob(&self, _: &Reference, _: &Descriptor, _: &Store) -> Result<(), Diagnostic> {
            Err(Diagnostic::failure("no blob"))
        }
    }
    let (shelf, [amd, arm], _) = two();
    let (oci, docker) = (MediaType::Manifest(MediaTypes::Oci), MediaType::Manifest(MediaTypes::Docker));
    let store = shelf.fixture.other_store();
    let liar = Liar(arm.manifest_bytes().to_vec(), oci);
    let error = import_registry(&liar, &name(), &amd.digest(), &amd64(), &store).unwrap_err();
    assert!(matches!(error, ImageError::Document { digest, .. } if digest == amd.digest()), "{error}");
    let liar = Liar(amd.manifest_bytes().to_vec(), docker);
    let error = import_registry(&liar, &name(), &amd.digest(), &amd64(), &store).unwrap_err();
    assert!(matches!(error, ImageError::Document { .. }), "the type is another than the manifest's: {error}");
    assert!(resolve(&liar, &name(), &store).is_err());
    assert_eq!(super::fixture::names(&store.root().join("blobs/sha256")), [""; 0], "nothing of it is kept");
}
