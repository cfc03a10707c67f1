//! How an image is found, named and removed.

use ocify::store::Store;
use serde_json::Value;

use crate::store_commands::{digest_of, shop};
use crate::workspace::Workspace;

#[test]
fn an_image_is_found_by_any_of_its_names() {
    let workspace = shop();
    let digest = digest_of(&workspace, "//:web");
    let id = workspace.ok(&["inspect", "web", "--format", "{{.Id}}"]).trim().to_owned();
    for name in [
        "web",
        ":web",
        "web:latest",
        "docker.io/library/web",
        "example.com/shop/web:1.4",
        &digest,
        &digest[7..],
        &digest[7..19],
        &digest[..19],
        &id,
        &id[7..19],
        &format!("example.com/shop/web@{digest}"),
    ] {
        assert_eq!(digest_of(&workspace, name), digest, "{name}");
    }
    assert_eq!(digest_of(&workspace, "docker.io/library/nginx:latest"), digest_of(&workspace, "//:other"));
    for name in ["example.com/shop/web", "web:1.4", "abc", "feedbeef", &format!("other.example/web@{digest}")] {
        let error = workspace.fails(2, &["inspect", name]);
        assert!(error.contains("has no image"), "{name}: {error}");
    }
    let error = workspace.fails(2, &["inspect", "example.com/shop/web:1.5"]);
    assert!(error.contains("did you mean `example.com/shop/web:1.4`?"), "{error}");
}

#[test]
fn an_ambiguous_beginning_of_a_digest_lists_what_it_could_be() {
    let workspace = Workspace::new();
    let many: String = (0..300).map(|n| format!("image(name = 'i{n}', labels = {{'n': '{n}'}})\n")).collect();
    workspace.write("BUILD.star", many);
    let built = workspace.ok(&["build"]);
    let mut digests: Vec<&str> = built.lines().filter_map(|line| line.split("sha256:").nth(1)).collect();
    digests.sort();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let (pair, length) =
        digests.windows(2).map(|pair| (pair, common(pair[0], pair[1]))).max_by_key(|(_, n)| *n).unwrap();
    // The digests are always the same, and with 300 of them two begin with the same four digits.
    assert!(length >= 4, "{length}");
    let error = workspace.fails(2, &["inspect", &pair[0][..length]]);
    assert!(error.contains("several digests"), "{error}");
    assert!(error.replace(['│', '\n', ' '], "").contains(&pair[1][..40]), "{error}");
    assert_eq!(digest_of(&workspace, &pair[0][..length + 1]), format!("sha256:{}", pair[0]));
}

#[test]
fn a_tag_is_another_name_and_moves() {
    let workspace = shop();
    let (web, other) = (digest_of(&workspace, "web"), digest_of(&workspace, "other"));
    assert_eq!(workspace.ok(&["tag", &web[7..19], "registry.example/x", "localhost:5000/y:2"]), "");
    assert_eq!(digest_of(&workspace, "registry.example/x:latest"), web);
    assert_eq!(digest_of(&workspace, "localhost:5000/y:2"), web);
    workspace.ok(&["tag", "other", "registry.example/x:latest"]);
    assert_eq!(digest_of(&workspace, "registry.example/x"), other);
    // A name that is listed in another spelling keeps that.
    workspace.ok(&["tag", "web", "docker.io/library/x:1"]);
    workspace.ok(&["tag", "other", "x:1"]);
    assert_eq!(digest_of(&workspace, "library/x:1"), other);
    assert_eq!(workspace.ok(&["images", "x:1", "--quiet"]).lines().count(), 1);
    // A target's name may be that of an image elsewhere.
    workspace.ok(&["tag", "web", "docker.io/library/other"]);
    assert_eq!(digest_of(&workspace, "//:other"), other);
    assert_eq!(digest_of(&workspace, "other"), other);
    assert_eq!(digest_of(&workspace, "other:latest"), web);
    // What is typed as it is listed is that.
    workspace.ok(&["tag", "web", "nginx"]);
    assert_eq!(digest_of(&workspace, "nginx"), web);

    for (target, problem) in
        [("//:x", "is a label"), ("Not/A/name", "not the name of an image"), ("a:b:c", "not the name")]
    {
        assert!(workspace.fails(2, &["tag", "web", target]).contains(problem), "{target}");
    }
    let pinned = format!("x@{web}");
    assert!(workspace.fails(2, &["tag", "web", &pinned]).contains("has a digest"));
    assert!(workspace.fails(2, &["tag", "wep", "x"]).contains("did you mean `web`?"));
}

