//! Reading from registries that work, and from others.

use std::time::{Duration, Instant};

use ocify::digest::Digest;
use ocify::oci::{Descriptor, MediaType};
use ocify::registry::{ManifestName, RegistryError};
use ocify::target::RegistrySettings;

use super::place::{MANIFEST, Place, bytes, described, image, repository, shown, tag};
use super::server::{Fault, Options, Response, Server, What};

#[test]
fn a_blob_streams_into_the_store() {
    let server = Server::start(Options::default());
    let blob = bytes(1 << 20);
    server.put_blob("a", &blob);
    let place = Place::new();
    let told = place.download(&place.client(), &repository(&server.host(), "a"), &described(&blob)).unwrap();
    assert_eq!(told, blob.len() as u64);
    assert_eq!(place.store.read_blob(&Digest::of(&blob), 1 << 20).unwrap().unwrap(), blob);
}

#[test]
fn a_cut_download_goes_on_where_it_was_cut() {
    for ranges in [true, false] {
        let server = Server::start(Options { ranges, ..Options::default() });
        let blob = bytes(1 << 20);
        server.put_blob("a", &blob);
        server.fault(Fault::new("GET", "blobs", What::Cut { after: 300_000 }).times(1));
        let place = Place::new();
        let told = place.download(&place.client(), &repository(&server.host(), "a"), &described(&blob)).unwrap();
        assert_eq!(told, blob.len() as u64);
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        let range = requests[1].header("range").unwrap();
        let begun: u64 = range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
        assert!(begun > 0 && begun <= 300_000);
        assert_eq!(requests[1].sent, if ranges { blob.len() as u64 - begun } else { blob.len() as u64 });
    }
}

#[test]
fn a_rest_that_is_not_the_rest_is_not_appended() {
    let server = Server::start(Options::default());
    let blob = bytes(100_000);
    server.put_blob("a", &blob);
    server.fault(Fault::new("GET", "blobs", What::Cut { after: 50_000 }).times(1));
    let range = What::Header("Content-Range", "bytes 0-99999/100000".into());
    server.fault(Fault::new("GET", "blobs", range).times(1));
    let place = Place::new();
    place.download(&place.client(), &repository(&server.host(), "a"), &described(&blob)).unwrap();
    assert_eq!(server.requests().len(), 3);

    // The rest of something else, which only the digest shows.
    server.clear();
    server.fault(Fault::new("GET", "blobs", What::Cut { after: 50_000 }).times(1));
    server.fault(Fault::new("GET", "blobs", What::Flip { at: 1 }).times(1));
    let place = Place::new();
    place.download(&place.client(), &repository(&server.host(), "a"), &described(&blob)).unwrap();
    assert_eq!(server.requests().iter().map(|exchange| exchange.status).collect::<Vec<_>>(), [200, 206, 200]);
}

#[test]
fn attempts_are_bounded_and_nothing_is_stored() {
    let blob = bytes(10_000);
    for (what, requests, reason) in [
        (What::Cut { after: 100 }, 3, "disconnect"),
        (What::unavailable(1_000_000_000), 3, "503"),
        (What::too_many_requests(1_000_000_000), 3, "429 Too Many Requests: TOOMANYREQUESTS: slow down"),
        (What::Answer(Response::new(500)), 3, "500"),
        (What::Answer(Response::new(418)), 1, "418"),
        (What::Flip { at: 7 }, 1, "wrong digest"),
        (What::Length(10_001), 1, "10001 bytes instead of 10000"),
        (What::Length(9_999), 1, "9999 bytes instead of 10000"),
        (What::Endless, 1, "more than 10000 bytes"),
        (What::Redirect("http://169.254.169.254".into()), 1, "link-local"),
        (What::Redirect("http://me:canary-password-hunter2@x".into()), 1, "user name"),
    ] {
        let server = Server::start(Options::default());
        server.put_blob("a", &blob);
        server.fault(Fault::new("GET", "blobs", what.clone()));
        let place = Place::new();
        let begun = Instant::now();
        let error = place.download(&place.client(), &repository(&server.host(), "a"), &described(&blob)).unwrap_err();
        assert!(shown(&error).contains(reason), "{what:?}: {error}");
        assert_eq!(server.requests().len(), requests, "{what:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{what:?}");
        place.assert_nothing_stored();
    }
}

#[test]
fn an_overloaded_registry_is_asked_again() {
    for what in
        [What::unavailable(0), What::too_many_requests(0), What::Answer(Response::new(408)), What::Cut { after: 0 }]
    {
        let server = Server::start(Options::default());
        let manifest = image(&server, "a", "1");
        server.fault(Fault::new("GET", "manifests", what).times(2));
        let (_, read) = Place::new().client().manifest(&repository(&server.host(), "a"), &tag("1")).unwrap().unwrap();
        assert_eq!((read, server.requests().len()), (manifest, 3));
    }
}

