//! Our client and Debian's `docker-registry`, with and without a proxy that breaks what they say to each other.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ocify::digest::Digest;
use ocify::format::MediaTypes;
use ocify::oci::{Descriptor, Manifest, MediaType, Repository};
use ocify::registry::{Client, Credentials, Hosts, ManifestName, Options, RegistryError, Uploaded};
use ocify::store::Store;
use ocify::target::RegistrySettings;
use serde_json::json;

use crate::distribution::{Distribution, Flavour};
use crate::images::rich_workspace;
use crate::server::{Exchange, Fault, Listener, Proxy, Response, What};
use crate::workspace::{Workspace, digest};

const LIMIT: u64 = 4 << 20;

/// A client for a registry, spoken to at `host`. It sends what is larger than 64 KiB in chunks of 1 MiB.
fn client(registry: &Distribution, host: &str) -> Client {
    let mut hosts = Hosts::default();
    let ca = registry.authority().map(|path| path.display().to_string());
    let settings = RegistrySettings { ca, ..RegistrySettings::default() };
    hosts.add(&BTreeMap::from([(host.to_owned(), settings)]), Path::new("/"), true).unwrap();
    let http = ocify::http::Options {
        proxy_from_environment: false,
        backoff: Duration::from_millis(5),
        retry_after: Duration::from_millis(20),
        idle: Duration::from_millis(500),
        ..Default::default()
    };
    let credentials = Credentials::of_files(vec![registry.credentials(host)]);
    Client::new(Options { http, whole: 64 << 10, chunk: 1 << 20 }, hosts, credentials)
}

fn repository(host: &str, path: &str) -> Repository {
    Repository { registry: host.to_owned(), path: path.to_owned() }
}

fn tag(name: &str) -> ManifestName {
    ManifestName::Tag(name.to_owned())
}

/// A built image, and the store that has it.
fn image() -> (Workspace, Store, Digest) {
    let workspace = rich_workspace("none");
    let built = digest(&workspace.ok(&["build", "//:rich"])).parse().unwrap();
    let store = Store::open(workspace.store()).unwrap();
    (workspace, store, built)
}

fn blobs(manifest: &[u8]) -> Vec<Descriptor> {
    let manifest: Manifest = serde_json::from_slice(manifest).unwrap();
    manifest.layers.into_iter().chain([manifest.config]).collect()
}

/// Pushes an image, and counts the blobs that were sent.
fn push(client: &Client, to: &Repository, name: &str, store: &Store, image: &Digest) -> Result<usize, RegistryError> {
    let manifest = store.read_blob(image, LIMIT).unwrap().unwrap();
    let mut sent = 0;
    for blob in blobs(&manifest) {
        if !client.has_blob(to, &blob)? {
            client.upload(to, &blob, store, &[], &|_| {})?;
            sent += 1;
        }
    }
    client.put_manifest(to, &tag(name), &MediaType::Manifest(MediaTypes::Oci), &manifest)?;
    Ok(sent)
}

/// Pulls an image into a store; true if the whole of it is what was pushed.
fn pull(client: &Client, from: &Repository, name: &str, image: &Digest) -> Result<bool, RegistryError> {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let Some((descriptor, manifest)) = client.manifest(from, &tag(name))? else { return Ok(false) };
    for blob in blobs(&manifest) {
        client.download(from, &blob, &store, &|_| {})?;
        assert_eq!(store.contains(&blob.digest), Some(blob.size));
    }
    Ok(descriptor.digest == *image)
}

