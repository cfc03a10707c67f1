//! Locking, building and updating against a registry.

use std::fs;

use ocify::digest::Digest;
use serde_json::Value;

use crate::registry::server::{Options, Server};
use crate::workspace::{Workspace, digest};

/// Builds `spec`'s target `//:base` elsewhere and puts it into the registry as `shop/base:1`.
fn publish(server: &Server, spec: &str) -> String {
    let elsewhere = Workspace::new().file("BUILD.star", spec);
    let digest = elsewhere.build("//:base");
    put(server, &elsewhere, &digest, "1");
    digest
}

fn put(server: &Server, from: &Workspace, digest: &str, name: &str) {
    let read = |digest: &str| fs::read(from.store().join("blobs/sha256").join(&digest["sha256:".len()..])).unwrap();
    let bytes = read(digest);
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    for entry in manifest["manifests"].as_array().into_iter().flatten() {
        let digest = entry["digest"].as_str().unwrap();
        put(server, from, digest, digest);
    }
    for blob in manifest["layers"].as_array().into_iter().flatten().chain(manifest.get("config")) {
        server.put_blob("shop/base", &read(blob["digest"].as_str().unwrap()));
    }
    server.put_manifest("shop/base", name, manifest["mediaType"].as_str().unwrap(), &bytes);
}

const BASE: &str = "image(name = 'base', layers = [write('/a', 'a')], env = {'A': '1'})";

/// Two platforms, and a layer more than [`BASE`].
const BASES: &str = "
images = [
    image(name = a, platform = 'linux/' + a, layers = [write('/a', a), write('/c', 'c')], created = '2026-01-02T03:04:05Z')
    for a in ['amd64', 'arm64']
]
index(name = 'base', images = images)
";

/// A workspace with an image on `shop/base:1`.
fn on_base(server: &Server) -> Workspace {
    let name = format!("{}/shop/base:1", server.host());
    Workspace::new().file("BUILD.star", format!("image(name = 'web', base = '{name}', layers = [write('/b', 'b')])"))
}

/// A report without the breaks that its width put into it; long words are broken without a space before.
fn unwrapped(report: &str) -> String {
    report.replace("\n  │ ", " ").replace("/ base", "/base")
}

fn lock(workspace: &Workspace) -> String {
    fs::read_to_string(workspace.path("ocify.lock")).unwrap()
}

#[test]
fn a_base_is_locked_built_on_moved_and_built_on_again_without_network() {
    let server = Server::start(Options::default());
    let (host, old) = (server.host(), publish(&server, BASE));
    let workspace = on_base(&server);
    workspace.fails(2, &["build", "//:web"]);
    assert_eq!(server.requests().len(), 0, "a build does not ask what a tag means");

    assert_eq!(workspace.ok(&["lock"]), format!("+ {host}/shop/base:1 {old} linux/amd64\n"));
    assert_eq!(
        lock(&workspace),
        format!(
            "# Written by `ocify lock`; commit it.\nversion = 1\n\n[[image]]\nreference = \"{host}/shop/base:1\"\n\
             digest = \"{old}\"\n[image.platforms]\n\"linux/amd64\" = \"{old}\"\n"
        )
    );
    let built = workspace.build("//:web");

    let new = publish(&server, BASES);
    assert_eq!(workspace.ok(&["lock"]), "", "what is pinned stays as it is");
    let error = unwrapped(&workspace.fails(1, &["update", "--locked"]));
    assert!(error.contains(&format!("{host}/shop/base:1 {old} -> {new}")), "{error}");
    assert_eq!(workspace.build("//:web"), built, "the tag moved, the base did not");

    let changes = workspace.ok(&["update"]);
    let expected = [
        format!("{host}/shop/base:1"),
        format!("  digest: {old} -> {new}"),
        "  platforms: linux/amd64, +linux/arm64".to_owned(),
        "  linux/amd64 created: 1970-01-01T00:00:00Z -> 2026-01-02T03:04:05Z".to_owned(),
        "  linux/amd64 layers: 1 -> 2".to_owned(),
    ];
    assert_eq!(changes.lines().take(5).collect::<Vec<_>>(), expected);
    assert!(changes.lines().nth(5).unwrap().starts_with("  linux/amd64 size: "), "{changes}");
    assert_eq!(workspace.ok(&["update"]), "");

    let moved = workspace.build("//:web");
    assert_ne!(moved, built);
    server.clear();
    assert_eq!(digest(&workspace.ok(&["build", "//:web", "--offline"])), moved);
    assert_eq!(workspace.build("//:web"), moved);
    assert_eq!(server.requests().len(), 0, "a build whose blobs are in the store asks nobody");
}

