//! Registries made to deceive: the rows of the hostile inputs that come over the network, as far as the tests beside this
//! one do not have them (docs/design/registry.md has the list). Each is refused with an error that says why; no name is
//! set in the store, and nothing half-written is left there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use ocify::digest::Digest;
use ocify::registry::RegistryError;
use ocify::store::Store;
use ocify::target::RegistrySettings;
use serde_json::{Value, json};

use super::place::{MANIFEST, PASSWORD, Place, bytes, described, image, repository, shown, tag};
use super::server::{Auth, Fault, Options, Response, Server, What};
use crate::certificate::AUTHORITY;
use crate::workspace::Workspace;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The tar stream of no entries, twice with other lengths, so that there are two diff IDs.
const LAYERS: [&[u8]; 2] = [&[0; 1024], &[0; 2048]];

/// Stores config and layers of an image as `a`, and returns its manifest, to be tampered with.
fn sound(server: &Server, diff_ids: &[Digest]) -> Value {
    let layers = LAYERS.map(|layer| {
        server.put_blob("a", layer);
        json!({"mediaType": LAYER, "digest": Digest::of(layer), "size": layer.len()})
    });
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = config.to_string();
    let digest = server.put_blob("a", config.as_bytes());
    let config = json!({"mediaType": CONFIG, "digest": digest, "size": config.len()});
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})
}

/// The error of pulling `a:1` for the machine, or `arguments` after it.
#[track_caller]
fn refused(server: &Server, arguments: &[&str]) -> String {
    let workspace = Workspace::new();
    let name = format!("{}/a:1", server.host());
    let error = workspace.fails(1, &[&["pull", &name], arguments].concat());
    assert_eq!(workspace.ok(&["images", "--format", "{{.ID}}"]), "");
    assert_eq!(fs::read_dir(workspace.store().join("ingest")).unwrap().count(), 0, "something was left behind");
    assert!(!error.contains('\u{1b}'), "{error:?}");
    unwrapped(&error)
}

/// A report without the breaks that its width put into it; long words are broken without a space before.
fn unwrapped(report: &str) -> String {
    let words: Vec<&str> = report.split_whitespace().filter(|word| *word != "│").collect();
    words.join(" ").replace("/ vnd", "/vnd")
}

#[test]
fn documents_that_deceive_are_refused() {
    let digests = LAYERS.map(Digest::of);
    let server = Server::start(Options::default());
    let put = |manifest: &Value| server.put_manifest("a", "1", MANIFEST, manifest.to_string().as_bytes());
    put(&sound(&server, &digests));
    Workspace::new().ok(&["pull", &format!("{}/a:1", server.host()), "--platform", "linux/amd64"]);

    let hex = digests[0].hex();
    for (pointer, value, reason) in [
        ("/manifests", json!([]), "has both `layers` and `manifests`"),
        ("/mediaType", json!(INDEX), "`mediaType` should be"),
        ("/mediaType", json!("x\u{1b}[31m/y"), "`mediaType` should be"),
        ("/mediaType", json!("x".repeat(3 << 20)), "`mediaType` should be"),
        ("/layers/0/urls", json!(["x".repeat(3 << 20)]), "foreign layers are not supported"),
        ("/schemaVersion", json!(1), "`schemaVersion` is 1"),
        ("/layers/0/size", json!(-1), "not valid"),
        ("/layers/0/size", json!(null), "not valid"),
        ("/layers/0/size", json!("1024"), "not valid"),
        ("/layers/0/size", json!(1e3), "not valid"),
        ("/layers/0/size", json!("x".repeat(3 << 20)), "not valid"),
        ("/layers/0/size", json!(1023), "bytes instead of 1023"),
        ("/layers/0/size", json!(1025), "bytes instead of 1025"),
        ("/layers/0/size", json!(1_u64 << 63), "more than 17179869184 bytes"),
        ("/layers/0/size", json!(u64::MAX), "more than 17179869184 bytes"),
        ("/config/size", json!(1), "bytes instead of 1"),
        ("/config/size", json!(1_u64 << 63), "larger than 16777216 bytes"),
        ("/layers/0/digest", json!("sha256:../../x"), "not valid"),
        ("/layers/0/digest", json!(format!("sha256:{}", hex.to_uppercase())), "not valid"),
        ("/layers/0/digest", json!(format!("sha256:{}", &hex[1..])), "not valid"),
        ("/layers/0/digest", json!(format!("md5:{hex}")), "not valid"),
        ("/layers/0/digest", json!(format!("sha256:{hex}\r\nHost: x")), "not valid"),
        ("/layers/0/urls", json!(["http://169.254.169.254/\u{1b}[31m"]), "foreign layers are not supported"),
        ("/layers/0/data", json!("eA=="), "embedded"),
    ] {
        let mut manifest = sound(&server, &digests);
        match manifest.pointer_mut(pointer) {
            Some(field) => *field = value.clone(),
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                manifest.pointer_mut(parent).unwrap()[name] = value.clone();
            }
        }
        put(&manifest);
        let error = refused(&server, &["--platform", "linux/amd64"]);
        assert!(error.contains(reason) && error.len() < 10_000, "{pointer}: {:.1000}", error);
        assert!(server.requests().iter().all(|request| !request.path.contains("..")), "{pointer} {value}");
    }
    for diff_ids in [&digests[..1], &[digests[0], digests[1], digests[1]]] {
        put(&sound(&server, diff_ids));
        let error = refused(&server, &["--platform", "linux/amd64"]);
        assert!(error.contains("2 layers but"), "{error}");
    }
    for (field, value) in [("os", "linux\"\n"), ("architecture", "\u{1b}[31m"), ("variant", "v 8")] {
        let mut config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}});
        config[field] = json!(value);
        let digest = server.put_blob("a", config.to_string().as_bytes());
        let config = json!({"mediaType": CONFIG, "digest": digest, "size": config.to_string().len()});
        put(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}));
        let error = refused(&server, &["--platform", "linux/amd64"]);
        assert!(error.contains("is no part of a platform"), "{field}: {error}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    server.put_manifest("a", "1", MANIFEST, deep.as_bytes());
    assert!(refused(&server, &[]).contains("not valid"));
}

