//! Fetching: mirrors, digests, failures. Every server is a thread of the test on 127.0.0.1.

pub mod server;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use ocify::digest::Digest;
use ocify::entry::Content;
use ocify::fetch::{Client, Failure, FetchError, Options};
use ocify::path::WorkspacePath;
use ocify::source::Workspace;
use ocify::store::Store;
use ocify::target::Fetch;
use tempfile::TempDir;

use crate::certificate::{AUTHORITY, CERTIFICATE};
use server::{Server, endless, respond};

const BYTES: &[u8] = b"the file that the spec names";

#[test]
fn a_file_is_fetched_once_and_then_read_from_the_store() {
    let server = Server::start(|_, stream| respond(stream, "200 OK", &[], BYTES));
    let place = Place::new();
    for _ in 0..2 {
        let content = place.fetch(&[&server.url("f")]).unwrap();
        assert_eq!(content, Content::inline(BYTES));
        assert_eq!(content.read_all(1 << 20).unwrap(), BYTES);
    }
    assert_eq!(server.requests(), ["/f"]);
}

#[test]
fn a_damaged_blob_is_fetched_again() {
    let server = Server::start(|_, stream| respond(stream, "200 OK", &[], BYTES));
    let place = Place::new();
    place.fetch(&[&server.url("f")]).unwrap();
    let blob = place.blob();
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, BYTES.to_ascii_uppercase()).unwrap();
    assert_eq!(place.fetch(&[&server.url("f")]).unwrap().read_all(1 << 20).unwrap(), BYTES);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_wrong_digest_names_both_and_stores_nothing() {
    let server = Server::start(|_, stream| respond(stream, "200 OK", &[], b"something else"));
    let place = Place::new();
    let url = server.url("f?signature=canary");
    let error = place.fetch(&[&url]).unwrap_err();
    let (expected, found) = (Digest::of(BYTES), Digest::of(b"something else"));
    let url = server.url("f?...");
    assert_eq!(
        error.to_string(),
        format!("cannot fetch {expected}:\n  {url}: wrong digest: expected {expected}, found {found}")
    );
    assert!(error.help().unwrap().contains(&found.hex()), "{:?}", error.help());
    // Who serves the wrong bytes once serves them again.
    assert_eq!(server.requests().len(), 1);
    place.assert_nothing_stored();
}

#[test]
fn mirrors_are_tried_in_order() {
    let server = Server::start(|path, stream| match path {
        "/gone" => respond(stream, "404 Not Found", &[], b"no"),
        "/other" => respond(stream, "200 OK", &[], b"other bytes"),
        "/truncated" => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this"),
        "/endless" => endless(stream),
        "/announced" => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"),
        "/garbage" => stream.write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n"),
        "/cut" => Ok(()),
        _ => respond(stream, "200 OK", &[], BYTES),
    });
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = format!("http://{refused}/f");
    for (bad, attempts, reason) in [
        (server.url("gone"), 1, "404 Not Found"),
        (server.url("other"), 1, "wrong digest"),
        (server.url("truncated"), 3, "disconnected"),
        (server.url("endless"), 1, "larger than 1048576 bytes"),
        (server.url("announced"), 1, "larger than 1048576 bytes"),
        (server.url("garbage"), 1, ""),
        (server.url("cut"), 3, "disconnected"),
        ("file://gone".into(), 0, "`p/gone` does not exist"),
        (refused, 0, "refused"),
    ] {
        let place = Place::new();
        let before = server.requests().len();
        let error = place.fetch(&[&bad]).unwrap_err();
        assert!(error.to_string().contains(reason), "{bad}: {error}");
        assert_eq!(server.requests().len() - before, attempts, "{bad}");
        place.assert_nothing_stored();

        assert_eq!(place.fetch(&[&bad, &server.url("good")]).unwrap(), Content::inline(BYTES), "{bad}");
    }
}

#[test]
fn when_all_urls_fail_each_is_listed_with_its_reason() {
    let server = Server::start(|_, stream| respond(stream, "410 Gone", &[], b""));
    let error = Place::new().fetch(&[&server.url("a"), "file://b", &server.url("c")]).unwrap_err();
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines[1], format!("  {}: the server answered 410 Gone", server.url("a")));
    assert_eq!(lines[2], "  file://b: `p/b` does not exist");
    assert_eq!(lines[3], format!("  {}: the server answered 410 Gone", server.url("c")));
}

#[test]
fn a_silent_or_slow_server_does_not_hold_the_build() {
    let server = Server::start(|path, stream| {
        match path {
            "/body" => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")?,
            "/drip" => {
                write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
                while stream.write_all(b".").and_then(|()| stream.flush()).is_ok() {
                    thread::sleep(Duration::from_millis(50));
                }
            }
            _ => {}
        }
        stream.flush()?;
        // Until the client gives up.
        stream.read(&mut [0]).map(drop)
    });
    for path in ["head", "body", "drip"] {
        let options = Options { idle: Duration::from_millis(300), total: Duration::from_secs(1), ..options() };
        let place = Place { client: Client::new(options), ..Place::new() };
        place.write("mirror", BYTES);
        let begun = Instant::now();
        let error = place.fetch(&[&server.url(path)]).unwrap_err();
        assert!(error.to_string().contains("took too long"), "{path}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{path}");
        assert_eq!(place.fetch(&[&server.url(path), "file://mirror"]).unwrap(), Content::inline(BYTES));
    }
}