#[test]
fn our_client_speaks_with_every_flavour() {
    for flavour in Flavour::ALL {
        let registry = Distribution::start(flavour);
        let client = client(&registry, registry.host());
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let name = |path: &str| Repository { registry: registry.host().to_owned(), path: path.to_owned() };
        let (from, to, tag) = (name("shop/from"), name("to"), ManifestName::Tag("1".into()));
        assert_eq!(client.resolve(&from, &tag).unwrap(), None, "{flavour:?}");

        // One in chunks, one in a request, one empty; mounted into another repository after that.
        let contents = [&random(3_000_000)[..], b"{}", b""];
        for bytes in contents {
            let blob = Descriptor::of(MediaType::Other("x/y".into()), bytes);
            store.put_blob(bytes).unwrap();
            assert!(!client.has_blob(&from, &blob).unwrap());
            assert_eq!(client.upload(&from, &blob, &store, &[], &|_| ()).unwrap(), Uploaded::Sent);
            assert!(client.has_blob(&from, &blob).unwrap());
            let mounted = client.upload(&to, &blob, &store, std::slice::from_ref(&from), &|_| ()).unwrap();
            assert_eq!(mounted, Uploaded::Mounted, "{flavour:?}");
            let other = Store::open(directory.path().join(blob.size.to_string())).unwrap();
            client.download(&to, &blob, &other, &|_| ()).unwrap();
            assert_eq!(other.read_blob(&blob.digest, LIMIT).unwrap().unwrap(), bytes);
        }

        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let blob = |kind: &str, bytes: &[u8]| {
            let media_type = format!("application/vnd.oci.image.{kind}");
            json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
        };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": blob("config.v1+json", contents[1]),
            "layers": [blob("layer.v1.tar", contents[0])],
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = client.put_manifest(&to, &tag, &MediaType::from(media_type), &manifest).unwrap();
        let found = client.resolve(&to, &tag).unwrap().unwrap();
        assert_eq!((found.digest, found.size), (digest, manifest.len() as u64));
        let (_, read) = client.manifest(&to, &ManifestName::Digest(digest)).unwrap().unwrap();
        assert_eq!((read, client.tags(&to).unwrap()), (manifest, vec!["1".to_owned()]));
        assert_eq!(client.referrers(&to, &digest, None).unwrap(), []);
        client.delete_manifest(&to, &ManifestName::Digest(digest)).unwrap();
        assert_eq!(client.resolve(&to, &tag).unwrap(), None);
    }
}

#[test]
fn cut_transfers_go_on_with_docker_registry() {
    let registry = Distribution::start(Flavour::Plain);
    let proxy = Proxy::start(registry.host());
    let client = client(&registry, &proxy.host());
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store")).unwrap();
    let name = Repository { registry: proxy.host(), path: "a".into() };
    let bytes = random(3_000_000);
    let blob = Descriptor::of(MediaType::Other("x/y".into()), &bytes);
    store.put_blob(&bytes).unwrap();
    proxy.fault(Fault::new("PATCH", "", What::CutRequest { after: 5_000 }).skip(1).times(1));
    client.upload(&name, &blob, &store, &[], &|_| ()).unwrap();
    // Its sessions end with the connection that was cut, so the upload has begun anew.
    assert!(client.has_blob(&name, &blob).unwrap());

    proxy.clear();
    proxy.fault(Fault::new("GET", "blobs", What::Cut { after: 60_000 }).times(1));
    let other = Store::open(directory.path().join("other")).unwrap();
    client.download(&name, &blob, &other, &|_| ()).unwrap();
    let statuses: Vec<u16> = proxy.requests().into_iter().map(|exchange| exchange.status).collect();
    assert_eq!(statuses, [200, 206]);
}

/// What happens on a bad day, and whether the image gets through all the same.
struct BadDay {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    what: What,
    times: usize,
    /// Part of the error, where it cannot succeed.
    error: Option<&'static str>,
}

fn bad_day(name: &'static str, method: &'static str, path: &'static str, what: What) -> BadDay {
    BadDay { name, method, path, what, times: 1, error: None }
}

impl BadDay {
    fn always(self, error: &'static str) -> Self {
        BadDay { times: usize::MAX, error: Some(error), ..self }
    }

    /// Has it happen to `transfer`, which says whether the image is right.
    fn befall(self, proxy: &Listener, transfer: impl FnOnce() -> Result<bool, RegistryError>) {
        proxy.clear();
        proxy.fault(Fault::new(self.method, self.path, self.what).times(self.times));
        let result = transfer();
        let asked = proxy.requests();
        proxy.heal();
        let asked: Vec<String> = asked.iter().map(Exchange::line).collect();
        match (result, self.error) {
            (Ok(right), None) => assert!(right, "{}: {asked:#?}", self.name),
            (Err(error), Some(expected)) => {
                let text = error.to_string();
                assert!(text.contains(expected), "{}: {text}", self.name);
                for secret in ["canary", "Basic ", "Bearer "] {
                    assert!(!text.contains(secret), "{}: {text}", self.name);
                }
            }
            (Ok(_), Some(expected)) => panic!("{}: not `{expected}`: {asked:#?}", self.name),
            (Err(error), None) => panic!("{}: {error}: {asked:#?}", self.name),
        }
        assert!(asked.iter().any(|line| line.contains(self.path)), "{}: nothing was struck: {asked:#?}", self.name);
    }
}

