//! The registry of the default tests answers as docker-registry does: the same requests, and what a client sees of the
//! answers side by side.

use ocify::digest::Digest;
use serde_json::{Value, json};

use crate::distribution::{Distribution, Flavour, PASSWORD, USER};
use crate::server::connection::{Connection, header};
use crate::server::tokens::basic;
use crate::server::{Auth, Options, Proxy, Response, Server};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a client goes by: the status, the error's code, and the headers that mean something, without the names of hosts
/// and uploads.
fn seen(response: &Response) -> String {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let mut line = format!("{} {}", response.status, body["errors"][0]["code"].as_str().unwrap_or("-"));
    for name in ["Docker-Content-Digest", "Content-Range", "Range", "Link", "Content-Type"] {
        // Errors have one that says no more than that they are JSON, and an answer without a body needs none.
        let means = name != "Content-Type" || (response.status == 200 && !response.body.is_empty());
        let value = response.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).filter(|_| means);
        line.extend(value.map(|(_, value)| format!(" {name}: {}", value.split("; charset").next().unwrap())));
    }
    if let Some((_, location)) = response.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case("location")) {
        let path = location.split_once("/v2/").unwrap().1.split('?').next().unwrap();
        line.push_str(&format!(" Location: {}", path.split("uploads/").next().unwrap()));
    }
    line
}

/// The story of an image, as the registry at `host` tells it: a line an answer.
fn story(host: &str) -> Vec<String> {
    let mut connection = Connection::to(host);
    let mut lines = Vec::new();
    let mut say = |what: &str, response: Response| {
        lines.push(format!("{what}: {}", seen(&response)));
        response
    };
    let (config, layer, nothing) = (Digest::of(b"config"), Digest::of(b"the layer"), Digest::of(b"nothing"));
    say("ping", connection.get("/v2/"));
    say("tags of nothing", connection.get("/v2/a/b/tags/list"));
    say("blob of nothing", connection.get(&format!("/v2/a/b/blobs/{layer}")));
    say("manifest of nothing", connection.get("/v2/a/b/manifests/1"));
    say("not a digest", connection.get("/v2/a/b/blobs/sha256:1"));

    let begun = say("begin", connection.send("POST", "/v2/a/b/blobs/uploads/", &[], b""));
    let put = format!("{}&digest={config}", local(&begun));
    say("wrong content", connection.send("PUT", &put, &[], b"other"));
    let begun = say("begin", connection.send("POST", "/v2/a/b/blobs/uploads/", &[], b""));
    say("whole", connection.send("PUT", &format!("{}&digest={config}", local(&begun)), &[], b"config"));
    let begun = say("begin", connection.send("POST", "/v2/a/b/blobs/uploads/", &[], b""));
    let octets = "Content-Type: application/octet-stream";
    let chunk = say("chunk", connection.send("PATCH", &local(&begun), &[octets, "Content-Range: 0-3"], b"the "));
    let status = say("status", connection.get(&local(&chunk)));
    let last = connection.send("PATCH", &local(&status), &[octets, "Content-Range: 4-8"], b"layer");
    let last = say("chunk", last);
    say("end", connection.send("PUT", &format!("{}&digest={layer}", local(&last)), &[], b""));
    say("ended already", connection.get(&local(&last)));
    let begun = say("begin", connection.send("POST", "/v2/a/b/blobs/uploads/", &[], b""));
    say("cancel", connection.send("DELETE", &local(&begun), &[], b""));

    let mount = |digest| format!("/v2/other/blobs/uploads/?mount={digest}&from=a/b");
    say("mount", connection.send("POST", &mount(layer), &[], b""));
    say("mount of nothing", connection.send("POST", &mount(nothing), &[], b""));
    let blob = format!("/v2/a/b/blobs/{layer}");
    say("head", connection.send("HEAD", &blob, &[], b""));
    say("get", connection.get(&blob));
    say("range", connection.send("GET", &blob, &["Range: bytes=4-"], b""));
    say("range", connection.send("GET", &blob, &["Range: bytes=2-3"], b""));

    let kind = |kind: &str| format!("Content-Type: {kind}");
    let early = manifest(config, nothing);
    say("early", connection.send("PUT", "/v2/a/b/manifests/1", &[&kind(MANIFEST)], &early));
    let image = manifest(config, layer);
    say("manifest", connection.send("PUT", "/v2/a/b/manifests/1", &[&kind(MANIFEST)], &image));
    say("manifest", connection.send("PUT", "/v2/a/b/manifests/2", &[&kind(MANIFEST)], &image));
    let wrong = format!("/v2/a/b/manifests/{nothing}");
    say("of another digest", connection.send("PUT", &wrong, &[&kind(MANIFEST)], &image));
    say("not JSON", connection.send("PUT", "/v2/a/b/manifests/3", &[&kind(MANIFEST)], b"{"));
    let accept = format!("Accept: {MANIFEST}");
    let by_digest = format!("/v2/a/b/manifests/{}", Digest::of(&image));
    for (method, path) in [("HEAD", "/v2/a/b/manifests/1"), ("GET", "/v2/a/b/manifests/1"), ("GET", &by_digest)] {
        say(method, connection.send(method, path, &[&accept], b""));
    }
    let index_type = "application/vnd.oci.image.index.v1+json";
    let index = |digest: Digest| {
        let child = json!({"mediaType": MANIFEST, "digest": digest.to_string(), "size": image.len(),
            "platform": {"os": "linux", "architecture": "amd64"}});
        json!({"schemaVersion": 2, "mediaType": index_type, "manifests": [child]}).to_string()
    };
    let early = index(nothing);
    say("early index", connection.send("PUT", "/v2/a/b/manifests/all", &[&kind(index_type)], early.as_bytes()));
    let whole = index(Digest::of(&image));
    say("index", connection.send("PUT", "/v2/a/b/manifests/all", &[&kind(index_type)], whole.as_bytes()));
    say("tags", connection.get("/v2/a/b/tags/list"));
    say("delete", connection.send("DELETE", &by_digest, &[], b""));
    say("deleted", connection.send("GET", &by_digest, &[&accept], b""));
    say("deleted tag", connection.send("GET", "/v2/a/b/manifests/1", &[&accept], b""));
    say("delete again", connection.send("DELETE", &by_digest, &[], b""));
    say("referrers", connection.get(&format!("/v2/a/b/referrers/{nothing}")));
    lines
}

