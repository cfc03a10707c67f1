//! Images to registries and back, by the command line. The registry is a thread of the test.

use std::fs;

use serde_json::Value;

use crate::registry::server::{Auth, Options, Server};
use crate::workspace::{Workspace, digest};

/// Two targets: one of many layers, and an index of two platforms.
fn shop(registry: &Server) -> Workspace {
    let host = registry.host();
    let layers: String = (0..20).map(|number| format!("write('/f{number}', '{number}'), ")).collect();
    let arm = "image(name = 'arm', platform = 'linux/arm64', layers = [write('/f', 'arm')])";
    let amd = "image(name = 'amd', layers = [write('/f', 'amd')])";
    Workspace::new().file(
        "BUILD.star",
        format!(
            "image(name = 'web', layers = [{layers}], tags = ['{host}/shop/web:1', '{host}/shop/web:latest'])\n\
             {arm}\n{amd}\nindex(name = 'both', images = [':amd', ':arm'], tags = ['{host}/shop/both:1'])\n"
        ),
    )
}

/// Method and path of each request, without the query.
fn asked(registry: &Server) -> Vec<String> {
    let line = |request: &crate::registry::server::Exchange| {
        let path = request.path.split('?').next().unwrap();
        format!("{} {path}", request.method)
    };
    registry.requests().iter().map(line).collect()
}

#[test]
fn what_is_pushed_is_pulled_elsewhere_with_the_same_digest() {
    let registry = Server::start(Options::default());
    let workspace = shop(&registry);
    let built = workspace.ok(&["build", "//:web", "//:both", "--push"]);
    let [both, web] = built.lines().map(digest).collect::<Vec<_>>().try_into().unwrap();
    let name = format!("{}/shop/web:1", registry.host());

    let elsewhere = Workspace::new();
    let pulled = elsewhere.ok(&["pull", &name]);
    assert_eq!(pulled, format!("{name} {web}\n"));
    elsewhere.ok(&["inspect", &name, "--check"]);
    assert_eq!(registry.manifest("shop/web", "latest"), registry.manifest("shop/web", "1"));

    // An index is pulled for one platform, whole, or by the digest of one of its images.
    let name = format!("{}/shop/both", registry.host());
    let arm = digest(&workspace.ok(&["build", "//:arm"]));
    assert_eq!(digest(&elsewhere.ok(&["pull", &format!("{name}:1"), "--platform", "linux/arm64"])), arm);
    assert_eq!(digest(&elsewhere.ok(&["pull", &format!("{name}:1"), "--all-platforms"])), both);
    elsewhere.ok(&["inspect", &format!("{name}:1"), "--check"]);
    assert_eq!(digest(&elsewhere.ok(&["pull", &format!("{name}@{arm}")])), arm);
    let error = elsewhere.fails(1, &["pull", &format!("{name}:1"), "--platform", "linux/s390x"]);
    assert!(error.contains("linux/amd64, linux/arm64"), "{error}");
    let error = elsewhere.fails(1, &["pull", &format!("{name}:2")]);
    assert!(error.contains("has no shop/both:2"), "{error}");
}

#[test]
fn tags_are_set_when_all_else_is_there_and_what_is_there_is_not_sent_again() {
    let registry = Server::start(Options::default());
    let workspace = shop(&registry);
    workspace.ok(&["build", "//:web", "--push"]);
    let requests = asked(&registry);
    let first_tag = requests.iter().position(|request| request.starts_with("PUT /v2/shop/web/manifests/")).unwrap();
    assert_eq!(requests[first_tag..], ["PUT /v2/shop/web/manifests/1", "PUT /v2/shop/web/manifests/latest"]);
    assert_eq!(requests.iter().filter(|request| request.starts_with("HEAD /v2/shop/web/blobs/")).count(), 21);

    registry.clear();
    workspace.ok(&["build", "//:web", "--push"]);
    assert_eq!(asked(&registry), ["HEAD /v2/shop/web/manifests/1", "HEAD /v2/shop/web/manifests/latest"]);

    // One layer is another: only it, the config and the manifest are sent.
    let spec = fs::read_to_string(workspace.path("BUILD.star")).unwrap();
    workspace.write("BUILD.star", spec.replace("write('/f19', '19')", "write('/f19', 'x')"));
    registry.clear();
    workspace.ok(&["build", "//:web", "--push"]);
    let sent =
        registry.requests().into_iter().filter(|request| request.method == "PUT" && request.path.contains("uploads"));
    assert_eq!(sent.count(), 2);
}