#[test]
fn names_that_lead_elsewhere_are_not_asked_for() {
    let server = Server::start(Options::default());
    let client = Place::new().client();
    for (path, name) in [
        ("a", "../../x"),
        ("a", "1?x"),
        ("../a", "1"),
        ("a?b", "1"),
        ("a/../b", "1"),
        ("a", ""),
        ("a", "1@x"),
        ("a", "5/b:c"),
    ] {
        let error = client.manifest(&repository(&server.host(), path), &tag(name)).unwrap_err();
        assert!(matches!(error, RegistryError::Name(_)), "{path}:{name}: {error}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn slow_and_silent_registries_do_not_hold_a_pull() {
    let blob = bytes(100_000);
    for what in [What::Silent, What::Slow { pause: Duration::from_millis(50) }] {
        let server = Server::start(Options::default());
        server.put_blob("a", &blob);
        server.fault(Fault::new("GET", "blobs", what));
        let mut place = Place::new();
        place.options.http.idle = Duration::from_millis(300);
        place.options.http.total = Duration::from_secs(1);
        let begun = Instant::now();
        let error = place.download(&place.client(), &repository(&server.host(), "a"), &described(&blob)).unwrap_err();
        assert!(shown(&error).contains("took too long"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20));
        place.assert_nothing_stored();
    }
}

#[test]
fn a_blob_is_taken_in_the_size_of_its_descriptor_only() {
    let server = Server::start(Options::default());
    server.put_blob("a", b"a config");
    let place = Place::new();
    let (client, name) = (place.client(), repository(&server.host(), "a"));
    let blob = described(b"a config");
    let longer = Descriptor { size: 9, ..blob.clone() };
    let shorter = Descriptor { size: 7, ..blob.clone() };
    for other in [&longer, &shorter] {
        let error = place.download(&client, &name, other).unwrap_err();
        assert!(matches!(error, RegistryError::WrongSize { .. }), "{error}");
        assert!(!client.has_blob(&name, other).unwrap());
    }
    let error = place.download(&client, &name, &described(b"other")).unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
    place.assert_nothing_stored();
    assert!(client.has_blob(&name, &blob).unwrap());
    place.download(&client, &name, &blob).unwrap();
}

#[test]
fn a_manifest_is_what_was_computed_and_of_one_type() {
    let server = Server::start(Options::default());
    let manifest = image(&server, "a", "1");
    let (digest, other) = (Digest::of(&manifest), Digest::of(b"other"));
    let (client, name) = (Place::new().client(), repository(&server.host(), "a"));
    let by_digest = ManifestName::Digest(digest);
    assert_eq!(client.manifest(&name, &by_digest).unwrap().unwrap().1, manifest);

    // A registry's word does not count against the bytes.
    server.fault(Fault::new("", "manifests", What::Header("Docker-Content-Digest", other.to_string())));
    assert_eq!(client.manifest(&name, &tag("1")).unwrap().unwrap().0.digest, digest);
    assert_eq!(client.manifest(&name, &by_digest).unwrap().unwrap().0.digest, digest);
    assert!(matches!(client.resolve(&name, &by_digest), Err(RegistryError::WrongDigest { .. })));
    server.heal();

    server.fault(Fault::new("GET", "manifests", What::Flip { at: 3 }));
    assert!(matches!(client.manifest(&name, &by_digest), Err(RegistryError::WrongDigest { .. })));
    server.heal();

    let index = "application/vnd.oci.image.index.v1+json";
    server.fault(Fault::new("", "manifests", What::Header("Content-Type", index.into())));
    assert!(matches!(client.manifest(&name, &tag("1")), Err(RegistryError::Document { .. })));
    server.heal();
    server.fault(Fault::new("", "manifests", What::Header("Content-Type", "application/json; charset=x".into())));
    let (descriptor, _) = client.manifest(&name, &tag("1")).unwrap().unwrap();
    assert_eq!(descriptor.media_type, MediaType::from(MANIFEST));
    // HEAD does not say enough then, and GET does.
    assert_eq!(client.resolve(&name, &tag("1")).unwrap().unwrap(), descriptor);
    server.heal();

    for (text, reason) in [
        (r#"{"schemaVersion": 2, "layers": [], "manifests": []}"#, "both"),
        (r#"{"schemaVersion": 1, "fsLayers": []}"#, "schemaVersion"),
        ("{}", "not valid"),
        ("<html>", "not valid"),
    ] {
        server.put_manifest("a", "bad", MANIFEST, text.as_bytes());
        let error = client.manifest(&name, &tag("bad")).unwrap_err();
        assert!(shown(&error).contains(reason), "{text}: {error}");
    }
    server.put_manifest("a", "big", MANIFEST, &vec![b' '; (4 << 20) + 1]);
    assert!(matches!(client.manifest(&name, &tag("big")), Err(RegistryError::TooLarge { .. })));
    assert!(matches!(client.resolve(&name, &tag("big")), Err(RegistryError::TooLarge { .. })));
}

#[test]
fn mirrors_are_read_first_and_the_registry_last() {
    let (mirror, server) = (Server::start(Options::default()), Server::start(Options::default()));
    let manifest = image(&mirror, "hub/a", "1");
    image(&server, "a", "1");
    image(&server, "a", "2");
    let settings = RegistrySettings { mirrors: vec![format!("{}/hub", mirror.host())], ..Default::default() };
    let place = Place::new().settings(&server.host(), settings);
    let (client, name) = (place.client(), repository(&server.host(), "a"));
    assert_eq!(client.manifest(&name, &tag("1")).unwrap().unwrap().1, manifest);
    assert!(server.requests().is_empty());
    client.manifest(&name, &tag("2")).unwrap().unwrap();
    assert_eq!(server.requests().len(), 1);
    // A broken mirror is passed over, and told of when nothing helps.
    mirror.fault(Fault::new("GET", "blobs", What::Flip { at: 1 }));
    place.download(&client, &name, &described(b"the layer")).unwrap();
    server.fault(Fault::new("GET", "blobs", What::Answer(Response::new(500))));
    let error = place.download(&client, &name, &described(b"{}")).unwrap_err();
    let text = shown(&error);
    assert!(text.contains(&mirror.host()) && text.contains("wrong digest") && text.contains("500"), "{text}");
    // Writing is for the registry alone.
    let blob = place.blob(b"new");
    client.upload(&name, &blob, &place.store, &[], &|_| ()).unwrap();
    assert!(server.blob("a", &blob.digest).is_some());
}
