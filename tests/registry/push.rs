//! Writing to registries that work, and to others.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use ocify::digest::Digest;
use ocify::oci::MediaType;
use ocify::registry::{ManifestName, RegistryError, Uploaded};
use ocify::store::StoreError;

use super::place::{MANIFEST, PASSWORD, Place, bytes, described, image, repository, shown, tag};
use super::server::{Auth, Fault, Options, Response, Server, What};

#[test]
fn a_small_blob_goes_in_one_request_and_a_large_one_in_chunks() {
    for absolute_locations in [false, true] {
        let server = Server::start(Options { absolute_locations, ..Options::default() });
        let (place, name) = (Place::new(), repository(&server.host(), "a"));
        for (size, methods) in [
            (0, vec!["POST", "PUT"]),
            (1000, vec!["POST", "PUT"]),
            (1001, vec!["POST", "PATCH", "PATCH", "PATCH", "PUT"]),
        ] {
            server.clear();
            let content = bytes(size);
            let blob = place.blob(&content);
            let told = AtomicU64::new(0);
            let progress = |bytes| {
                told.fetch_add(bytes, Ordering::Relaxed);
            };
            let done = place.client().upload(&name, &blob, &place.store, &[], &progress).unwrap();
            assert_eq!((done, told.into_inner()), (Uploaded::Sent, size as u64));
            assert_eq!(server.requests().iter().map(|exchange| exchange.method.as_str()).collect::<Vec<_>>(), methods);
            assert_eq!(server.blob("a", &blob.digest).unwrap(), content);
            assert_eq!(server.open_uploads(), 0);
        }
    }
}

#[test]
fn a_cut_upload_goes_on_where_the_registry_says() {
    let server = Server::start(Options::default());
    let (place, name) = (Place::new(), repository(&server.host(), "a"));
    let content = bytes(2000);
    let blob = place.blob(&content);
    server.fault(Fault::new("PATCH", "", What::CutRequest { after: 100 }).skip(1).times(1));
    place.client().upload(&name, &blob, &place.store, &[], &|_| ()).unwrap();
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|exchange| exchange.method == "POST").count(), 1);
    assert!(requests.iter().any(|exchange| exchange.method == "GET" && exchange.status == 204));
    assert_eq!(server.blob("a", &blob.digest).unwrap(), content);

    // In one request there is nothing to go on with.
    server.clear();
    let blob = place.blob(b"small");
    server.heal();
    server.fault(Fault::new("PUT", "", What::CutRequest { after: 2 }).times(1));
    place.client().upload(&name, &blob, &place.store, &[], &|_| ()).unwrap();
    assert_eq!(server.requests().iter().filter(|exchange| exchange.method == "POST").count(), 2);
    assert_eq!(server.blob("a", &blob.digest).unwrap(), b"small");
}

#[test]
fn attempts_at_an_upload_are_bounded() {
    let place = Place::new();
    let blob = place.blob(&bytes(2000));
    for (method, what) in [
        ("POST", What::unavailable(1_000_000_000)),
        ("PATCH", What::Answer(Response::new(502))),
        ("PATCH", What::Answer(Response::new(404))),
        ("PATCH", What::Header("Range", "0-99999".into())),
        ("PATCH", What::CutRequest { after: 10 }),
        ("PUT", What::Answer(Response::error(400, "DIGEST_INVALID", "no"))),
        ("PUT", What::Header("Docker-Content-Digest", Digest::of(b"other").to_string())),
    ] {
        let server = Server::start(Options::default());
        server.fault(Fault::new(method, "uploads", what.clone()));
        let name = repository(&server.host(), "a");
        let error = place.client().upload(&name, &blob, &place.store, &[], &|_| ()).unwrap_err();
        shown(&error);
        let failed = server.requests().iter().filter(|exchange| exchange.method == method).count();
        assert!(failed <= 6, "{method} {what:?}: {failed}");
    }
}

#[test]
fn a_blob_of_another_repository_is_mounted() {
    for auth in [Auth::None, Auth::token("me", PASSWORD)] {
        let server = Server::start(Options { auth, ..Options::default() });
        let place = Place::new().with_password(&server, PASSWORD);
        let (client, name) = (place.client(), repository(&server.host(), "to"));
        let from = [repository(&server.host(), "empty"), repository(&server.host(), "from")];
        let blob = place.blob(&bytes(5000));
        server.put_blob("from", &bytes(5000));
        let done = client.upload(&name, &blob, &place.store, &from, &|_| ()).unwrap();
        assert_eq!((done, server.open_uploads()), (Uploaded::Mounted, 0));
        assert!(server.blob("to", &blob.digest).is_some());
        // Where there is nothing to mount, the upload that was begun is used.
        let blob = place.blob(b"new");
        server.clear();
        let elsewhere = repository("elsewhere.example", "from");
        let done = client.upload(&name, &blob, &place.store, &[elsewhere, from[1].clone()], &|_| ()).unwrap();
        assert_eq!((done, server.open_uploads()), (Uploaded::Sent, 0));
        assert_eq!(server.requests().iter().filter(|exchange| exchange.method == "POST").count(), 1);
    }
}

#[test]
fn a_damaged_blob_is_not_uploaded() {
    for size in [500, 1500] {
        let server = Server::start(Options::default());
        let place = Place::new();
        let blob = place.blob(&bytes(size));
        let path = place.directory.path().join("store/blobs/sha256").join(blob.digest.hex());
        fs::remove_file(&path).unwrap();
        fs::write(&path, vec![0; size]).unwrap();
        let name = repository(&server.host(), "a");
        let error = place.client().upload(&name, &blob, &place.store, &[], &|_| ()).unwrap_err();
        assert!(matches!(error, RegistryError::Store(StoreError::DamagedBlob { .. })), "{error}");
        assert!(server.blob("a", &blob.digest).is_none());
        let error = place.client().upload(&name, &described(b"none"), &place.store, &[], &|_| ()).unwrap_err();
        assert!(matches!(error, RegistryError::Missing { .. }), "{error}");
    }
}

#[test]
fn manifests_are_put_and_deleted() {
    let server = Server::start(Options::default());
    let bytes = image(&server, "a", "1");
    let (client, name) = (Place::new().client(), repository(&server.host(), "a"));
    let (digest, media_type) = (Digest::of(&bytes), MediaType::from(MANIFEST));
    assert_eq!(client.put_manifest(&name, &tag("2"), &media_type, &bytes).unwrap(), digest);
    assert_eq!(server.manifest("a", "2").unwrap(), (MANIFEST.to_owned(), bytes.clone()));
    let other = ManifestName::Digest(Digest::of(b"other"));
    assert!(matches!(client.put_manifest(&name, &other, &media_type, &bytes), Err(RegistryError::WrongDigest { .. })));
    server.fault(Fault::new("PUT", "", What::Header("Docker-Content-Digest", Digest::of(b"x").to_string())));
    assert!(matches!(
        client.put_manifest(&name, &tag("3"), &media_type, &bytes),
        Err(RegistryError::WrongDigest { .. })
    ));
    server.heal();

    client.delete_manifest(&name, &ManifestName::Digest(digest)).unwrap();
    assert_eq!(client.resolve(&name, &tag("2")).unwrap(), None);
    let error = client.delete_manifest(&name, &ManifestName::Digest(digest)).unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");

    let server = Server::start(Options { delete: false, ..Options::default() });
    image(&server, "a", "1");
    let error = client.delete_manifest(&repository(&server.host(), "a"), &tag("1")).unwrap_err();
    assert!(shown(&error).contains("does not allow"), "{error}");
}