#[test]
fn a_platform_cannot_pin_another_image() {
    let server = Server::start(Options::default());
    let manifest = sound(&server, &LAYERS.map(Digest::of)).to_string();
    let digest = server.put_manifest("a", "0", MANIFEST, manifest.as_bytes());
    let evil = format!(
        "amd64\" = \"{digest}\"\n\n[[image]]\nreference = \"docker.io/library/debian:12\"\ndigest = \"{digest}\"\n\
         [image.platforms]\n\"linux/arm64"
    );
    let workspace = Workspace::new().file("BUILD.star", format!("image(name = 'x', base = '{}/a:1')", server.host()));
    for (architecture, code, reason) in
        [(&*evil, 1, "is no part of a platform"), ("AMD64", 1, "no platform with exactly one image")]
    {
        let entry = json!({"mediaType": MANIFEST, "digest": digest, "size": manifest.len(),
            "platform": {"os": "linux", "architecture": architecture}});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).to_string();
        server.put_manifest("a", "1", INDEX, index.as_bytes());
        let error = unwrapped(&workspace.fails(code, &["lock"]));
        assert!(error.contains(reason) && !workspace.path("ocify.lock").exists(), "{error}");
    }
}

#[test]
fn diff_ids_in_another_order_are_seen_by_whoever_reads_the_layers() {
    let [first, second] = LAYERS.map(Digest::of);
    let server = Server::start(Options::default());
    let manifest = sound(&server, &[second, first]).to_string();
    server.put_manifest("a", "1", MANIFEST, manifest.as_bytes());
    let (workspace, name) = (Workspace::new(), format!("{}/a:1", server.host()));
    workspace.ok(&["pull", &name, "--platform", "linux/amd64"]);
    for arguments in [&["inspect", &name, "--check"][..], &["export", &name, "-o", "out.tar"]] {
        let error = unwrapped(&workspace.fails(1, arguments));
        assert!(error.contains("holds the tar stream") && error.contains("config says"), "{error}");
    }
    assert!(!workspace.path("out.tar").exists());
}

#[test]
fn indexes_without_end_are_bounded() {
    let server = Server::start(Options::default());
    let entry = |media_type: &str, digest: Digest, size: usize| json!({"mediaType": media_type, "digest": digest, "size": size});
    let put = |name: &str, entries: Vec<Value>| {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string();
        (server.put_manifest("a", name, INDEX, index.as_bytes()), index.len())
    };
    let manifest = sound(&server, &LAYERS.map(Digest::of)).to_string();
    let mut below = entry(MANIFEST, server.put_manifest("a", "0", MANIFEST, manifest.as_bytes()), manifest.len());
    for _ in 0..6 {
        let (digest, size) = put("1", vec![below]);
        below = entry(INDEX, digest, size);
    }
    for arguments in [&["--platform", "linux/amd64"][..], &["--all-platforms"]] {
        let error = refused(&server, arguments);
        assert!(error.contains("nested in more than 4 indexes"), "{error}");
    }
    // None of the children is there, and none says its platform: the first is asked for, and then no more.
    put("1", (0..20_000).map(|number: u32| entry(MANIFEST, Digest::of(&number.to_le_bytes()), 1)).collect());
    server.clear();
    for arguments in [&["--platform", "linux/amd64"][..], &["--all-platforms"]] {
        refused(&server, arguments);
    }
    assert_eq!(server.requests().len(), 4);
    // They are there, each with a platform, and that alone is too much.
    put("1", vec![json!({"mediaType": MANIFEST, "digest": Digest::of(b"x"), "size": 1}); 50_000]);
    assert!(refused(&server, &["--all-platforms"]).contains("more than 4194304 bytes"));
}

