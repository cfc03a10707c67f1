//! From a base in a registry to an image in it, and on: every command that has to do with registries, with Debian's
//! `docker-registry`.

use serde_json::Value;

use crate::bases::{introduce, login, trust};
use crate::distribution::{Distribution, Flavour, PASSWORD};
use crate::images::rich_workspace;
use crate::registries::layout_digest;
use crate::server::{Fault, Proxy, What};
use crate::workspace::{Workspace, digest};

#[test]
fn what_is_pushed_skopeo_gets_and_what_skopeo_pushed_is_pulled() {
    for flavour in Flavour::ALL {
        let registry = Distribution::start(flavour);
        let workspace = rich_workspace("gzip");
        introduce(&workspace, &registry);
        let built = workspace.build("//:rich");
        let [one, latest] = ["1", "latest"].map(|tag| format!("{}/shop/rich:{tag}", registry.host()));
        let pushed = workspace.ok(&["push", "//:rich", &one, &latest]);
        assert_eq!(pushed, format!("{one} {built}\n{latest} {built}\n"), "{flavour:?}");

        let copy = format!("oci:{}:copy", workspace.path("copy").display());
        registry.skopeo_copy(&["--preserve-digests"], &format!("docker://{latest}"), &copy);
        assert_eq!(layout_digest(&copy), built, "{flavour:?}");
        let theirs = format!("{}/theirs:1", registry.host());
        registry.skopeo_copy(&["--format=v2s2"], &copy, &format!("docker://{theirs}"));
        let summary: Value = serde_json::from_str(&registry.skopeo_inspect(&format!("docker://{theirs}"))).unwrap();

        let elsewhere = Workspace::new();
        introduce(&elsewhere, &registry);
        let pulled = elsewhere.ok(&["pull", &one, &theirs]);
        let expected = format!("{one} {built}\n{theirs} {}\n", summary["Digest"].as_str().unwrap());
        assert_eq!(pulled, expected, "{flavour:?}");
        elsewhere.ok(&["inspect", "--check", &one]);
        elsewhere.ok(&["inspect", "--check", &theirs]);
        let (ours, docker) = (exported(&elsewhere, &one), exported(&elsewhere, &theirs));
        assert_eq!(ours, docker, "{flavour:?}");
        assert!(ours.len() > 10, "{ours:#?}");
    }
}

/// The tree of an image of the store.
fn exported(workspace: &Workspace, name: &str) -> Vec<String> {
    let tar = workspace.path("export.tar");
    workspace.ok(&["export", name, "-o", tar.to_str().unwrap()]);
    crate::workspace::list(&tar)
}

#[test]
fn a_bad_day_ends_with_the_right_digest_or_a_reason() {
    let registry = Distribution::start(Flavour::Token);
    let workspace = rich_workspace("none");
    let built = workspace.build("//:rich");
    let proxy = Proxy::start(registry.host());
    trust(&workspace, &registry);
    let name = format!("{}/shop/rich:1", proxy.host());
    assert_eq!(login(&workspace, &proxy.host(), PASSWORD).code, 0);

    proxy.fault(Fault::new("PUT", "/uploads/", What::CutRequest { after: 100 }).times(1));
    proxy.fault(Fault::new("POST", "/uploads/", What::unavailable(1)).times(1));
    proxy.fault(Fault::new("PUT", "/manifests/", What::too_many_requests(1)).times(1));
    assert_eq!(digest(&workspace.ok(&["push", "//:rich", &name])), built);

    let pull = || {
        let elsewhere = Workspace::new();
        assert_eq!(login(&elsewhere, &proxy.host(), PASSWORD).code, 0);
        let run = elsewhere.run(&["pull", &name]);
        (elsewhere, run)
    };
    proxy.fault(Fault::new("GET", "/blobs/", What::Cut { after: 1_000_000 }).times(1));
    proxy.fault(Fault::new("GET", "/blobs/", What::Cut { after: 100 }).times(1));
    proxy.fault(Fault::new("GET", "/manifests/", What::too_many_requests(1)).times(1));
    let (elsewhere, run) = pull();
    assert_eq!((run.code, run.stdout.as_str()), (0, format!("{name} {built}\n").as_str()), "{}", run.stderr);
    elsewhere.ok(&["inspect", "--check", &name]);

    for (what, reason) in [
        (What::Flip { at: 5 }, "wrong digest"),
        (What::unavailable(1_000_000_000), "503"),
        (What::Cut { after: 5 }, ""),
        (What::Length(1 << 40), ""),
    ] {
        proxy.fault(Fault::new("GET", "/blobs/", what.clone()));
        let (elsewhere, run) = pull();
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{what:?}");
        assert!(run.stderr.contains(reason) && !run.stderr.contains("canary"), "{what:?}: {}", run.stderr);
        assert!(elsewhere.ok(&["images", "--quiet"]).is_empty(), "{what:?}: nothing has the name");
        proxy.heal();
        assert_eq!(digest(&elsewhere.ok(&["pull", &name])), built, "{what:?}");
        elsewhere.ok(&["inspect", "--check", &name]);
    }
}

