//! The tests' own registry keeps to the specification, and its faults are what they are called. Requests are written by
//! hand: what is true here doesn't depend on our client.

use std::io::Read;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ocify::digest::Digest;
use serde_json::{Value, json};

use super::server::connection::{Connection, header};
use super::server::{Auth, Fault, Options, Proxy, Response, Server, What};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[track_caller]
fn assert_error(response: &Response, status: u16, code: &str) {
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, &body["errors"][0]["code"]), (status, &json!(code)), "{body}");
}

fn manifest_of(config: Digest, layers: &[Digest]) -> Vec<u8> {
    let descriptor = |digest: &Digest| json!({"mediaType": "x/y", "digest": digest.to_string(), "size": 1});
    let layers: Vec<Value> = layers.iter().map(descriptor).collect();
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(&config), "layers": layers})
        .to_string()
        .into_bytes()
}

#[test]
fn an_image_is_pushed_and_pulled_over_one_connection() {
    let registry = Server::start(Options::default());
    let mut connection = Connection::to(&registry.host());
    assert_eq!(connection.get("/v2/").status, 200);
    let (config, layer) = (Digest::of(b"config"), Digest::of(b"the layer"));
    assert_error(&connection.get(&format!("/v2/a/b/blobs/{layer}")), 404, "BLOB_UNKNOWN");

    // In one request.
    let target = format!("/v2/a/b/blobs/uploads/?digest={config}");
    assert_error(&connection.send("POST", &target, &[], b"other"), 400, "DIGEST_INVALID");
    assert_eq!(connection.send("POST", &target, &[], b"config").status, 201);

    // In chunks.
    let begun = connection.send("POST", "/v2/a/b/blobs/uploads/", &[], b"");
    assert_eq!(begun.status, 202);
    let location = header(&begun, "location").to_owned();
    let without_query = location.split('?').next().unwrap();
    assert_error(&connection.send("PATCH", without_query, &[], b"the "), 400, "BLOB_UPLOAD_INVALID");
    assert_eq!(connection.send("PATCH", &location, &["Content-Range: 0-3"], b"the ").status, 202);
    let out_of_order = connection.send("PATCH", &location, &["Content-Range: 7-8"], b"er");
    assert_eq!((out_of_order.status, header(&out_of_order, "range")), (416, "0-3"));
    let status = connection.get(&location);
    assert_eq!((status.status, header(&status, "range")), (204, "0-3"));
    let done = connection.send("PUT", &format!("{location}&digest={layer}"), &[], b"layer");
    assert_eq!((done.status, header(&done, "docker-content-digest")), (201, layer.to_string().as_str()));
    assert_eq!(registry.open_uploads(), 0);

    // A mount, and one that there is nothing for.
    let mount = |digest| format!("/v2/other/blobs/uploads/?mount={digest}&from=a/b");
    assert_eq!(connection.send("POST", &mount(layer), &[], b"").status, 201);
    assert_eq!(connection.send("POST", &mount(Digest::of(b"nothing")), &[], b"").status, 202);
    assert_eq!(registry.blob("other", &layer).unwrap(), b"the layer");
    assert_eq!(registry.open_uploads(), 1);

    let range = connection.send("GET", &format!("/v2/a/b/blobs/{layer}"), &["Range: bytes=4-"], b"");
    assert_eq!((range.status, &range.body[..], header(&range, "content-range")), (206, &b"layer"[..], "bytes 4-8/9"));
    let head = connection.send("HEAD", &format!("/v2/a/b/blobs/{layer}"), &[], b"");
    assert_eq!((head.status, header(&head, "content-length")), (200, "9"));

    // A manifest after its blobs.
    let of_type = format!("Content-Type: {MANIFEST}");
    let early = manifest_of(config, &[Digest::of(b"nothing")]);
    let refused = connection.send("PUT", "/v2/a/b/manifests/1", &[&of_type], &early);
    assert_error(&refused, 400, "MANIFEST_BLOB_UNKNOWN");
    let manifest = manifest_of(config, &[layer]);
    assert_eq!(connection.send("PUT", "/v2/a/b/manifests/1", &[&of_type], &manifest).status, 201);
    let pulled = connection.get("/v2/a/b/manifests/1");
    assert_eq!((pulled.status, &pulled.body, header(&pulled, "content-type")), (200, &manifest, MANIFEST));
    assert_eq!(registry.manifest("a/b", "1"), Some((MANIFEST.to_owned(), manifest.clone())));
    assert_eq!(registry.tags("a/b"), ["1"]);
    let by_digest = format!("/v2/a/b/manifests/{}", Digest::of(&manifest));
    assert_eq!(connection.get(&by_digest).body, manifest);
    assert_eq!(connection.send("DELETE", &by_digest, &[], b"").status, 202);
    assert_error(&connection.get("/v2/a/b/manifests/1"), 404, "MANIFEST_UNKNOWN");
    assert!(registry.requests().iter().all(|exchange| exchange.connection == 0));
}

