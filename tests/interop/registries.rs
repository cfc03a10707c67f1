//! Debian's `docker-registry`, as it is and as a bad day makes it.

use std::collections::BTreeMap;
use std::path::Path;

use ocify::digest::Digest;
use ocify::oci::{Descriptor, MediaType, Repository};
use ocify::registry::{self, Client, Credential, Credentials, Hosts, ManifestName, Secret, Uploaded};
use ocify::store::Store;
use ocify::target::RegistrySettings;
use serde_json::{Value, json};

use crate::distribution::{Distribution, Flavour, PASSWORD, USER};
use crate::images::rich_workspace;
use crate::server::{Fault, Proxy, What};
use crate::tool;
use crate::workspace::digest;

/// The digest of an image in a layout, as skopeo reads it.
pub fn layout_digest(layout: &str) -> String {
    let summary: Value = serde_json::from_str(&tool("skopeo", &["inspect", layout])).unwrap();
    summary["Digest"].as_str().unwrap().to_owned()
}

#[test]
fn skopeo_carries_our_image_through_every_flavour_unchanged() {
    let workspace = rich_workspace("gzip");
    let built = digest(&workspace.ok(&["build", "//:rich", "-o", "oci:out"]));
    let ours = format!("oci:{}:example.com/rich:1", workspace.path("out").display());
    for flavour in Flavour::ALL {
        let registry = Distribution::start(flavour);
        let remote = format!("docker://{}/shop/rich:1", registry.host());
        let copy = format!("oci:{}:copy", workspace.path(&format!("{flavour:?}")).display());
        registry.skopeo_copy(&["--preserve-digests"], &ours, &remote);
        registry.skopeo_copy(&[], &remote, &copy);
        assert_eq!(layout_digest(&copy), built, "{flavour:?}");
        if flavour == Flavour::Token {
            let asked = registry.tokens().requests();
            assert!(asked.iter().any(|exchange| exchange.path.contains("scope=repository")), "{asked:?}");
        }
    }
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
        let contents = [&random(100_000)[..], b"{}", b""];
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
            assert_eq!(other.read_blob(&blob.digest, 1 << 20).unwrap().unwrap(), bytes);
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
    let bytes = random(100_000);
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

/// A client that knows the registry's user and authority, for the registry behind `host`.
fn client(registry: &Distribution, host: &str) -> Client {
    let options = registry::Options { whole: 10_000, chunk: 30_000, ..Default::default() };
    let mut hosts = Hosts::default();
    let authority = registry.authority();
    if authority.exists() {
        let ca = Some(authority.display().to_string());
        let settings = RegistrySettings { ca, ..RegistrySettings::default() };
        hosts.add(&BTreeMap::from([(host.to_owned(), settings)]), Path::new("/"), true).unwrap();
    }
    let credentials = match registry.is_guarded() {
        true => Credentials::given(host, Credential::of(USER.into(), Secret::new(PASSWORD))),
        false => Credentials::default(),
    };
    Client::new(options, hosts, credentials)
}

/// Bytes that are not all the same.
fn random(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}
