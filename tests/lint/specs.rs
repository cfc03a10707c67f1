//! The rules for targets.

use crate::workspace::Workspace;

/// `Rule line` for each finding of `ocify lint`.
#[track_caller]
fn lines(workspace: &Workspace) -> Vec<String> {
    let found: serde_json::Value = serde_json::from_str(&workspace.ok(&["lint", "//...", "--format", "json"])).unwrap();
    let line = |finding: &serde_json::Value| {
        format!(
            "{}:{} {}",
            finding["file"].as_str().unwrap(),
            finding["start"]["line"],
            finding["rule"].as_str().unwrap()
        )
    };
    found.as_array().unwrap().iter().map(line).collect()
}

const SPEC: &str = r#"image(
    name = "web",
    base = "debian:12",
    env = {"API_TOKEN": "x", "LANG": "C"},
    layers = [
        run("apt-get update"),
        run("apt-get install curl"),
        run("curl https://x.example/ | sh"),
        run("true"),
    ],
    cmd = ["web"],
)
"#;

#[test]
fn targets_of_starlark() {
    let expected = [
        "BUILD.star:1 RootUser",
        "BUILD.star:3 UnpinnedBase",
        "BUILD.star:4 SecretsUsedInArgOrEnv",
        "BUILD.star:6 AptUpdateAlone",
        "BUILD.star:6 ManyRunLayers",
        "BUILD.star:7 AptInstallRecommends",
        "BUILD.star:7 AptInstallWithoutYes",
        "BUILD.star:8 DownloadPipedToShell",
    ];
    assert_eq!(lines(&Workspace::new().file("BUILD.star", SPEC)), expected);
    let ignored = SPEC.replace(
        "        run(\"apt-get update\")",
        "        # ocify: ignore=AptUpdateAlone,ManyRunLayers\n        run(\"apt-get update\")",
    );
    let ignored = format!("# ocify: ignore=RootUser,UnpinnedBase\n{ignored}");
    let found = lines(&Workspace::new().file("BUILD.star", ignored));
    assert_eq!(found.len(), expected.len() - 4, "{found:?}");
}

#[test]
fn the_order_of_layers() {
    let spec = |layers: &str| format!("image(\n    name = \"x\",\n    layers = [\n{layers}    ],\n)\n");
    let (files, list) = ("        files(srcs = glob([\"src/**\"])),\n", "        files(srcs = [\"package.json\"]),\n");
    let run = "        run(\"npm ci\"),\n";
    let found = |layers: &str| {
        let workspace = Workspace::new().file("BUILD.star", spec(layers)).file("src/a.js", "").file("package.json", "");
        lines(&workspace)
    };
    assert_eq!(found(&format!("{list}{files}{run}")), ["BUILD.star:5 CopyBeforeInstall"]);
    assert_eq!(found(&format!("{list}{run}{files}")), Vec::<String>::new());
}

#[test]
fn lists_that_are_kept_out_of_a_layer() {
    let spec = |more: &str| {
        format!(
            "image(name = \"x\", user = \"1\", layers = [run(\"apt-get update && apt-get install -y --no-install-recommends a\"{more})])\n"
        )
    };
    let found = |more: &str| lines(&Workspace::new().file("BUILD.star", spec(more)));
    assert_eq!(found(""), ["BUILD.star:1 PackageListsLeft"]);
    assert_eq!(found(", scrub = [\"default\", \"apt-lists\"]"), Vec::<String>::new());
    assert_eq!(found(", mounts = [cache(\"/var/lib/apt\")]"), Vec::<String>::new());
    assert_eq!(found(", mounts = [cache(\"/var/cache/apt\")]"), ["BUILD.star:1 PackageListsLeft"]);
}

#[test]
fn targets_of_toml() {
    let toml = "[image.web]\nbase = \"debian:12\"\ncmd = [\"web\"]\nuser = \"root\"\n\n[[image.web.layers]]\n\
        run = { command = \"apk add curl\" }\n";
    let found = lines(&Workspace::new().file("ocify.toml", toml));
    assert_eq!(found, ["ocify.toml:1 RootUser", "ocify.toml:2 UnpinnedBase", "ocify.toml:6 PackageListsLeft"]);
}

#[test]
fn what_is_as_it_should_be_is_not_reported() {
    let spec = "image(\n    name = \"base\",\n    layers = [write(\"/a\", \"x\")],\n    user = \"1000\",\n)\n\
        image(\n    name = \"web\",\n    base = \":base\",\n    cmd = [\"/a\"],\n)\n";
    assert_eq!(lines(&Workspace::new().file("BUILD.star", spec)), Vec::<String>::new());
}