#[test]
fn an_unchanged_image_of_twenty_layers_is_three_requests_where_a_token_is_needed() {
    let registry = Server::start(Options { auth: Auth::token("me", "secret"), ..Options::default() });
    let workspace = shop(&registry);
    let config = workspace.path("docker");
    let auths = serde_json::json!({"auths": {registry.host(): {"username": "me", "password": "secret"}}});
    workspace.write("docker/config.json", auths.to_string());
    let push = |name: &str| {
        let name = format!("{}/shop/web:{name}", registry.host());
        let mut command = workspace.command(&["push", "//:web", &name]);
        let output = command.env("DOCKER_CONFIG", &config).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    workspace.build("//:web");
    push("1");
    registry.clear();
    registry.tokens().clear();
    push("1");
    assert_eq!(registry.requests().len() + registry.tokens().requests().len(), 3, "{:?}", asked(&registry));
}

#[test]
fn a_layer_that_another_repository_has_is_mounted() {
    let registry = Server::start(Options::default());
    let workspace = shop(&registry);
    workspace.ok(&["build", "//:web", "--push"]);
    registry.clear();
    workspace.ok(&["push", "//:web", &format!("{}/other/web", registry.host())]);
    let requests = registry.requests();
    let uploads: Vec<_> = requests.iter().filter(|request| request.method == "POST").collect();
    assert_eq!(uploads.len(), 21);
    assert!(uploads.iter().all(|request| request.path.contains("mount=") && request.status == 201));
    assert!(!requests.iter().any(|request| request.method == "PATCH" || request.path.contains("digest=")));
}

#[test]
fn layers_of_a_base_that_nobody_reads_are_not_downloaded() {
    let registry = Server::start(Options::default());
    let host = registry.host();
    let web = digest(&shop(&registry).ok(&["build", "//:web", "--push"]));
    registry.clear();
    let base = format!("{host}/shop/web@{web}");
    let workspace = Workspace::new().file(
        "BUILD.star",
        format!(
            "image(name = 'app', base = '{base}', env = {{'A': 'b'}}, tags = ['{host}/apps/app:1'])\n\
             image(name = 'more', base = '{base}', layers = [write('/f3', 'new')])\n"
        ),
    );
    workspace.ok(&["build", "//:app", "--push"]);
    let downloads = |requests: &[String]| {
        requests.iter().filter(|request| request.starts_with("GET") && request.contains("/blobs/")).count()
    };
    // The config alone; the layers are mounted.
    assert_eq!(downloads(&asked(&registry)), 1, "{:?}", asked(&registry));
    assert!(
        registry
            .requests()
            .iter()
            .filter(|request| request.path.contains("mount="))
            .all(|request| request.status == 201)
    );

    // A layer that goes into the base's root has to know what is there; an output reads everything.
    workspace.ok(&["build", "//:more"]);
    assert_eq!(downloads(&asked(&registry)), 21);
    registry.clear();
    workspace.ok(&["build", "//:more", "-o", "oci:out"]);
    assert_eq!(asked(&registry), [""; 0]);

    // What was pruned since is brought again, and only that.
    let blobs = workspace.store().join("blobs/sha256");
    let layer = fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path());
    let manifest: Value = serde_json::from_slice(&registry.manifest("shop/web", &web).unwrap().1).unwrap();
    let first = manifest["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    for path in layer.filter(|path| path.ends_with(&first)) {
        fs::remove_file(path).unwrap();
    }
    workspace.ok(&["build", "//:more", "-o", "oci:again"]);
    // From the repository where it was seen last.
    assert_eq!(asked(&registry), [format!("GET /v2/apps/app/blobs/sha256:{first}")]);
}

#[test]
fn a_pipeline_reads_what_was_pushed_where() {
    let registry = Server::start(Options::default());
    let host = registry.host();
    let workspace = shop(&registry);
    let built =
        workspace.ok(&["build", "//:both", "--push", "--digest-file", "digest", "--metadata-file", "meta.json"]);
    let both = digest(&built);
    assert_eq!(fs::read_to_string(workspace.path("digest")).unwrap(), both);
    let metadata: Value = serde_json::from_slice(&fs::read(workspace.path("meta.json")).unwrap()).unwrap();
    let target = &metadata["//:both"];
    assert_eq!(target["containerimage.digest"], both.as_str());
    assert_eq!(target["image.name"], format!("{host}/shop/both:1"));
    let platforms: Vec<&String> = target["ocify.platforms"].as_object().unwrap().keys().collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);

    let error = workspace.fails(2, &["build", "//:both", "//:web", "--digest-file", "x"]);
    assert!(error.contains("takes one target"), "{error}");
    let error = workspace.fails(2, &["build", "//:amd", "--push"]);
    assert!(error.contains("`//:amd` has no tags") && error.contains("BUILD.star"), "{error}");
}

#[test]
fn images_are_copied_between_registries_and_everything_else() {
    let (one, two) = (Server::start(Options::default()), Server::start(Options::default()));
    let workspace = shop(&one);
    let both = digest(&workspace.ok(&["build", "//:both", "--push"]));
    let elsewhere = Workspace::new();
    let (from, to) = (format!("docker://{}/shop/both:1", one.host()), format!("registry:{}/a/b:2", two.host()));
    elsewhere.ok(&["copy", &from, &to]);
    assert_eq!(one.manifest("shop/both", "1"), two.manifest("a/b", "2"));
    elsewhere.ok(&["copy", &to, "oci:layout"]);
    elsewhere.ok(&["copy", &to, "here:1"]);
    elsewhere.ok(&["inspect", "here:1", "--check"]);
    assert!(elsewhere.ok(&["images", "--digests"]).contains(&both));
    let arm = digest(&workspace.ok(&["build", "//:arm"]));
    elsewhere.ok(&["copy", &to, "arm", "--platform", "linux/arm64"]);
    assert!(elsewhere.ok(&["images", "--digests"]).contains(&arm));
}