const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// A base of a distribution, for two platforms, in the registry; its digest.
fn release(registry: &Distribution, release: &str) -> String {
    let name = format!("{}/base/distro:12", registry.host());
    let maker = Workspace::new().file(
        "BUILD.star",
        format!(
            "image(
    name = 'distro',
    platforms = ['linux/amd64', 'linux/arm64'],
    layers = [
        write('/etc/release', '{release}'),
        write('/bin/sh', select({{'linux/amd64': 'amd64', 'linux/arm64': 'arm64'}}), mode = '755'),
    ],
    env = {{'PATH': '/bin'}},
    tags = ['{name}'],
)"
        ),
    );
    introduce(&maker, registry);
    digest(&maker.ok(&["build", "//:distro", "--push"]))
}

#[test]
fn a_base_is_locked_built_on_pushed_pulled_moved_updated_and_rebased() {
    for flavour in Flavour::ALL {
        let registry = Distribution::start(flavour);
        let (base, app) = (format!("{}/base/distro:12", registry.host()), format!("{}/shop/app", registry.host()));
        let old = release(&registry, "12.1");

        let workspace = Workspace::new().file(
            "BUILD.star",
            format!(
                "image(
    name = 'app',
    platforms = ['linux/amd64', 'linux/arm64'],
    base = '{base}',
    layers = [write('/app/main', 'the app', mode = '755')],
    entrypoint = ['/app/main'],
    tags = ['{app}:1.0', '{app}:latest'],
)"
            ),
        );
        introduce(&workspace, &registry);
        let unpinned = workspace.fails(2, &["build", "//:app"]);
        assert!(unpinned.contains("is not pinned") && unpinned.contains("ocify lock"), "{unpinned}");
        assert_eq!(workspace.ok(&["lock"]), format!("+ {base} {old} {}\n", PLATFORMS.join(",")));
        let built = digest(&workspace.ok(&["build", "//:app", "--push", "--locked"]));

        let elsewhere = Workspace::new();
        introduce(&elsewhere, &registry);
        let pinned = format!("{app}@{built}");
        assert_eq!(digest(&elsewhere.ok(&["pull", "--all-platforms", &pinned])), built, "{flavour:?}");
        elsewhere.ok(&["inspect", "--check", &pinned]);
        for platform in PLATFORMS {
            let history = elsewhere.ok(&["history", &pinned, "--platform", platform]);
            assert_eq!(history.lines().count(), 4, "a heading and three layers: {history}");
            let config = elsewhere.ok(&["inspect", &pinned, "--platform", platform, "--config"]);
            let config: Value = serde_json::from_str(&config).unwrap();
            assert_eq!(config["config"]["Entrypoint"][0], "/app/main");
            assert_eq!(config["config"]["Env"][0], "PATH=/bin");
            assert!(platform.ends_with(config["architecture"].as_str().unwrap()));
        }
        for tag in ["1.0", "latest"] {
            let raw = registry.skopeo_inspect(&format!("docker://{app}:{tag}"));
            let summary: Value = serde_json::from_str(&raw).unwrap();
            assert_eq!(summary["Digest"], built.as_str(), "{tag}: {summary}");
        }

        let new = release(&registry, "12.2");
        assert_ne!(new, old);
        assert_eq!(digest(&workspace.ok(&["build", "//:app"])), built, "the tag has moved, the lock has not");
        let changes = workspace.ok(&["update"]);
        assert!(changes.contains(&format!("{base}\n  digest: {old} -> {new}\n")), "{changes}");
        let updated = digest(&workspace.ok(&["build", "//:app"]));
        assert_ne!(updated, built);

        // Both bases are found where they are, and what comes out is what a build on the new base gave.
        let name = format!("{app}:1.0-rebased");
        let onto = format!("registry:{base}");
        let rebased = elsewhere.run(&["rebase", &pinned, "--onto", &onto, "--tag", &name]);
        assert_eq!(rebased.code, 0, "{}", rebased.stderr);
        assert_eq!(digest(&rebased.stdout), updated, "{flavour:?}: {}", rebased.stderr);
        for (workspace, name) in [(&workspace, "//:app"), (&elsewhere, &name)] {
            let tar = workspace.path("app.tar");
            workspace.ok(&["export", name, "--platform", "linux/arm64", "-o", tar.to_str().unwrap()]);
            let tree = crate::workspace::list(&tar).join("\n");
            for file in ["etc/release 0644 0:0 12.2", "bin/sh 0755 0:0 arm64", "app/main 0755 0:0 the app"] {
                assert!(tree.contains(file), "{file}: {tree}");
            }
        }
        let pushed = elsewhere.ok(&["push", &name]);
        assert_eq!(digest(&pushed), digest(&rebased.stdout), "{flavour:?}");

        drop(registry);
        let offline = digest(&workspace.ok(&["build", "//:app", "--offline"]));
        assert_eq!(offline, updated, "{flavour:?}");
    }
}