#[test]
fn tags_come_in_pages_and_referrers_by_their_subject() {
    let registry = Server::start(Options { page: 2, ..Options::default() });
    for tag in ["c", "a", "b"] {
        registry.put_manifest("r", tag, MANIFEST, b"{}");
    }
    let mut connection = Connection::to(&registry.host());
    let tags = |response: &Response| serde_json::from_slice::<Value>(&response.body).unwrap()["tags"].clone();
    let first = connection.get("/v2/r/tags/list");
    assert_eq!(tags(&first), json!(["a", "b"]));
    let next = header(&first, "link").strip_prefix('<').unwrap().split_once(">; rel=\"next\"").unwrap().0.to_owned();
    let second = connection.get(&next);
    assert_eq!(tags(&second), json!(["c"]));
    assert!(second.headers.iter().all(|(name, _)| name != "Link"));

    let subject = Digest::of(b"{}");
    for kind in ["sbom", "signature"] {
        let referrer = json!({"mediaType": MANIFEST, "artifactType": kind, "subject": {"digest": subject.to_string()}});
        let type_header = format!("Content-Type: {MANIFEST}");
        let target = format!("/v2/r/manifests/{kind}");
        let put = connection.send("PUT", &target, &[&type_header], referrer.to_string().as_bytes());
        assert_eq!((put.status, header(&put, "oci-subject")), (201, subject.to_string().as_str()));
    }
    let list = |response: &Response| serde_json::from_slice::<Value>(&response.body).unwrap()["manifests"].clone();
    assert_eq!(list(&connection.get(&format!("/v2/r/referrers/{subject}"))).as_array().unwrap().len(), 2);
    let filtered = connection.get(&format!("/v2/r/referrers/{subject}?artifactType=sbom"));
    assert_eq!(list(&filtered)[0]["artifactType"], "sbom");
    assert_eq!(
        (list(&filtered).as_array().unwrap().len(), header(&filtered, "oci-filters-applied")),
        (1, "artifactType")
    );

    let without = Server::start(Options { referrers: false, ..Options::default() });
    assert_eq!(Connection::to(&without.host()).get(&format!("/v2/r/referrers/{subject}")).status, 404);
}

#[test]
fn basic_authentication_lets_the_user_in() {
    let registry = Server::start(Options { auth: Auth::basic("me", "canary"), ..Options::default() });
    let mut connection = Connection::to(&registry.host());
    let refused = connection.get("/v2/");
    assert_error(&refused, 401, "UNAUTHORIZED");
    assert!(header(&refused, "www-authenticate").starts_with("Basic realm="));
    for (password, status) in [("wrong", 401), ("canary", 200)] {
        let basic = format!("Authorization: Basic {}", STANDARD.encode(format!("me:{password}")));
        assert_eq!(connection.send("GET", "/v2/", &[&basic], b"").status, status);
    }
    assert_eq!(registry.requests()[0].authorization(), None);
    assert!(registry.requests()[1].authorization().unwrap().starts_with("Basic "));
}

