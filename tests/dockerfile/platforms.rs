//! Dockerfiles for other platforms, and for several.

use serde_json::Value;

use super::case::workspace;
use crate::registry::server::{Options, Server};
use crate::workspace::{Workspace, list};

const BOTH: &str = "linux/amd64,linux/arm64/v8";
/// A stage that cross-compiles, one that does not say for what it is, and an image of both.
const CROSS: &str = "FROM --platform=$BUILDPLATFORM scratch AS build\nARG TARGETARCH\nCOPY $TARGETARCH/ /out/\n\
    FROM scratch AS tools\nARG TARGETPLATFORM BUILDPLATFORM\nLABEL on=$BUILDPLATFORM for=$TARGETPLATFORM\nCOPY a /\n\
    FROM tools\nCOPY --from=build /out/ /\n";

fn cross() -> Workspace {
    workspace(CROSS, &[("a", "A"), ("amd64/program", "x86"), ("arm64/program", "arm")])
}

/// The config of the image `built:1` for a platform.
fn config(workspace: &Workspace, platform: &str) -> Value {
    serde_json::from_str(&workspace.ok(&["inspect", "built:1", "--platform", platform, "--config"])).unwrap()
}

#[test]
fn several_platforms_are_an_index_of_what_each_is_alone() {
    let workspace = cross();
    let build =
        |platform: &str| workspace.ok(&["build", "-f", "Dockerfile", "-t", "built:1", "--platform", platform, "c"]);
    let index = build(BOTH);
    assert!(index.starts_with("//:2 sha256:"), "{index}");
    for (platform, content, other) in [("linux/amd64", "x86", "arm"), ("linux/arm64", "arm", "x86")] {
        let config = config(&workspace, platform);
        assert_eq!(format!("linux/{}", config["architecture"].as_str().unwrap()), platform);
        assert_eq!(config["config"]["Labels"], serde_json::json!({ "on": "linux/amd64", "for": platform }));
        let tar = workspace.path("tree.tar");
        let output = format!("tar:{}", tar.display());
        let alone = workspace.ok(&["build", "-f", "Dockerfile", "--platform", platform, "-o", &output, "c"]);
        let entries = list(&tar);
        assert!(entries.contains(&format!("program 0644 0:0 {content}")), "{entries:?}");
        assert!(!entries.contains(&format!("program 0644 0:0 {other}")), "{entries:?}");
        let listed = workspace.ok(&["inspect", "built:1", "--raw"]);
        assert!(listed.contains(alone.trim().split(' ').next_back().unwrap()), "{listed} {alone}");
    }
    assert_eq!(build("linux/amd64,linux/amd64,linux/arm64"), index);
}

#[test]
fn the_context_says_which_platforms_there_are_by_default() {
    let workspace = cross().file("c/ocify.toml", "platforms = [\"linux/amd64\", \"linux/arm64\"]\n");
    let index = workspace.ok(&["build", "-f", "Dockerfile", "--platform", BOTH, "c"]);
    assert_eq!(workspace.ok(&["build", "-f", "Dockerfile", "c"]), index);
}

#[test]
fn steps_of_several_platforms_say_for_which_they_are() {
    let workspace = cross();
    let explained = workspace.ok(&["explain", "-f", "Dockerfile", "--platform", BOTH, "c"]);
    for line in [
        "//linux/amd64:build 1 COPY $TARGETARCH/ /out/ (Dockerfile:3): miss: not built before",
        "//linux/arm64:build 1 COPY $TARGETARCH/ /out/ (Dockerfile:3): miss: not built before",
        "//linux/arm64:2 1 COPY --from=build /out/ / (Dockerfile:9): miss: ",
        "//:2 index (Dockerfile:8): miss: ",
    ] {
        assert!(explained.contains(line), "{line}\n{explained}");
    }
}

#[test]
fn each_platform_stands_on_its_own_base() {
    let server = Server::start(Options::default());
    let name = format!("{}/shop/base:1", server.host());
    let base = workspace("FROM scratch\nARG TARGETARCH\nENV ARCH=$TARGETARCH\n", &[]);
    base.ok(&["build", "-f", "Dockerfile", "--platform", BOTH, "-t", &name, "--push", "c"]);
    let app = workspace(&format!("FROM {name}\nLABEL on=$ARCH\n"), &[]);
    app.ok(&["build", "-f", "Dockerfile", "--platform", BOTH, "-t", "built:1", "c"]);
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_eq!(format!("linux/{}", config(&app, platform)["config"]["Labels"]["on"].as_str().unwrap()), platform);
    }
    let error = app.fails(2, &["build", "-f", "Dockerfile", "--platform", "linux/amd64,linux/s390x", "c"]);
    assert!(error.contains("is not for linux/s390x"), "{error}");
}

#[test]
fn a_stage_that_is_for_one_platform_only_cannot_be_asked_for_two() {
    let workspace = workspace("FROM --platform=linux/amd64 scratch\nLABEL a=b\n", &[]);
    let error = workspace.fails(2, &["build", "-f", "Dockerfile", "--platform", BOTH, "c"]);
    assert!(error.contains("index `//:0`") && error.contains("linux/amd64"), "{error}");
}
