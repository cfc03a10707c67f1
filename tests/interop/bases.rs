//! Bases in Debian's `docker-registry`, made by others: found, locked, built on and moved by `ocify`.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::distribution::{Distribution, Flavour, PASSWORD, USER};
use crate::images::rich_workspace;
use crate::registries::layout_digest;
use crate::workspace::{Run, Workspace};
use crate::{policy, tool};

/// Tells `ocify` of the registry's authority, in the user's settings.
pub fn trust(workspace: &Workspace, registry: &Distribution) {
    if let Some(authority) = registry.authority() {
        let settings = format!("[registry.\"{}\"]\nca = \"{}\"\n", registry.host(), authority.display());
        workspace.write("../.config/ocify/config.toml", settings);
    }
}

/// `ocify login` with this password.
pub fn login(workspace: &Workspace, host: &str, password: &str) -> Run {
    let arguments = ["login", "--username", USER, "--password-stdin", host];
    let mut command = workspace.command(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    Run::from(child.wait_with_output().unwrap())
}

/// Tells `ocify` all that it needs for the registry.
pub fn introduce(workspace: &Workspace, registry: &Distribution) {
    trust(workspace, registry);
    if registry.is_guarded() {
        let run = login(workspace, registry.host(), PASSWORD);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
}

/// Puts an image with the file `/a` into the registry, as skopeo copies it from a layout; its digest there.
fn publish(registry: &Distribution, name: &str, content: &str) -> String {
    let spec = format!("image(name = 'base', layers = [write('/a', '{content}')], env = {{'A': '1'}})");
    let elsewhere = Workspace::new().file("BUILD.star", spec);
    elsewhere.ok(&["build", "//:base", "-o", "oci:out"]);
    let layout = format!("oci:{}", elsewhere.path("out").display());
    registry.skopeo_copy(&["--preserve-digests"], &layout, &format!("docker://{}/{name}", registry.host()));
    layout_digest(&layout)
}

/// No part of the password is in what a command says, neither as it is nor encoded.
#[track_caller]
fn assert_discreet(run: &Run) {
    for secret in ["canary", "Y2FuYXJ5", "p&ss", "Basic ", "Bearer "] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn who_is_not_logged_in_is_told_to_and_who_is_gets_the_base() {
    for flavour in Flavour::ALL {
        let registry = Distribution::start(flavour);
        let base = publish(&registry, "shop/base:1", "a");
        let name = format!("{}/shop/base:1", registry.host());
        let spec = format!("image(name = 'web', base = '{name}', layers = [write('/b', 'b')])");
        let workspace = Workspace::new().file("BUILD.star", spec);
        trust(&workspace, &registry);
        if registry.is_guarded() {
            let denied = workspace.run(&["lock"]);
            assert_eq!(denied.code, 1, "{}", denied.stderr);
            assert!(denied.stderr.contains(&format!("ocify login {}", registry.host())), "{}", denied.stderr);
            let wrong = login(&workspace, registry.host(), "canary-wrong");
            assert_eq!(wrong.code, 1, "{}", wrong.stderr);
            assert_discreet(&wrong);
            let right = login(&workspace, registry.host(), PASSWORD);
            assert_eq!(right.code, 0, "{}", right.stderr);
            assert_discreet(&right);
        }
        assert_eq!(workspace.ok(&["lock"]), format!("+ {name} {base} linux/amd64\n"), "{flavour:?}");
        let built = workspace.build("//:web");
        assert_eq!(workspace.tree("//:web"), ["a 0644 0:0 a", "b 0644 0:0 b"], "{flavour:?}");

        let moved = publish(&registry, "shop/base:1", "another a");
        assert_eq!(workspace.build("//:web"), built, "the tag has moved, the base has not");
        let changes = workspace.ok(&["update"]);
        assert!(changes.contains(&base) && changes.contains(&moved), "{changes}");
        assert_eq!(workspace.tree("//:web"), ["a 0644 0:0 another a", "b 0644 0:0 b"], "{flavour:?}");

        if registry.is_guarded() {
            workspace.ok(&["logout", registry.host()]);
            let stranger = workspace.run(&["update"]);
            assert_eq!(stranger.code, 1, "{flavour:?}");
            assert_discreet(&stranger);
        }
        drop(registry);
        assert_eq!(workspace.tree("//:web"), ["a 0644 0:0 another a", "b 0644 0:0 b"], "without a registry");
    }
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let registry = Distribution::start(Flavour::Tls);
    publish(&registry, "base:1", "a");
    let spec = format!("image(name = 'web', base = '{}/base:1')", registry.host());
    let settings = format!("[registry.\"{}\"]\ninsecure = false\n", registry.host());
    let workspace = Workspace::new().file("BUILD.star", spec).file("ocify.toml", settings);
    let refused = workspace.fails(1, &["lock"]);
    assert!(refused.contains("certificate"), "{refused}");
    assert!(!workspace.path("ocify.lock").exists());
}

#[test]
fn bases_of_buildah_umoci_and_skopeo_are_built_on() {
    let registry = Distribution::start(Flavour::Plain);
    // Not compressed, so that skopeo does it.
    let maker = rich_workspace("none");
    maker.write("file", "of another tool");
    let at = |name: &str| maker.path(name).display().to_string();
    let remote = |name: &str| format!("docker://{}/{name}:1", registry.host());

    let (root, runroot, policy, file) = (at("storage"), at("run"), policy(&maker), at("file"));
    let buildah = |arguments: &[&str]| {
        let storage = ["--root", root.as_str(), "--runroot", runroot.as_str(), "--storage-driver", "vfs"];
        tool("buildah", &[&storage, arguments].concat()).trim().to_owned()
    };
    let container = buildah(&["from", "scratch"]);
    buildah(&["copy", &container, &file, "/file"]);
    buildah(&["config", "--env", "A=1", "--entrypoint", "[\"/file\"]", "--label", "k=v", &container]);
    for format in ["oci", "docker"] {
        let directory = format!("dir:{}", at(&format!("buildah-{format}")));
        buildah(&["commit", "--signature-policy", &policy, "--format", format, &container, &directory]);
        registry.skopeo_copy(&["--preserve-digests"], &directory, &remote(&format!("buildah-{format}")));
    }

    let layout = at("umoci");
    let image = format!("{layout}:1");
    tool("umoci", &["init", "--layout", &layout]);
    tool("umoci", &["new", "--image", &image]);
    tool("umoci", &["insert", "--rootless", "--image", &image, &file, "/file"]);
    tool("umoci", &["config", "--image", &image, "--config.env", "A=1", "--os", "linux", "--architecture", "amd64"]);
    registry.skopeo_copy(&["--preserve-digests"], &format!("oci:{layout}:1"), &remote("umoci"));

    maker.ok(&["build", "//:rich", "-o", "oci:rich"]);
    let rich = format!("oci:{}:example.com/rich:1", at("rich"));
    registry.skopeo_copy(&["--format=v2s2"], &rich, &remote("skopeo-docker"));
    registry.skopeo_copy(&["--dest-compress-format=zstd"], &rich, &remote("skopeo-zstd"));

    let workspace = Workspace::new();
    let mut spec = String::new();
    let names = ["buildah-oci", "buildah-docker", "umoci", "skopeo-docker", "skopeo-zstd"];
    for name in names {
        let base = format!("{}/{name}:1", registry.host());
        spec.push_str(&format!("image(name = '{name}', base = '{base}', layers = [write('/ours', 'ours')])\n"));
    }
    workspace.write("BUILD.star", spec);
    let locked = workspace.ok(&["lock"]);
    for name in names {
        let raw = registry.skopeo_inspect(&remote(name));
        let digest = serde_json::from_str::<Value>(&raw).unwrap()["Digest"].as_str().unwrap().to_owned();
        assert!(locked.contains(&format!("/{name}:1 {digest} linux/amd64\n")), "{name} {digest}: {locked}");
        let tree = workspace.tree(&format!("//:{name}"));
        assert!(tree.contains(&"ours 0644 0:0 ours".to_owned()), "{name}: {tree:#?}");
        match name.starts_with("skopeo") {
            true => assert!(tree.len() > 10, "{name}: {tree:#?}"),
            false => assert!(tree.iter().any(|line| line.ends_with(" of another tool")), "{name}: {tree:#?}"),
        }
        workspace.ok(&["inspect", "--check", &format!("//:{name}")]);
    }
    let copy = |name: &str| workspace.tree(&format!("//:{name}"));
    assert_eq!(copy("skopeo-docker"), copy("skopeo-zstd"));
}