#[test]
fn redirects_are_followed_as_far_as_they_may_be() {
    let server = Server::start(|path, stream| {
        let to = match path {
            "/1" => "2",
            "/2" => "/3?x#y",
            "/3?x" => "//HOST/4",
            "/4" => "http://HOST/5",
            "/5" => "6",
            "/6" => return respond(stream, "200 OK", &[], BYTES),
            "/loop" => "loop",
            "/local" => "file:///etc/passwd",
            "/login" => "http://me:hunter2@HOST/6",
            "/metadata" => "http://169.254.169.254/latest",
            _ => "/1",
        };
        let location = format!("Location: {}", to.replace("HOST", &stream.host()));
        respond(stream, "302 Found", &[&location], b"moved")
    });
    let place = Place::new();
    for (path, reason) in [
        ("loop", "more than 5 redirects"),
        ("0", "more than 5 redirects"),
        ("local", "redirect to `file:///etc/passwd`: has a scheme that is not supported"),
        ("login", "/6`: holds a user name or password"),
        ("metadata", "169.254.169.254"),
    ] {
        let error = place.fetch(&[&server.url(path)]).unwrap_err().to_string();
        assert!(error.contains(reason) && !error.contains("hunter2"), "{path}: {error}");
    }
    place.assert_nothing_stored();
    assert_eq!(place.fetch(&[&server.url("1")]).unwrap(), Content::inline(BYTES));
}

#[test]
fn an_overloaded_server_is_asked_again_but_not_for_ever() {
    let count = Mutex::new(0);
    let server = Server::start(move |path, stream| {
        *count.lock().unwrap() += 1;
        match (path, *count.lock().unwrap()) {
            ("/recovers", 1) => respond(stream, "503 Service Unavailable", &["Retry-After: 1000000000"], b""),
            ("/recovers", 2) => respond(stream, "429 Too Many Requests", &["Retry-After: Fri, 31 Dec 2999"], b""),
            ("/recovers", _) => respond(stream, "200 OK", &[], BYTES),
            _ => respond(stream, "500 Internal Server Error", &[], b""),
        }
    });
    let place = Place::new();
    assert_eq!(place.fetch(&[&server.url("recovers")]).unwrap(), Content::inline(BYTES));
    assert_eq!(server.requests().len(), 3);

    let error = Place::new().fetch(&[&server.url("never")]).unwrap_err();
    assert!(error.to_string().contains("500 Internal Server Error"), "{error}");
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn this_machine_and_its_link_are_out_of_reach_by_other_names() {
    let server = Server::start(|_, stream| respond(stream, "200 OK", &[], BYTES));
    let port = server.address.port();
    for host in ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "169.254.169.254"] {
        let error = Place::new().fetch(&[&format!("http://{host}:{port}/f")]).unwrap_err();
        assert!(error.to_string().contains("link-local or unspecified"), "{error}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn files_of_the_workspace_are_mirrors_too() {
    let place = Place::new();
    place.write("vendor/f", BYTES);
    fs::write(place.directory.path().join("secret"), BYTES).unwrap();
    symlink("vendor/f", place.directory.path().join("w/p/link")).unwrap();
    symlink("../../secret", place.directory.path().join("w/p/out")).unwrap();

    let error = place.fetch(&["file://out"]).unwrap_err();
    assert!(matches!(&error, FetchError::Failed { failures, .. } if matches!(failures[0].1, Failure::Source(_))));
    assert!(error.to_string().contains("leads out of the workspace"), "{error}");
    for url in ["file://../x", "file:///etc/passwd", "file://vendor/../../../secret"] {
        let error = place.fetch(&[url, "file://vendor/f"]).unwrap_err();
        assert!(error.is_spec_error() && error.to_string().contains(url), "{error}");
    }
    place.assert_nothing_stored();
    for url in ["file://vendor/f", "file://link"] {
        assert_eq!(place.fetch(&[url]).unwrap().read_all(1 << 20).unwrap(), BYTES);
    }
}

#[test]
fn credentials_are_refused_before_anybody_is_asked_and_never_shown() {
    let server = Server::start(|_, stream| respond(stream, "200 OK", &[], BYTES));
    let place = Place::new();
    let url = server.url("f").replace("http://", "http://me:hunter2@");
    let error = place.fetch(&[&server.url("f"), &url]).unwrap_err();
    assert!(error.is_spec_error());
    assert!(error.to_string().contains("holds a user name or password"), "{error}");
    assert!(!format!("{error}{error:?}{:?}", error.help()).contains("hunter2"));
    assert!(server.requests().is_empty());
    assert!(matches!(place.fetch(&[]), Err(FetchError::NoUrls)));
}

#[test]
fn offline_nobody_is_asked() {
    let server = Server::start(|_, stream| respond(stream, "200 OK", &[], BYTES));
    let place = Place { client: Client::new(Options { offline: true, ..options() }), ..Place::new() };
    place.write("f", BYTES);
    let error = place.fetch(&[&server.url("f")]).unwrap_err();
    assert!(error.to_string().contains("without network") && error.help().is_some(), "{error}");
    assert_eq!(place.fetch(&[&server.url("f"), "file://f"]).unwrap(), Content::inline(BYTES));
    assert!(server.requests().is_empty());
}

#[test]
fn many_threads_may_share_a_client() {
    let server = Server::start(|path, stream| respond(stream, "200 OK", &[], path.as_bytes()));
    let place = Place::new();
    thread::scope(|scope| {
        for i in 0..16 {
            let (place, server) = (&place, &server);
            scope.spawn(move || {
                let bytes = format!("/{}", i / 2).into_bytes();
                let content = place.fetch_digest(Digest::of(&bytes), &[&server.url(&(i / 2).to_string())]).unwrap();
                assert_eq!(content.read_all(100).unwrap(), bytes);
            });
        }
    });
}

/// Which authorities are trusted is read from the environment, so the fetches are made by a process of their own.
#[test]
fn https_needs_an_authority_that_the_system_trusts() {
    let plain = Server::start(|_, stream| respond(stream, "200 OK", &[], BYTES));
    let downgrade = plain.url("f");
    let server = Server::start_tls(move |path, stream| match path {
        "/downgrade" => respond(stream, "302 Found", &[&format!("Location: {downgrade}")], b""),
        _ => respond(stream, "200 OK", &[], BYTES),
    });
    let directory = tempfile::tempdir().unwrap();
    let fetch = |path: &str, authorities: &str| {
        let file = directory.path().join("authorities.pem");
        fs::write(&file, authorities).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "fetch::fetched_by_a_child_process", "--nocapture"]);
        child.env_remove("SSL_CERT_DIR").env("SSL_CERT_FILE", file).env(CHILD_URL, server.url(path));
        String::from_utf8(child.output().unwrap().stdout).unwrap()
    };
    assert!(fetch("f", AUTHORITY).contains("the child fetched it"), "{}", fetch("f", AUTHORITY));
    let downgraded = fetch("downgrade", AUTHORITY);
    assert!(downgraded.contains("it leaves TLS"), "{downgraded}");
    // Another certificate than that of the authority.
    let distrusted = fetch("f", CERTIFICATE);
    assert!(distrusted.contains("the child failed") && distrusted.contains("certificate"), "{distrusted}");
    assert!(plain.requests().is_empty());
}