#[test]
fn redirects_in_a_circle_end() {
    let server = Server::start(Options::default());
    server.put_blob("a", b"x");
    server.fault(Fault::new("GET", "blobs", What::Redirect(format!("http://{}", server.host()))));
    let place = Place::new();
    let error = place.download(&place.client(), &repository(&server.host(), "a"), &described(b"x")).unwrap_err();
    assert!(shown(&error).contains("more than 5 redirects"), "{error}");
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn a_mirror_gets_its_own_credentials_only() {
    for auth in [Auth::basic("me", PASSWORD), Auth::token("me", PASSWORD)] {
        let server = Server::start(Options { auth: auth.clone(), ..Options::default() });
        let mirror = Server::start(Options { auth, ..Options::default() });
        image(&server, "a", "1");
        let settings = RegistrySettings { mirrors: vec![mirror.host()], ..RegistrySettings::default() };
        let place = Place::new().with_password(&server, PASSWORD).settings(&server.host(), settings);
        place.client().manifest(&repository(&server.host(), "a"), &tag("1")).unwrap().unwrap();
        assert!(!mirror.requests().is_empty());
        assert!(mirror.requests().iter().all(|request| request.authorization().is_none()));
    }
}

#[test]
fn the_authorities_of_a_workspace_do_not_get_the_users_password() {
    for auth in [Auth::basic("me", PASSWORD), Auth::token("me", PASSWORD)] {
        let is_token = matches!(auth, Auth::Token { .. });
        let server = Server::start(Options { auth, tls: true, ..Options::default() });
        image(&server, "a", "1");
        let host = server.host();
        let settings = format!("[registry.\"{host}\"]\nca = \"ca.pem\"\n");
        let workspace = Workspace::new().file("ca.pem", AUTHORITY).file("ocify.toml", &settings);
        let home = workspace.root().parent().unwrap().to_owned();
        // me:canary-password-hunter2
        let auths = format!(r#"{{"auths": {{"{host}": {{"auth": "bWU6Y2FuYXJ5LXBhc3N3b3JkLWh1bnRlcjI="}}}}}}"#);
        fs::create_dir(home.join(".docker")).unwrap();
        fs::write(home.join(".docker/config.json"), auths).unwrap();
        let name = format!("{host}/a:1");

        let error = unwrapped(&workspace.fails(1, &["pull", &name]));
        assert!(error.contains("not sent to a registry that only certificates of the workspace vouch for"), "{error}");
        assert!(error.contains("config.toml") && !error.contains(PASSWORD), "{error}");
        let asked = server.requests().into_iter();
        let asked =
            if is_token { asked.chain(server.tokens().requests()).collect() } else { asked.collect::<Vec<_>>() };
        assert!(!asked.is_empty() && asked.iter().all(|request| request.authorization().is_none()));

        // The user's own word is enough.
        fs::create_dir_all(home.join(".config/ocify")).unwrap();
        fs::write(home.join(".config/ocify/ca.pem"), AUTHORITY).unwrap();
        fs::write(home.join(".config/ocify/config.toml"), &settings).unwrap();
        server.clear();
        // It is no whole image, but its manifest has come.
        let error = workspace.fails(1, &["pull", &name]);
        assert!(!error.contains("denies access"), "{error}");
        assert!(server.requests().iter().any(|request| request.status == 200));
    }
}

#[test]
fn a_file_of_authorities_that_does_not_end_is_not_read() {
    let server = Server::start(Options { tls: true, ..Options::default() });
    for (ca, reason) in
        [("/dev/zero", "not a regular file"), ("fifo", "not a regular file"), (".", "not a regular file")]
    {
        let settings = format!("[registry.\"{}\"]\nca = \"{ca}\"\n", server.host());
        let workspace = Workspace::new().file("ocify.toml", settings);
        let fifo = std::process::Command::new("mkfifo").arg(workspace.path("fifo")).status().unwrap();
        assert!(fifo.success());
        let error = unwrapped(&workspace.fails(1, &["pull", &format!("{}/a", server.host())]));
        assert!(error.contains(reason), "{ca}: {error}");
    }
}

/// A server that answers every request with a head and then `more` until the client hangs up.
fn flood(head: &'static str, more: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let mut result = stream.write_all(head.as_bytes());
            while result.is_ok() {
                result = stream.write_all(more);
            }
        }
    });
    host
}

