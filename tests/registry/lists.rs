//! Lists: tags and referrers.

use ocify::digest::Digest;
use ocify::oci::MediaType;
use ocify::registry::{ManifestName, RegistryError};
use serde_json::json;

use super::place::{MANIFEST, Place, image, repository, shown, tag};
use super::server::{Fault, Options, Response, Server, What};

#[test]
fn tags_are_listed_over_all_pages() {
    let server = Server::start(Options { page: 2, ..Options::default() });
    for tag in ["b", "a", "d", "c", "1.0"] {
        image(&server, "x/y", tag);
    }
    let client = Place::new().client();
    let name = repository(&server.host(), "x/y");
    assert_eq!(client.tags(&name).unwrap(), ["1.0", "a", "b", "c", "d"]);
    assert_eq!(server.requests().len(), 3);
    let error = client.tags(&repository(&server.host(), "none")).unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
}

#[test]
fn a_list_stays_on_its_host_and_ends() {
    let server = Server::start(Options { page: 1, ..Options::default() });
    image(&server, "a", "1");
    image(&server, "a", "2");
    let (client, name) = (Place::new().client(), repository(&server.host(), "a"));
    for (link, reason) in [
        ("<http://elsewhere.example/v2/a/tags/list?secret=1>; rel=next", "another host"),
        ("<http://169.254.169.254/>; rel=next", "link-local"),
        ("<file:///etc/passwd>; rel=next", "not supported"),
        ("</v2/a/tags/list>; rel=next", "more than 1000 pages"),
    ] {
        server.heal();
        server.fault(Fault::new("GET", "tags", What::Header("Link", link.into())));
        let error = client.tags(&name).unwrap_err();
        let text = shown(&error);
        assert!(text.contains(reason) && !text.contains("secret"), "{link}: {text}");
    }
    for (body, reason) in [
        (r#"{"tags": ["ok", "\u001b[31m"]}"#.to_owned(), "not a tag"),
        (r#"{"tags": ["../../x"]}"#.to_owned(), "not a tag"),
        (r#"{"tags": ["5000/a:b"]}"#.to_owned(), "not a tag"),
        (format!(r#"{{"tags": ["1@{}"]}}"#, Digest::of(b"x")), "not a tag"),
        (format!(r#"{{"tags": ["{}"]}}"#, "/".repeat(1 << 20)), "..."),
        (format!(r#"{{"tags": "{}"}}"#, "x".repeat(1 << 20)), "not valid"),
        ("[]".to_owned(), "not valid"),
        (" ".repeat(5 << 20), "more than"),
    ] {
        server.heal();
        server.fault(Fault::new("GET", "tags", What::Answer(Response::new(200).body(body))));
        let error = client.tags(&name).unwrap_err();
        assert!(shown(&error).contains(reason) && error.to_string().len() < 1000, "{error:.1000}");
    }
}

#[test]
fn referrers_come_from_the_api_or_from_the_tag() {
    let subject = Digest::of(b"the subject");
    let signature = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x.signature",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2},
        "layers": [], "subject": {"mediaType": MANIFEST, "digest": subject, "size": 11},
    });
    let signature = signature.to_string().into_bytes();
    let digest = Digest::of(&signature);
    for referrers in [true, false] {
        let server = Server::start(Options { referrers, ..Options::default() });
        let (client, name) = (Place::new().client(), repository(&server.host(), "a"));
        server.put_blob("a", b"{}");
        server.put_manifest("a", &digest.to_string(), MANIFEST, &signature);
        assert_eq!(client.referrers(&name, &Digest::of(b"none"), None).unwrap(), []);
        let index = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": MANIFEST, "digest": digest, "size": signature.len(),
                "artifactType": "application/x.signature",
            }],
        });
        let tag = format!("sha256-{}", subject.hex());
        server.put_manifest("a", &tag, "application/vnd.oci.image.index.v1+json", index.to_string().as_bytes());
        for wanted in [None, Some("application/x.signature")] {
            let found = client.referrers(&name, &subject, wanted).unwrap();
            assert_eq!(found.iter().map(|descriptor| descriptor.digest).collect::<Vec<_>>(), [digest], "{referrers}");
            assert_eq!(found[0].artifact_type.as_deref(), Some("application/x.signature"));
        }
        assert_eq!(client.referrers(&name, &subject, Some("other")).unwrap(), []);
    }
}

#[test]
fn what_is_pushed_with_a_subject_is_among_its_referrers() {
    let subject = Digest::of(b"the subject");
    let referrer = |number: usize, artifact_type: Option<&str>| {
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "annotations": {"number": number.to_string()},
            "config": {"mediaType": "application/x.config", "digest": Digest::of(b"{}"), "size": 2},
            "layers": [], "subject": {"mediaType": MANIFEST, "digest": subject, "size": 11},
        });
        artifact_type.into_iter().for_each(|artifact_type| manifest["artifactType"] = json!(artifact_type));
        manifest.to_string().into_bytes()
    };
    for referrers in [true, false] {
        let server = Server::start(Options { referrers, ..Options::default() });
        let (client, name) = (Place::new().client(), repository(&server.host(), "a"));
        server.put_blob("a", b"{}");
        let put = |bytes: &[u8]| {
            client.put_manifest(&name, &ManifestName::Digest(Digest::of(bytes)), &MediaType::from(MANIFEST), bytes)
        };
        let all = [referrer(1, Some("application/x.a")), referrer(2, None)];
        for bytes in [&all[0], &all[1], &all[0]] {
            put(bytes).unwrap();
        }
        let mut found: Vec<(Digest, Option<String>, Option<String>)> = client
            .referrers(&name, &subject, None)
            .unwrap()
            .into_iter()
            .map(|found| (found.digest, found.artifact_type, found.annotations.get("number").cloned()))
            .collect();
        found.sort_by(|a, b| a.2.cmp(&b.2));
        let expected =
            |at: usize, kind: &str, number: &str| (Digest::of(&all[at]), Some(kind.into()), Some(number.into()));
        assert_eq!(found, [expected(0, "application/x.a", "1"), expected(1, "application/x.config", "2")]);
        let tag_name = format!("sha256-{}", subject.hex());
        assert_eq!(server.manifest("a", &tag_name).is_some(), !referrers);

        // What has the list's name and is none is left as it is.
        if !referrers {
            let (_, other) = server.manifest("a", &Digest::of(&all[0]).to_string()).unwrap();
            server.put_manifest("a", &tag_name, MANIFEST, &other);
            let error = put(&referrer(3, None)).unwrap_err();
            assert!(shown(&error).contains("the referrers of"), "{error}");
            assert_eq!(server.manifest("a", &tag_name).unwrap().1, other);
            assert_eq!(client.resolve(&name, &tag(&tag_name)).unwrap().unwrap().media_type, MediaType::from(MANIFEST));
        }
    }
}