#[test]
fn with_the_last_name_the_blobs_go() {
    let workspace = shop();
    let manifest: Value = serde_json::from_str(&workspace.ok(&["inspect", "other", "--raw"])).unwrap();
    let [config, layer] = [&manifest["config"], &manifest["layers"][0]].map(|blob| blob["digest"].as_str().unwrap());
    let (config, shared) = (config.to_owned(), layer.to_owned());
    let other = digest_of(&workspace, "other");
    let error = workspace.fails(2, &["rmi", &other]);
    assert!(error.contains("nginx, other") && error.contains("--force"), "{error}");

    assert_eq!(workspace.ok(&["rmi", "nginx:latest"]), "Untagged: nginx\n");
    let removed = workspace.ok(&["rmi", &other[7..19]]);
    assert!(removed.starts_with("Untagged: other\nDeleted: sha256:"), "{removed}");
    assert!(removed.contains(&config) && removed.contains(&other), "{removed}");
    assert!(!removed.contains(&shared), "the layer is in //:web as well:\n{removed}");
    workspace.fails(2, &["inspect", &other]);
    workspace.ok(&["inspect", "web", "both", "--check"]);
    assert!(workspace.fails(2, &["rmi", "other"]).contains("has no image"));
}

#[test]
fn an_image_of_an_index_stays_with_it() {
    let workspace = shop();
    let arm = digest_of(&workspace, "arm");
    assert_eq!(workspace.ok(&["rm", "arm"]), "Untagged: arm\n", "//:both needs its blobs");
    let error = workspace.fails(2, &["rmi", &arm]);
    assert!(error.contains("goes with the index"), "{error}");
    workspace.ok(&["inspect", "both", "--check"]);
    let web = digest_of(&workspace, "web");
    let removed = workspace.ok(&["rmi", "--force", &web, "both"]);
    assert!(removed.starts_with("Untagged: both\nUntagged: example.com/shop/web:1.4\nUntagged: web\nDeleted: "));
    assert!(removed.contains(&arm));
    assert!(!workspace.store().join("blobs/sha256").join(&web[7..]).exists());
}

#[test]
fn of_several_images_to_remove_all_or_none_go() {
    let workspace = shop();
    workspace.fails(2, &["rmi", "other", "none"]);
    workspace.ok(&["inspect", "other"]);
    assert_eq!(workspace.ok(&["rmi", "--no-prune", "other", "nginx"]), "Untagged: nginx\nUntagged: other\n");
    assert!(workspace.ok(&["prune"]).contains("removed blobs/"));
}

#[test]
fn what_a_running_command_uses_stays_for_now() {
    let workspace = shop();
    let other = digest_of(&workspace, "other");
    let lease = Store::open(workspace.store()).unwrap().leased().unwrap();
    assert_eq!(workspace.ok(&["rmi", "other", "nginx"]), "Untagged: nginx\nUntagged: other\n");
    assert!(workspace.store().join("blobs/sha256").join(&other[7..]).exists());
    drop(lease);
    assert!(workspace.ok(&["prune"]).contains(&format!("removed blobs/sha256/{}", &other[7..])));
}

#[test]
fn a_damaged_image_can_be_removed() {
    let workspace = shop();
    let other = digest_of(&workspace, "other");
    let blob = workspace.store().join("blobs/sha256").join(&other[7..]);
    std::fs::remove_file(&blob).unwrap();
    let table = workspace.ok(&["images"]);
    assert!(table.contains("nginx"), "{table}");
    assert!(workspace.ok(&["rmi", "other", "nginx"]).starts_with("Untagged: nginx\nUntagged: other\n"));
    workspace.ok(&["prune"]);
}
