//! Who is asked for what with which credentials.

use std::fs;
use std::thread;

use ocify::registry::{Credential, Credentials, RegistryError, Secret};
use ocify::target::RegistrySettings;

use super::place::{PASSWORD, Place, described, echo, image, repository, shown, tag};
use super::server::{Auth, Fault, Options, Server, What};

fn guarded(auth: Auth) -> Server {
    Server::start(Options { auth, ..Options::default() })
}

#[test]
fn a_manifest_behind_a_token_server_takes_three_requests_and_the_next_one() {
    let server = guarded(Auth::token("me", PASSWORD));
    let bytes = image(&server, "a/b", "1");
    let place = Place::new().with_password(&server, PASSWORD);
    let (client, name) = (place.client(), repository(&server.host(), "a/b"));
    let descriptor = client.resolve(&name, &tag("1")).unwrap().unwrap();
    assert_eq!(descriptor.size, bytes.len() as u64);
    assert_eq!((server.requests().len(), server.tokens().requests().len()), (2, 1));
    let (again, read) = client.manifest(&name, &tag("1")).unwrap().unwrap();
    assert_eq!((&again, read), (&descriptor, bytes));
    assert_eq!((server.requests().len(), server.tokens().requests().len()), (3, 1));
    // Who asks in order to push has the right to pull and to push; and another scope costs no challenge.
    let blob = place.blob(b"new");
    client.upload(&name, &blob, &place.store, &[], &|_| ()).unwrap();
    assert!(server.requests()[3..].iter().all(|exchange| exchange.status != 401));
    // Whoever may push may pull.
    server.clear();
    assert!(client.has_blob(&name, &blob).unwrap());
    assert_eq!((server.requests().len(), server.tokens().requests().len()), (1, 1));
    // Where there is nothing, nothing is found.
    assert_eq!(client.resolve(&name, &tag("2")).unwrap(), None);
    assert!(client.manifest(&name, &tag("2")).unwrap().is_none());
}

#[test]
fn threads_share_a_token_and_an_old_one_is_renewed() {
    let server = guarded(Auth::token("me", PASSWORD));
    image(&server, "a", "1");
    let place = Place::new().with_password(&server, PASSWORD);
    let (client, name) = (place.client(), repository(&server.host(), "a"));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| client.resolve(&name, &tag("1")).unwrap().unwrap());
        }
    });
    assert_eq!(server.tokens().requests().len(), 1);
    server.revoke_tokens();
    client.resolve(&name, &tag("1")).unwrap().unwrap();
    assert_eq!(server.tokens().requests().len(), 2);
}

#[test]
fn an_identity_token_is_posted() {
    let server = guarded(Auth::token("me", PASSWORD));
    image(&server, "a", "1");
    let mut place = Place::new();
    place.credentials = Credentials::given(&server.host(), Credential::of("<token>".into(), Secret::new(PASSWORD)));
    place.client().resolve(&repository(&server.host(), "a"), &tag("1")).unwrap().unwrap();
    assert_eq!(server.tokens().requests()[0].line(), "POST /token");
}

#[test]
fn what_anybody_may_pull_needs_no_credentials() {
    let server =
        Server::start(Options { anonymous_pull: true, auth: Auth::token("me", PASSWORD), ..Options::default() });
    image(&server, "a", "1");
    let place = Place::new();
    place.client().manifest(&repository(&server.host(), "a"), &tag("1")).unwrap().unwrap();
    assert_eq!(server.tokens().requests()[0].authorization(), None);
}

#[test]
fn basic_authentication_is_sent_unasked_once_it_is_known() {
    let server = guarded(Auth::basic("me", PASSWORD));
    image(&server, "a", "1");
    image(&server, "b", "1");
    let place = Place::new().with_password(&server, PASSWORD);
    let client = place.client();
    for path in ["a", "b"] {
        client.resolve(&repository(&server.host(), path), &tag("1")).unwrap().unwrap();
    }
    assert_eq!(server.requests().iter().map(|exchange| exchange.status).collect::<Vec<_>>(), [401, 200, 200]);
    client.ping(&server.host()).unwrap();
}