/// The path and query of a `Location`.
fn local(response: &Response) -> String {
    let location = header(response, "location");
    location[location.find("/v2/").unwrap()..].to_owned()
}

fn manifest(config: Digest, layer: Digest) -> Vec<u8> {
    let descriptor = |media_type: &str, digest: Digest, size: usize| json!({"mediaType": media_type, "digest": digest.to_string(), "size": size});
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config, 6),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer, 9)],
    })
    .to_string()
    .into_bytes()
}

#[test]
fn the_registry_of_the_default_tests_answers_as_docker_registry_does() {
    // 2.8 knows no referrers.
    let ours = Server::start(Options { referrers: false, absolute_locations: true, ..Options::default() });
    let theirs = Distribution::start(Flavour::Plain);
    let proxy = Proxy::start(theirs.host());
    let (ours, proxied) = (story(&ours.host()), story(&proxy.host()));
    let another = Distribution::start(Flavour::Plain);
    assert_eq!(proxied, story(another.host()), "a proxy without faults changes nothing");
    assert_eq!(ours, proxied);
}

#[test]
fn challenges_are_those_of_docker_registry() {
    let ours = Server::start(Options { auth: Auth::basic(USER, PASSWORD), ..Options::default() });
    let theirs = Distribution::start(Flavour::Basic);
    for host in [&ours.host(), theirs.host()] {
        let mut connection = Connection::to(host);
        let refused = connection.get("/v2/");
        assert_eq!(refused.status, 401);
        assert!(header(&refused, "www-authenticate").starts_with("Basic realm=\""), "{refused:?}");
        let authorization = format!("Authorization: {}", basic(USER, PASSWORD));
        assert_eq!(connection.send("GET", "/v2/", &[&authorization], b"").status, 200);
    }

    let ours = Server::start(Options { auth: Auth::token(USER, PASSWORD), ..Options::default() });
    let theirs = Distribution::start(Flavour::Token);
    let mount = format!("/v2/a/b/blobs/uploads/?mount={}&from=other", Digest::of(b""));
    let requests = [
        ("GET", "/v2/"),
        ("HEAD", "/v2/a/b/manifests/1"),
        ("GET", "/v2/a/b/tags/list"),
        ("POST", "/v2/a/b/blobs/uploads/"),
        ("PUT", "/v2/a/b/manifests/1"),
        ("DELETE", "/v2/a/b/manifests/1"),
        ("POST", &mount),
    ];
    for (method, path) in requests {
        for token in [None, Some("Authorization: Bearer none.such.token")] {
            let challenge = |host: &str| {
                let refused = Connection::to(host).send(method, path, token.as_slice(), b"");
                assert_eq!(refused.status, 401);
                let challenge = header(&refused, "www-authenticate").to_owned();
                assert!(challenge.starts_with("Bearer realm=\"http://127.0.0.1:"), "{challenge}");
                let scope = challenge.split_once(",scope=\"").map_or("", |(_, rest)| rest.split('"').next().unwrap());
                // docker-registry's order varies from request to request.
                let mut words: Vec<String> = scope.split([' ', ',', ':']).map(str::to_owned).collect();
                words.sort();
                (words, challenge.contains("error=\"invalid_token\""))
            };
            assert_eq!(challenge(&ours.host()), challenge(theirs.host()), "{method} {path} {token:?}");
        }
    }
}