#[test]
fn an_image_without_a_place_is_not_pushed() {
    let registry = Server::start(Options::default());
    let workspace = shop(&registry);
    let web = workspace.build("//:web");
    for image in ["//:web", &web] {
        let error = workspace.fails(2, &["push", image]);
        assert!(error.contains("does not say where"), "{error}");
    }
    let other = format!("{}/a@sha256:{}", registry.host(), "0".repeat(64));
    let error = workspace.fails(2, &["push", "//:web", &other]);
    assert!(error.contains("names another image"), "{error}");
    workspace.ok(&["push", &format!("{}/shop/web:1", registry.host())]);
    assert!(registry.manifest("shop/web", "1").is_some() && registry.manifest("shop/web", "latest").is_none());
}

#[test]
fn a_rebase_finds_both_bases_in_their_registry_and_gives_what_a_build_gives() {
    let registry = Server::start(Options::default());
    let name = format!("{}/base:1", registry.host());
    let bases = Workspace::new();
    let release = |version: u32| {
        let layers = format!("write('/etc/release', '{version}'), dir('/srv', mode = '1777')");
        bases.write(
            "BUILD.star",
            format!("image(name = 'base', layers = [{layers}], env = {{'V': '{version}'}}, tags = ['{name}'])\n"),
        );
        bases.ok(&["build", "//:base", "--push"])
    };
    release(1);
    let app = format!("{}/app:1", registry.host());
    let layers = "write('/srv/app', 'app'), write('/etc/app.conf', 'x')";
    let spec = format!("image(name = 'app', base = '{name}', layers = [{layers}], cmd = ['app'], tags = ['{app}'])\n");
    let workspace = Workspace::new().file("BUILD.star", spec);
    workspace.ok(&["lock"]);
    workspace.ok(&["build", "//:app", "--push"]);
    release(2);

    let elsewhere = Workspace::new();
    let (from, onto) = (format!("registry:{app}"), format!("registry:{name}"));
    let rebased = elsewhere.run(&["rebase", &from, "--onto", &onto, "--tag", "new"]);
    assert_eq!(rebased.code, 0, "{}", rebased.stderr);
    workspace.ok(&["update"]);
    assert_eq!(digest(&rebased.stdout), workspace.build("//:app"), "{}", rebased.stderr);
    assert!(elsewhere.ok(&["inspect", "new"]).contains("org.opencontainers.image.base.name"));
}

#[test]
fn a_repository_is_looked_at_and_tidied_without_a_pull() {
    let registry = Server::start(Options::default());
    let host = registry.host();
    let built = digest(&shop(&registry).ok(&["build", "//:web", "--push"]));
    let workspace = Workspace::new();
    assert_eq!(workspace.ok(&["tags", &format!("{host}/shop/web")]), "1\nlatest\n");
    let json = workspace.ok(&["tags", &format!("{host}/shop/web:1"), "--json"]);
    assert_eq!(json, format!("{{\"repository\":\"{host}/shop/web\",\"tags\":[\"1\",\"latest\"]}}\n"));

    let config = serde_json::json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": registry.put_blob("shop/web", b"{}").to_string(), "size": 2});
    let subject =
        serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": built, "size": 1});
    let signature = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/x-signature", "config": config, "layers": [], "subject": subject});
    let bytes = signature.to_string();
    let signature =
        registry.put_manifest("shop/web", "signature", "application/vnd.oci.image.manifest.v1+json", bytes.as_bytes());
    let listed = workspace.ok(&["referrers", &format!("{host}/shop/web:1")]);
    assert_eq!(listed, format!("{signature} application/vnd.oci.image.manifest.v1+json {}\n", bytes.len()));
    assert_eq!(workspace.ok(&["referrers", &format!("{host}/shop/web:1"), "--artifact-type", "x/y"]), "");

    registry.clear();
    let shown = workspace.ok(&["inspect", &format!("registry:{host}/shop/web:1"), "--format", "{{.Digest}}"]);
    assert_eq!(shown.trim(), built);
    assert_eq!(asked(&registry).len(), 2, "manifest and config: {:?}", asked(&registry));

    let deleted = workspace.ok(&["rmi", &format!("registry:{host}/shop/web@{built}")]);
    assert_eq!(deleted, format!("Deleted: registry:{host}/shop/web@{built}\n"));
    assert!(registry.manifest("shop/web", "1").is_none());
    let error = workspace.fails(1, &["rmi", &format!("docker://{host}/shop/web@{built}")]);
    assert!(error.contains(&built), "{error}");
}