#[test]
fn heads_chunks_and_trailers_without_end_are_bounded() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (what, head, more) in [
        ("a header", "HTTP/1.1 200 OK\r\nX: ", &[b'x'; 4096][..]),
        ("headers", "HTTP/1.1 200 OK\r\n", b"X: y\r\nZ: w\r\n"),
        ("early hints", "", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        ("continue", "", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("a chunk's extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", &[b'x'; 4096]),
        ("a chunk's length", CHUNKED, &[b'0'; 4096]),
        ("chunks", CHUNKED, b"1\r\nx\r\n"),
        ("trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        ("an error", "HTTP/1.1 403 No\r\n\r\n", &[b'x'; 4096]),
        ("a challenge", "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n\r\n", &[b'x'; 4096]),
    ] {
        let mut place = Place::new();
        place.options.http.idle = Duration::from_secs(2);
        place.options.http.total = Duration::from_secs(4);
        let name = repository(&flood(head, more), "a");
        let begun = Instant::now();
        let error = place.client().manifest(&name, &tag("1")).err();
        assert!(error.is_some(), "{what}");
        shown(&error.unwrap());
        assert!(place.download(&place.client(), &name, &described(b"some bytes")).is_err(), "{what}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: {:?}", begun.elapsed());
        place.assert_nothing_stored();
    }
}

#[test]
fn a_list_has_one_time_and_one_size() {
    let server = Server::start(Options { page: 1, ..Options::default() });
    let name = repository(&server.host(), "a");
    let again = "</v2/a/tags/list>; rel=next";
    let page = |tags: usize| {
        let body = json!({"tags": (0..tags).map(|tag| format!("{tag:0128}")).collect::<Vec<_>>()}).to_string();
        What::Answer(Response::new(200).header("Link", again).body(body))
    };
    server.fault(Fault::new("GET", "tags", page(30_000)));
    let error = Place::new().client().tags(&name).unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { limit, .. } if limit == 64 << 20), "{error}");
    assert!(server.requests().len() < 20);

    // A thousand pages take longer than this, and one does not.
    server.heal();
    server.clear();
    server.fault(Fault::new("GET", "tags", page(1)));
    let mut place = Place::new();
    place.options.http.total = Duration::from_millis(60);
    let error = place.client().tags(&name).unwrap_err();
    assert!(shown(&error).contains("took too long"), "{error}");
}

#[test]
fn a_registry_that_takes_a_byte_at_a_time_is_left() {
    let server = Server::start(Options::default());
    let mut place = Place::new();
    place.options.http.total = Duration::from_millis(500);
    let blob = place.blob(&bytes(1_000_000));
    // Of each chunk one byte arrives, as the registry says.
    for at in 0..20_000 {
        let answer =
            Response::new(202).header("Location", "/v2/a/blobs/uploads/x").header("Range", &format!("0-{}", at + 1));
        server.fault(Fault::new("PATCH", "uploads", What::Answer(answer)).times(1));
    }
    let begun = Instant::now();
    let error = place.client().upload(&repository(&server.host(), "a"), &blob, &place.store, &[], &|_| ()).unwrap_err();
    assert!(shown(&error).contains("took too long"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_place_that_is_remembered_for_a_layer_gets_no_credentials_and_no_trust() {
    let server = Server::start(Options { auth: Auth::token("me", PASSWORD), ..Options::default() });
    let other = Server::start(Options { auth: Auth::basic("me", PASSWORD), ..Options::default() });
    let blob = described(b"the layer");
    server.put_blob("a", b"the layer");
    let place = Place::new().with_password(&server, PASSWORD);
    place.store.add_source(&blob.digest, &repository(&server.host(), "a")).unwrap();
    place.store.add_source(&blob.digest, &repository(&other.host(), "evil")).unwrap();
    let store = |client| Store::open(place.store.root()).unwrap().supplied_by(client);
    let supplied = store(std::sync::Arc::new(place.client()));
    assert!(supplied.bring(&blob).unwrap());
    assert_eq!(other.requests().len(), 1, "the last that was seen to have it is asked first");
    assert!(other.requests().iter().all(|request| request.authorization().is_none()));
    assert_eq!(supplied.read_blob(&blob.digest, 100).unwrap().unwrap(), b"the layer");

    // Where nobody has it, nothing is left behind and the first error is told.
    let lost = described(b"lost");
    supplied.add_source(&lost.digest, &repository(&other.host(), "evil")).unwrap();
    let error = supplied.bring(&lost).unwrap_err();
    let text = format!("{error} {}", std::error::Error::source(&error).unwrap());
    assert!(text.contains(&lost.digest.to_string()) && text.contains("denies access"), "{text}");
    assert_eq!(fs::read_dir(place.directory.path().join("store/ingest")).unwrap().count(), 0);
}