#[test]
fn layers_are_brought_only_for_who_reads_them() {
    let server = Server::start(Options::default());
    publish(&server, BASE);
    let workspace = on_base(&server);
    let spec = fs::read_to_string(workspace.path("BUILD.star")).unwrap();
    workspace.write("BUILD.star", spec.replace("layers = [write('/b', 'b')]", "user = '7'"));
    workspace.ok(&["lock"]);
    workspace.build("//:web");
    let blobs = |server: &Server| server.requests().iter().filter(|request| request.path.contains("/blobs/")).count();
    let before = blobs(&server);
    let error = workspace.fails(1, &["build", "//:web", "--offline", "-o", "tar:web.tar"]);
    assert!(error.contains("without network") && !workspace.path("web.tar").exists(), "{error}");
    assert_eq!(workspace.tree("//:web"), ["a 0644 0:0 a"]);
    assert_eq!(blobs(&server), before + 1);
}

#[test]
fn what_prune_leaves_is_enough_to_build_again_without_network() {
    let server = Server::start(Options::default());
    publish(&server, BASES);
    let workspace = on_base(&server);
    workspace.ok(&["lock"]);
    let built = workspace.build("//:web");
    // What was locked and is not built on goes.
    let pruned = workspace.ok(&["prune"]);
    assert!(pruned.contains("removed blobs/"), "{pruned}");
    server.clear();
    assert_eq!(digest(&workspace.ok(&["build", "//:web", "--offline"])), built);
    assert_eq!(server.requests().len(), 0);
    assert!(!workspace.ok(&["prune"]).contains("removed blobs/"));
    // With the image its base goes.
    workspace.ok(&["rmi", "//:web"]);
    workspace.ok(&["prune"]);
    assert_eq!(fs::read_dir(workspace.store().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn what_is_neither_in_the_store_nor_to_be_had_is_named_with_what_to_do() {
    let server = Server::start(Options::default());
    let base = publish(&server, BASE);
    let workspace = on_base(&server);
    workspace.ok(&["lock"]);
    let fresh = workspace.path("fresh").display().to_string();
    let error = unwrapped(&workspace.fails(1, &["build", "//:web", "--offline", "--store", &fresh]));
    assert!(
        error.contains(&format!("/shop/base:1@{base}` cannot be had")) && error.contains("without network"),
        "{error}"
    );
    assert!(error.contains("run once without `--offline`") && error.contains("BUILD.star:1"), "{error}");

    let gone = lock(&workspace).replace(&base, &Digest::of(b"gone").to_string());
    workspace.write("ocify.lock", gone);
    let error = workspace.fails(1, &["build", "//:web"]);
    assert!(error.contains("cannot be had") && error.contains("`ocify update` pins the image"), "{error}");
}

#[test]
fn a_name_that_no_registry_has_is_shown_in_the_spec_and_nothing_is_locked() {
    let server = Server::start(Options::default());
    publish(&server, BASE);
    let workspace =
        on_base(&server).file("other/BUILD.star", format!("image(name = 'x', base = '{}/shop/bsae:1')", server.host()));
    let error = workspace.fails(1, &["lock"]);
    assert!(error.contains("shop/bsae:1`") && error.contains("other/BUILD.star:1"), "{error}");
    assert!(!workspace.path("ocify.lock").exists());
    assert!(workspace.ok(&["lock", "//:web"]).contains("shop/base:1"), "what is asked for is locked");
}

#[test]
fn each_platform_stands_on_its_own_image() {
    let server = Server::start(Options::default());
    let (host, base) = (server.host(), publish(&server, BASES));
    let (media_type, bytes) = server.manifest("shop/base", "1").unwrap();
    server.put_manifest("shop/base", "arm", &media_type, &bytes);
    let workspace = Workspace::new().file(
        "BUILD.star",
        format!(
            "image(name = 'web', platforms = ['linux/amd64', 'linux/arm64'],
    base = select({{'linux/amd64': '{host}/shop/base:1', 'linux/arm64': '{host}/shop/base:arm'}}))"
        ),
    );
    let pinned = |tag: &str| format!("+ {host}/shop/base:{tag} {base} linux/amd64,linux/arm64\n");
    assert_eq!(workspace.ok(&["lock"]), pinned("1") + &pinned("arm"));
    workspace.build("//:web");
    for architecture in ["amd64", "arm64"] {
        let tar = workspace.path("tree.tar").display().to_string();
        let platform = format!("linux/{architecture}");
        workspace.ok(&["build", "//:web", "--platform", &platform, "-o", &format!("tar:{tar}")]);
        let files = crate::workspace::list(&workspace.path("tree.tar"));
        assert_eq!(files[0], format!("a 0644 0:0 {architecture}"));
    }
    // What only one platform needs is not dropped when the other alone is looked at.
    let before = lock(&workspace);
    workspace.ok(&["lock", "--platform", "linux/amd64"]);
    assert_eq!(lock(&workspace), before);
}

#[test]
fn files_without_a_digest_are_pinned_by_their_url() {
    let workspace = Workspace::new().file("shop/vendor/tool", "tool").file(
        "shop/BUILD.star",
        "image(name = 'x', layers = [files(srcs = [fetch(url = 'file://vendor/tool')], dest = '/bin')])",
    );
    let error = workspace.fails(2, &["build", "//shop:x"]);
    assert!(error.contains("the file `tool` is not pinned") && error.contains("BUILD.star:1"), "{error}");
    let sum = Digest::of(b"tool");
    assert_eq!(workspace.ok(&["lock"]), format!("+ file://shop/vendor/tool {sum}\n"));
    assert_eq!(workspace.tree("//shop:x"), ["bin/ 0755 0:0", "bin/tool 0644 0:0 tool"]);

    workspace.write("shop/vendor/tool", "newer");
    let fresh = workspace.path("fresh").display().to_string();
    let error = workspace.fails(1, &["build", "//shop:x", "--store", &fresh]);
    assert!(error.contains("wrong digest") && error.contains("`ocify update`"), "{error}");
    let changes = workspace.ok(&["update", "file://shop/vendor/tool"]);
    assert!(changes.contains(&format!("digest: {sum} -> {}", Digest::of(b"newer"))), "{changes}");
    assert_eq!(workspace.tree("//shop:x"), ["bin/ 0755 0:0", "bin/tool 0644 0:0 newer"]);
}

#[test]
fn the_lock_changes_only_where_it_may() {
    let server = Server::start(Options::default());
    publish(&server, BASE);
    let workspace = on_base(&server);
    let error = workspace.fails(1, &["lock", "--check"]);
    assert!(error.contains("ocify.lock would have to change:") && error.contains("shop/base:1"), "{error}");
    let ci = |arguments: &[&str]| workspace.command(arguments).env("CI", "true").output().unwrap().status.code();
    assert_eq!(ci(&["lock"]), Some(1));
    assert!(!workspace.path("ocify.lock").exists());
    assert_eq!(ci(&["lock", "--locked=false"]), Some(0));
    assert_eq!(ci(&["lock"]), Some(0), "nothing has to change");

    // A spec that names the base no longer.
    let before = lock(&workspace);
    workspace.write("BUILD.star", "image(name = 'web')");
    assert_eq!(ci(&["build", "//..."]), Some(1));
    assert_eq!(ci(&["build", "//:web"]), Some(0), "of some targets it is not known what the others need");
    workspace.ok(&["build", "//..."]);
    workspace.ok(&["lock", "//:web"]);
    assert_eq!(lock(&workspace), before);
    assert_eq!(workspace.ok(&["lock"]), format!("- {}/shop/base:1\n", server.host()));
    assert_eq!(lock(&workspace), "# Written by `ocify lock`; commit it.\nversion = 1\n");
}

#[test]
fn an_update_shows_which_packages_changed() {
    let server = Server::start(Options::default());
    let base = |packages: &[(&str, &str)]| {
        let stanza = |(name, version): &(&str, &str)| {
            format!("Package: {name}\\nStatus: install ok installed\\nVersion: {version}\\nArchitecture: amd64\\n\\n")
        };
        let list: String = packages.iter().map(stanza).collect();
        format!("image(name = 'base', layers = [write('/var/lib/dpkg/status', '{list}')])")
    };
    publish(&server, &base(&[("libc6", "2.36-9"), ("old", "1"), ("openssl", "3.0.11-1")]));
    let workspace = on_base(&server);
    workspace.ok(&["lock"]);
    workspace.build("//:web");
    publish(&server, &base(&[("libc6", "2.36-9"), ("new", "2\\x1b[2J"), ("openssl", "3.0.13-1")]));
    let pinned = lock(&workspace);
    let changes = workspace.ok(&["update"]);
    assert!(!changes.contains("package"), "the layers of the new image were not brought: {changes}");
    workspace.write("ocify.lock", pinned);
    let changes = workspace.ok(&["update", "--packages"]);
    let packages: Vec<&str> = changes.lines().filter(|line| line.contains("package")).collect();
    let expected = ["  package +new: 2?[2J", "  package -old: 1", "  package openssl: 3.0.11-1 -> 3.0.13-1"];
    assert_eq!(packages, expected);
}

#[test]
fn a_name_that_is_not_locked_cannot_be_updated() {
    let server = Server::start(Options::default());
    publish(&server, BASE);
    let workspace = on_base(&server);
    workspace.ok(&["lock"]);
    let error = workspace.fails(2, &["update", &format!("{}/shop/bse:1", server.host())]);
    assert!(error.contains("is not in ocify.lock") && error.contains("did you mean"), "{error}");
    let error = workspace.fails(2, &["update", "A B"]);
    assert!(error.contains("`A B` is not in ocify.lock"), "{error}");
}