#[test]
fn tokens_are_for_their_scope_and_expire() {
    let options = Options { auth: Auth::token("me", "canary"), anonymous_pull: true, ..Options::default() };
    let registry = Server::start(options.clone());
    registry.put_manifest("r", "1", MANIFEST, b"{}");
    let mut connection = Connection::to(&registry.host());
    let challenge = connection.get("/v2/r/manifests/1");
    let expected = format!("Bearer realm=\"http://{}/token\",service=\"", registry.tokens().host());
    assert!(header(&challenge, "www-authenticate").starts_with(&expected), "{challenge:?}");
    assert!(header(&challenge, "www-authenticate").ends_with(",scope=\"repository:r:pull\""), "{challenge:?}");

    let basic = |password: &str| format!("Authorization: Basic {}", STANDARD.encode(format!("me:{password}")));
    let service = "registry%20of%20the+tests,%20and%20%22more%22";
    let ask = |authorization: &[&str], scope: &str| {
        let target = format!("/token?service={service}&scope={scope}");
        let answer = Connection::to(&registry.tokens().host()).send("GET", &target, authorization, b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = serde_json::from_slice::<Value>(&answer.body).unwrap()["token"].as_str().unwrap().to_owned();
        format!("Authorization: Bearer {token}")
    };
    let anonymous = ask(&[], "repository:r:pull,push");
    let mine = ask(&[&basic("canary")], "repository:r:pull,push");
    let elsewhere = ask(&[&basic("canary")], "repository:other:pull,push");
    let mut status = |method: &str, target: &str, token: &str| connection.send(method, target, &[token], b"").status;
    assert_eq!(status("GET", "/v2/r/manifests/1", &anonymous), 200);
    assert_eq!(status("POST", "/v2/r/blobs/uploads/", &anonymous), 401);
    assert_eq!(status("POST", "/v2/r/blobs/uploads/", &mine), 202);
    assert_eq!(status("DELETE", "/v2/r/manifests/1", &mine), 401);
    assert_eq!(status("GET", "/v2/r/manifests/1", &elsewhere), 401);
    let mount = format!("/v2/r/blobs/uploads/?mount={}&from=other", Digest::of(b""));
    assert_eq!(status("POST", &mount, &mine), 401);
    assert_eq!(
        status("POST", &mount, &ask(&[&basic("canary")], "repository:r:pull,push&scope=repository:other:pull")),
        202
    );
    registry.revoke_tokens();
    assert_eq!(status("GET", "/v2/r/manifests/1", &mine), 401);

    let mut tokens = Connection::to(&registry.tokens().host());
    let target = format!("/token?service={service}");
    assert_eq!(tokens.send("GET", &target, &[&basic("wrong")], b"").status, 401);
    let form = format!("grant_type=refresh_token&refresh_token=canary&service={service}&scope=repository:r:pull");
    let token: Value = serde_json::from_slice(&tokens.send("POST", "/token", &[], form.as_bytes()).body).unwrap();
    let token = format!("Authorization: Bearer {}", token["access_token"].as_str().unwrap());
    assert_eq!(connection.send("GET", "/v2/r/manifests/1", &[&token], b"").status, 200);

    let brief = Server::start(Options { token_lifetime: Duration::ZERO, ..options });
    let target = format!("/token?service={service}&scope=repository:r:pull");
    let token: Value = serde_json::from_slice(&Connection::to(&brief.tokens().host()).get(&target).body).unwrap();
    let token = format!("Authorization: Bearer {}", token["token"].as_str().unwrap());
    let refused = Connection::to(&brief.host()).send("GET", "/v2/r/manifests/1", &[&token], b"");
    assert!(header(&refused, "www-authenticate").ends_with(",error=\"invalid_token\""), "{refused:?}");
}

/// The same faults, from the registry itself and from a proxy in front of it.
#[test]
fn faults_are_what_they_are_called() {
    let (registry, other) = (Server::start(Options::default()), Server::start(Options::default()));
    let digest = registry.put_blob("r", b"0123456789");
    other.put_blob("r", b"0123456789");
    let path = format!("/v2/r/blobs/{digest}");
    let proxy = Proxy::start(&registry.host());
    let inject = |proxied: bool, fault: Fault| match proxied {
        true => proxy.fault(fault),
        false => registry.fault(fault),
    };
    for (proxied, host) in [(false, registry.host()), (true, proxy.host())] {
        let raw = |what: What| {
            inject(proxied, Fault::new("GET", "/blobs/", what).times(1));
            let mut connection = Connection::to(&host);
            connection.write("GET", &path, &[], b"");
            String::from_utf8(connection.rest()).unwrap()
        };
        let cut = raw(What::Cut { after: 4 });
        assert!(cut.contains("Content-Length: 10\r\n") && cut.ends_with("\r\n\r\n0123"), "{cut}");
        let long = raw(What::Length(11));
        assert!(long.contains("Content-Length: 11\r\n") && long.ends_with("\r\n\r\n0123456789"), "{long}");
        let short = raw(What::Length(3));
        assert!(short.contains("Content-Length: 3\r\n") && short.ends_with("\r\n\r\n0123456789"), "{short}");

        let ask = |what: What| {
            inject(proxied, Fault::new("GET", "/blobs/", what).times(1));
            let mut connection = Connection::to(&host);
            let struck = connection.get(&path);
            assert_eq!(connection.get(&path).body, b"0123456789", "once only, and the connection is kept");
            struck
        };
        assert_eq!(ask(What::Flip { at: 1 }).body, b"0023456789");
        let busy = ask(What::too_many_requests(7));
        assert_eq!(header(&busy, "retry-after"), "7");
        assert_error(&busy, 429, "TOOMANYREQUESTS");
        let away = ask(What::unavailable(1_000_000_000));
        assert_eq!((away.status, header(&away, "retry-after")), (503, "1000000000"));
        let lie = ask(What::Header("Docker-Content-Digest", Digest::of(b"x").to_string()));
        assert_eq!(header(&lie, "docker-content-digest"), Digest::of(b"x").to_string());
        assert_eq!(ask(What::Answer(Response::new(418).body("tea"))).body, b"tea");
        let redirect = ask(What::Redirect(format!("http://{}", other.host())));
        assert_eq!((redirect.status, header(&redirect, "location")), (307, &*format!("http://{}{path}", other.host())));
        let before = Instant::now();
        assert_eq!(ask(What::Slow { pause: Duration::from_millis(2) }).body, b"0123456789");
        assert!(before.elapsed() >= Duration::from_millis(20));

        // Without an end: what is sent first is the end of what is looked at.
        inject(proxied, Fault::new("GET", "/blobs/", What::Endless).times(1));
        let mut connection = Connection::to(&host);
        connection.write("GET", &path, &[], b"");
        let mut bytes = vec![0; 1 << 20];
        connection.0.read_exact(&mut bytes).unwrap();
        drop(connection);

        inject(proxied, Fault::new("GET", "/blobs/", What::Silent).times(1));
        let mut connection = Connection::to(&host);
        connection.write("GET", &path, &[], b"");
        connection.0.get_ref().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(connection.0.read(&mut [0]).is_err());
    }
}

#[test]
fn a_request_that_is_cut_has_arrived_in_part() {
    let registry = Server::start(Options::default());
    let mut connection = Connection::to(&registry.host());
    let location = header(&connection.send("POST", "/v2/r/blobs/uploads/", &[], b""), "location").to_owned();
    registry.fault(Fault::new("PATCH", "/uploads/", What::CutRequest { after: 4 }).times(1));
    connection.write("PATCH", &location, &[], b"0123456789");
    assert_eq!(connection.rest(), b"");
    let mut connection = Connection::to(&registry.host());
    assert_eq!(header(&connection.get(&location), "range"), "0-3");
    assert_eq!(registry.requests()[1].received, 4);
}

#[test]
fn a_fault_waits_for_the_request_with_authorization() {
    let registry = Server::start(Options { auth: Auth::basic("me", "canary"), ..Options::default() });
    let elsewhere = "Basic realm=\"elsewhere\"".to_owned();
    registry.fault(Fault::new("GET", "/v2/", What::Header("WWW-Authenticate", elsewhere.clone())).skip(1));
    registry.fault(Fault::new("GET", "/v2/", What::unavailable(1)).times(1));
    let proxy = Proxy::start(&registry.host());
    proxy.fault(Fault::new("GET", "/v2/", What::too_many_requests(1)).times(1));
    registry.clear();
    let basic = format!("Authorization: Basic {}", STANDARD.encode("me:canary"));
    let mut connection = Connection::to(&proxy.host());
    assert_eq!(header(&connection.get("/v2/"), "www-authenticate"), elsewhere);
    let mut status = || connection.send("GET", "/v2/", &[&basic], b"").status;
    assert_eq!([status(), status(), status()], [429, 503, 200]);
    let seen = registry.requests();
    assert!(seen.iter().all(|exchange| exchange.line() == "GET /v2/"), "{seen:?}");
    assert_eq!(seen.iter().map(|exchange| exchange.status).collect::<Vec<_>>(), [401, 503, 200]);

    registry.fault(Fault::new("", "", What::unavailable(1)));
    proxy.fault(Fault::new("", "", What::too_many_requests(1)));
    assert_eq!((status(), status()), (429, 429));
    proxy.heal();
    assert_eq!((status(), status()), (503, 503));
    registry.heal();
    assert_eq!(status(), 200);
}