#[test]
fn a_pull_survives_a_bad_day_or_says_what_it_was() {
    let (_workspace, store, built) = image();
    for flavour in [Flavour::Plain, Flavour::Basic, Flavour::Token] {
        let registry = Distribution::start(flavour);
        let proxy = Proxy::start(registry.host());
        let host = proxy.host();
        let shop = repository(&host, "shop/rich");
        let client = client(&registry, &host);
        push(&client, &shop, "1", &store, &built).unwrap();
        let lie = |name| What::Header(name, Digest::of(b"").to_string());
        let days = [
            bad_day("a blob is cut", "GET", "/blobs/", What::Cut { after: 700 }),
            bad_day("a blob is cut at once", "GET", "/blobs/", What::Cut { after: 0 }),
            bad_day("a manifest is cut", "GET", "/manifests/", What::Cut { after: 7 }),
            bad_day("every blob is cut early", "GET", "/blobs/", What::Cut { after: 0 }).always(""),
            bad_day("too many requests", "GET", "", What::too_many_requests(0)),
            bad_day("too many requests for ever", "GET", "/blobs/", What::too_many_requests(1)).always("429"),
            bad_day("out of service", "GET", "", What::unavailable(0)),
            bad_day("out of service for 31 years", "GET", "/blobs/", What::unavailable(1_000_000_000)).always("503"),
            bad_day("other bytes", "GET", "/blobs/", What::Flip { at: 700 }).always("wrong digest"),
            bad_day("an endless blob", "GET", "/blobs/", What::Endless).always(""),
            bad_day("an endless manifest", "GET", "/manifests/", What::Endless).always("4194304 bytes"),
            bad_day("a blob is said to be longer", "GET", "/blobs/", What::Length(1 << 40)).always(""),
            bad_day("a blob is said to be shorter", "GET", "/blobs/", What::Length(10)).always(""),
            bad_day("a silent registry", "GET", "/blobs/", What::Silent).always("took too long"),
            bad_day("a lie about a digest", "GET", "/manifests/", lie("Docker-Content-Digest")),
            bad_day(
                "a lie about a type",
                "GET",
                "/manifests/",
                What::Header("Content-Type", "application/vnd.oci.image.index.v1+json".into()),
            )
            .always(""),
            bad_day("a blob is not there", "GET", "/blobs/", What::Answer(Response::new(404))).always(""),
            bad_day("a redirect to nowhere", "GET", "/blobs/", What::Redirect("http://169.254.169.254".into()))
                .always("169.254.169.254"),
        ];
        for day in days {
            day.befall(&proxy, || pull(&client, &shop, "1", &built));
        }
    }
}

#[test]
fn a_push_survives_a_bad_day_or_says_what_it_was() {
    let (_workspace, store, built) = image();
    for flavour in [Flavour::Plain, Flavour::Basic, Flavour::Token] {
        let registry = Distribution::start(flavour);
        let proxy = Proxy::start(registry.host());
        let host = proxy.host();
        let client = client(&registry, &host);
        let direct = self::client(&registry, registry.host());
        // The registry checks what arrives, so that a lie about it shows.
        let lie = |name| What::Header(name, Digest::of(b"").to_string());
        let days = [
            bad_day("too many requests", "POST", "/uploads/", What::too_many_requests(0)),
            bad_day("out of service", "PUT", "/uploads/", What::unavailable(0)),
            bad_day("out of service for manifests", "PUT", "/manifests/", What::unavailable(0)),
            bad_day("out of service for 31 years", "PATCH", "", What::unavailable(1_000_000_000)).always("503"),
            bad_day("no answer to a beginning", "POST", "/uploads/", What::Silent).always("took too long"),
            bad_day("the end is cut", "PUT", "/uploads/", What::CutRequest { after: 100 }),
            bad_day("a chunk is cut", "PATCH", "/uploads/", What::CutRequest { after: 1000 }),
            bad_day("a chunk's answer is cut", "PATCH", "/uploads/", What::Cut { after: 0 }),
            bad_day("a manifest is cut", "PUT", "/manifests/", What::CutRequest { after: 10 }),
            bad_day("a chunk is never answered", "PATCH", "/uploads/", What::Silent).always("took too long"),
            bad_day("an upload is lost", "PATCH", "/uploads/", What::Answer(Response::new(404))),
            bad_day("a lie about a digest", "PUT", "/manifests/", lie("Docker-Content-Digest")).always("digest"),
            bad_day(
                "an upload leads elsewhere",
                "POST",
                "/uploads/",
                What::Header("Location", "http://169.254.169.254/latest/meta-data".into()),
            )
            .always("169.254.169.254"),
            bad_day(
                "no room",
                "POST",
                "/uploads/",
                What::Answer(Response::error(403, "DENIED", "the quota is used up")),
            )
            .always("the quota is used up"),
        ];
        for (number, day) in days.into_iter().enumerate() {
            let path = format!("day/{number}");
            let (through, there) = (repository(&host, &path), repository(registry.host(), &path));
            day.befall(&proxy, || {
                push(&client, &through, "1", &store, &built)?;
                pull(&direct, &there, "1", &built)
            });
        }
    }
}

/// Bytes that are not all the same.
fn random(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}