#[test]
fn a_denial_names_registry_scope_and_source_and_no_secret() {
    for auth in [Auth::basic("me", "right"), Auth::token("me", "right")] {
        let server = guarded(auth);
        let name = repository(&server.host(), "shop/web");
        let place = Place::new().with_password(&server, PASSWORD);
        let error = place.client().resolve(&name, &tag("1")).unwrap_err();
        let text = shown(&error);
        for part in [&server.host(), "repository:shop/web:pull", &place.config().display().to_string(), "ocify login"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let mut place = Place::new();
        place.credentials = Credentials::of_files(vec![place.config()]);
        let error = place.client().has_blob(&name, &described(b"x")).unwrap_err();
        let text = shown(&error);
        assert!(text.contains("none were found in") && text.contains("config.json"), "{text}");
    }
}

#[test]
fn what_a_server_repeats_of_a_secret_is_not_shown() {
    let server = guarded(Auth::basic("me", PASSWORD));
    let place = Place::new().with_password(&server, PASSWORD);
    let client = place.client();
    let name = repository(&server.host(), "a");
    for status in [403, 400, 404, 500] {
        server.heal();
        server.fault(Fault::new("GET", "tags", echo(status)));
        let error = client.tags(&name).unwrap_err();
        let text = shown(&error);
        assert!(status == 404 || text.contains("DENIED: Basic ... ... are not [31m enough"), "{text}");
    }

    let server = guarded(Auth::token("me", PASSWORD));
    let place = Place::new().with_password(&server, PASSWORD);
    let client = place.client();
    for status in [401, 403, 418] {
        server.tokens().heal();
        server.tokens().fault(Fault::new("GET", "token", echo(status)));
        let error = client.tags(&repository(&server.host(), "a")).unwrap_err();
        assert!(shown(&error).contains("DENIED"), "{error}");
    }
    for body in ["{}", "[]", r#"{"token": ""}"#, r#"{"token": "canary-token\n"}"#, "canary-token", &"x".repeat(2 << 20)]
    {
        server.tokens().heal();
        let answer = super::server::Response::new(200).body(body);
        server.tokens().fault(Fault::new("GET", "token", What::Answer(answer)));
        shown(&client.tags(&repository(&server.host(), "a")).unwrap_err());
    }
}

#[test]
fn a_realm_that_is_nobodys_business_is_not_asked() {
    let server = guarded(Auth::basic("me", PASSWORD));
    let place = Place::new().with_password(&server, PASSWORD);
    let client = place.client();
    for (challenge, reason) in [
        ("Bearer realm=\"http://169.254.169.254/token\"", "link-local"),
        ("Bearer realm=\"http://[fe80::1]/token\"", "link-local"),
        ("Bearer realm=\"http://0.0.0.0/token\"", "unspecified"),
        ("Bearer realm=\"http://elsewhere.example/token\"", "in the clear"),
        ("Bearer realm=\"file:///etc/passwd\"", "not supported"),
        ("Bearer realm=\"https://u:p@elsewhere.example/\"", "user name"),
        ("Bearer service=\"x\"", "realm"),
        ("Bearer realm=\"https://a\",realm=\"https://b\"", "twice"),
        ("Digest realm=\"x\"", "did not ask for credentials"),
    ] {
        server.heal();
        server.fault(Fault::new("", "", What::Header("WWW-Authenticate", challenge.into())));
        let error = client.tags(&repository(&server.host(), "a")).unwrap_err();
        assert!(shown(&error).contains(reason), "{challenge}: {error}");
    }
}

#[test]
fn a_token_server_cannot_send_credentials_on() {
    for identity in [false, true] {
        let (server, other) = (guarded(Auth::token("me", PASSWORD)), Server::start(Options::default()));
        let user = if identity { "<token>" } else { "me" };
        let mut place = Place::new();
        place.credentials = Credentials::given(&server.host(), Credential::of(user.into(), Secret::new(PASSWORD)));
        server.tokens().fault(Fault::new("", "token", What::Redirect(format!("http://{}", other.host()))));
        let error = place.client().tags(&repository(&server.host(), "a")).unwrap_err();
        assert!(shown(&error).contains("307") && other.requests().is_empty(), "{error}");
    }
}

#[test]
fn a_registry_with_tls_does_not_send_to_a_token_server_without() {
    let server = Server::start(Options { auth: Auth::token("me", PASSWORD), tls: true, ..Options::default() });
    image(&server, "a", "1");
    let settings = RegistrySettings { ca: Some("ca.pem".into()), ..RegistrySettings::default() };
    let place = Place::new().with_password(&server, PASSWORD).settings(&server.host(), settings);
    let name = repository(&server.host(), "a");

    let error = place.client().resolve(&name, &tag("1")).unwrap_err();
    assert!(matches!(error, RegistryError::Authorities { .. }), "{error}");
    fs::write(place.directory.path().join("ca.pem"), "no certificate").unwrap();
    assert!(shown(&place.client().resolve(&name, &tag("1")).unwrap_err()).contains("no certificate"));
    fs::write(place.directory.path().join("ca.pem"), crate::certificate::AUTHORITY).unwrap();
    place.client().resolve(&name, &tag("1")).unwrap().unwrap();

    // Nor does it send anything else out of TLS.
    let other = Server::start(Options::default());
    server.fault(Fault::new("GET", "blobs", What::Redirect(format!("http://{}", other.host()))));
    let error = place.download(&place.client(), &name, &described(b"{}")).unwrap_err();
    assert!(shown(&error).contains("it leaves TLS"), "{error}");
    server.fault(Fault::new("POST", "uploads", What::Header("Location", format!("http://{}/x", other.host()))));
    let error = place.client().upload(&name, &place.blob(b"x"), &place.store, &[], &|_| ()).unwrap_err();
    assert!(shown(&error).contains("it leaves TLS") && other.requests().is_empty(), "{error}");

    let plain = "Bearer realm=\"http://127.0.0.1:1/token\"";
    server.fault(Fault::new("", "", What::Header("WWW-Authenticate", plain.into())));
    let error = place.client().resolve(&name, &tag("1")).unwrap_err();
    assert!(shown(&error).contains("it leaves TLS"), "{error}");

    let unknown =
        Place::new().settings(&server.host(), RegistrySettings { insecure: Some(false), ..Default::default() });
    let error = unknown.client().resolve(&name, &tag("1")).unwrap_err();
    assert!(shown(&error).to_lowercase().contains("certificate"), "{error}");
}

#[test]
fn credentials_stay_at_home_when_a_blob_is_elsewhere() {
    for auth in [Auth::basic("me", PASSWORD), Auth::token("me", PASSWORD)] {
        let (server, other) = (guarded(auth), Server::start(Options::default()));
        other.put_blob("a", b"the blob");
        server.put_blob("a", b"the blob");
        server.fault(Fault::new("GET", "/blobs/", What::Redirect(format!("http://{}", other.host()))));
        let place = Place::new().with_password(&server, PASSWORD);
        let blob = described(b"the blob");
        place.download(&place.client(), &repository(&server.host(), "a"), &blob).unwrap();
        assert_eq!(other.requests().len(), 1);
        assert!(other.requests().iter().all(|exchange| exchange.authorization().is_none()));
    }
}

#[test]
fn an_upload_that_goes_on_elsewhere_does_so_without_credentials() {
    let (server, other) = (guarded(Auth::basic("me", PASSWORD)), Server::start(Options::default()));
    let place = Place::new().with_password(&server, PASSWORD);
    let blob = place.blob(b"the blob");
    let location = format!("http://{}/v2/a/blobs/uploads/there?state=secret", other.host());
    server.fault(Fault::new("POST", "uploads", What::Header("Location", location)));
    let name = repository(&server.host(), "a");
    let error = place.client().upload(&name, &blob, &place.store, &[], &|_| ()).unwrap_err();
    assert!(!other.requests().is_empty());
    assert!(other.requests().iter().all(|exchange| exchange.authorization().is_none()));
    assert!(other.requests()[0].path.contains("state=secret&digest=sha256:"));
    assert!(!shown(&error).contains("state="), "{error}");
    for location in ["http://169.254.169.254/x", "ftp://x/y", "http://u:p@h/x"] {
        server.heal();
        server.fault(Fault::new("POST", "uploads", What::Header("Location", location.into())));
        let error = place.client().upload(&name, &blob, &place.store, &[], &|_| ()).unwrap_err();
        assert!(matches!(error, RegistryError::Malformed { .. }), "{error}");
    }
}

#[test]
fn without_network_nobody_is_asked() {
    let server = guarded(Auth::None);
    let mut place = Place::new();
    place.options.http.offline = true;
    let error = place.client().resolve(&repository(&server.host(), "a"), &tag("1")).unwrap_err();
    assert!(matches!(error, RegistryError::Offline { .. }), "{error}");
    assert!(server.requests().is_empty());
}