const CHILD_URL: &str = "OCIFY_TEST_FETCH_URL";

/// Does nothing but in the process that the test above starts.
#[test]
fn fetched_by_a_child_process() {
    let Some(url) = std::env::var_os(CHILD_URL).and_then(|url| url.into_string().ok()) else { return };
    match Place::new().fetch(&[&url]) {
        Ok(_) => println!("the child fetched it"),
        Err(error) => println!("the child failed: {error}"),
    }
}

/// A workspace with one package `p`, a store, and a client.
struct Place {
    directory: TempDir,
    workspace: Workspace,
    store: Store,
    client: Client,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("w/p")).unwrap();
        let workspace = Workspace::at(directory.path().join("w")).unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        Place { directory, workspace, store, client: Client::new(options()) }
    }

    /// Writes a file of the package.
    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.directory.path().join("w/p").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn fetch(&self, urls: &[&str]) -> Result<Content, FetchError> {
        self.fetch_digest(Digest::of(BYTES), urls)
    }

    fn fetch_digest(&self, sha256: Digest, urls: &[&str]) -> Result<Content, FetchError> {
        let package = WorkspacePath::parse("p").unwrap();
        let urls = urls.iter().map(|&url| url.to_owned()).collect();
        let fetch = Fetch { package, urls, sha256: None, name: None, executable: false };
        self.client.fetch(&fetch, &sha256, &self.workspace, &self.store)
    }

    fn blob(&self) -> PathBuf {
        self.store.root().join("blobs/sha256").join(Digest::of(BYTES).hex())
    }

    fn assert_nothing_stored(&self) {
        let list = |directory: &Path| fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        for directory in ["blobs/sha256", "ingest"] {
            let found: Vec<PathBuf> = list(&self.store.root().join(directory)).collect();
            assert!(found.is_empty(), "{found:?}");
        }
    }
}

fn options() -> Options {
    Options {
        proxy_from_environment: false,
        backoff: Duration::from_millis(1),
        retry_after: Duration::from_millis(10),
        size: 1 << 20,
        ..Options::default()
    }
}
