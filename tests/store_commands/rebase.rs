//! `rebase`: an application on another base.

use std::fs;

use serde_json::Value;

use crate::store_commands::digest_of;
use crate::workspace::Workspace;

/// Bases `//:old` and `//:new`, and `//:app` on the old one, which `base` chooses.
fn spec(base: &str, new_layers: &str) -> String {
    format!(
        "image(name = 'old', layers = [write('/etc/os', '12.5'), write('/etc/conf', 'a')],\n\
           env = {{'PATH': '/bin', 'OS': '12.5'}}, cmd = ['sh'], user = 'nobody', labels = {{'os': '12.5'}}, tags = ['debian:12.5'])\n\
         image(name = 'new', layers = [{new_layers}],\n\
           env = {{'OS': '12.6', 'PATH': '/bin', 'NEW': '1'}}, cmd = ['bash'], labels = {{'os': '12.6', 'more': 'x'}},\n\
           annotations = {{'a': 'b'}}, tags = ['debian:12.6'])\n\
         image(name = 'app', base = ':{base}', layers = [write('/app/run', 'x'), write('/etc/app', 'y')],\n\
           env = {{'APP': '1'}}, workdir = '/app', labels = {{'app': 'yes'}}, tags = ['shop/app:1'])\n"
    )
}

const NEW: &str = "write('/etc/os', '12.6'), write('/etc/conf', 'a'), write('/etc/more', 'z')";

fn shop() -> Workspace {
    let workspace = Workspace::new().file("BUILD.star", spec("old", NEW));
    workspace.ok(&["build"]);
    workspace
}

fn config(workspace: &Workspace, name: &str) -> Value {
    serde_json::from_str(&workspace.ok(&["inspect", name, "--config"])).unwrap()
}

#[test]
fn a_rebased_image_is_what_a_build_on_the_new_base_gives() {
    let workspace = shop();
    let run = workspace.run(&["rebase", "shop/app:1", "--onto", "debian:12.6", "--tag", "shop/app:2"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let rebased = digest_of(&workspace, "shop/app:2");
    assert_eq!(run.stdout, format!("shop/app:2 {rebased}\n"));
    let old = digest_of(&workspace, "debian:12.5");
    assert!(run.stderr.contains(&format!("old base: {old} (by the record of its build)")), "{}", run.stderr);
    assert!(run.stderr.contains("2 layers stay"), "{}", run.stderr);
    workspace.ok(&["inspect", "shop/app:2", "--check"]);

    let layers = |name: &str| workspace.ok(&["inspect", name, "--format", "{{range .Layers}}{{.Digest}} {{end}}"]);
    let before = layers("shop/app:1");
    let after = layers("shop/app:2");
    assert!(after.starts_with(layers("new").trim_end()));
    let own: Vec<&str> = before.split_whitespace().skip(2).collect();
    assert!(after.trim_end().ends_with(&own.join(" ")), "{before}{after}");

    workspace.write("BUILD.star", spec("new", NEW));
    workspace.ok(&["build", "//:app"]);
    assert_eq!(config(&workspace, "shop/app:2"), config(&workspace, "shop/app:1"), "a build on the new base");
    let annotations = workspace.ok(&["inspect", "shop/app:2", "--format", "{{json .Annotations}}"]);
    let annotations: Value = serde_json::from_str(&annotations).unwrap();
    assert_eq!(annotations["a"], "b");
    assert_eq!(annotations["org.opencontainers.image.base.name"], "docker.io/library/debian:12.6");
    assert_eq!(annotations["org.opencontainers.image.base.digest"], digest_of(&workspace, "new").as_str());

    // Now the annotations say what the base is, and the way back leads to the same layers and config.
    let run = workspace.run(&["rebase", "shop/app:2", "--onto", "debian:12.5", "--tag", "shop/app:3"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("by the annotation"), "{}", run.stderr);
    assert_eq!(layers("shop/app:3"), before);
    let again = workspace.ok(&["rebase", "shop/app:3", "--onto", "debian:12.6"]);
    assert_eq!(again, format!("{rebased}\n"), "the digest is always the same");
}

#[test]
fn what_does_not_match_is_refused() {
    let workspace = shop();
    let error = workspace.fails(2, &["rebase", "debian:12.5", "--onto", "debian:12.6"]);
    assert!(error.contains("not known on which base") && error.contains("--base"), "{error}");
    let error = workspace.fails(1, &["rebase", "shop/app:1", "--base", "debian:12.6", "--onto", "debian:12.5"]);
    assert!(error.contains("tar stream") && error.contains("--base"), "{error}");
    let error = workspace.fails(1, &["rebase", "debian:12.5", "--base", "shop/app:1", "--onto", "debian:12.6"]);
    assert!(error.contains("has 4 layers"), "{error}");
    workspace.write("arm/BUILD.star", "image(name = 'arm', platform = 'linux/arm64', layers = [write('/x', 'x')])");
    workspace.ok(&["build", "//arm"]);
    let error = workspace.fails(1, &["rebase", "shop/app:1", "--onto", "//arm"]);
    assert!(error.contains("linux/arm64"), "{error}");
    assert!(workspace.fails(2, &["rebase", "shop/app:1", "--onto", "none"]).contains("has no image"));
    assert_eq!(workspace.ok(&["images", "-q", "--filter", "dangling=true"]), "");
}

#[test]
fn files_that_would_be_lost_or_hidden_are_seen() {
    for (new, code, text) in [
        ("dir('/usr/app'), symlink('/app', '/usr/app')", 1, "`/app` would replace a symbolic link"),
        ("write('/app', 'a file')", 1, "`/app` would replace a"),
        ("dir('/etc/app')", 1, "`/etc/app` would replace a directory"),
        ("write('/etc/app', 'of the base')", 0, "covers `/etc/app`"),
        ("dir('/etc', mode = '0700')", 0, "`/etc` is 0755 0:0 as on the old base, and 0700 0:0 on the new"),
    ] {
        let workspace = Workspace::new().file("BUILD.star", spec("old", new));
        workspace.ok(&["build"]);
        let run = workspace.run(&["rebase", "shop/app:1", "--onto", "//:new", "--tag", "result"]);
        let plain = run.stderr.replace(['│', '\n'], "").split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(run.code, code, "{new}: {plain}");
        assert!(plain.contains(text), "{new}: {plain}");
        assert_eq!(workspace.run(&["inspect", "result"]).code == 0, code == 0);
    }
}

#[test]
fn of_an_index_as_base_the_platform_is_taken() {
    let workspace = shop();
    let text = fs::read_to_string(workspace.path("BUILD.star")).unwrap()
        + "image(name = 'arm', platform = 'linux/arm64', layers = [write('/x', 'x')])\n\
           index(name = 'bases', images = [':arm', ':new'])\n";
    workspace.write("BUILD.star", text);
    workspace.ok(&["build"]);
    let one = workspace.ok(&["rebase", "shop/app:1", "--onto", "//:new"]);
    assert_eq!(workspace.ok(&["rebase", "shop/app:1", "--onto", "//:bases"]), one);
}

#[test]
fn every_image_of_an_index_goes_onto_the_base_of_its_platform() {
    let both = |name: &str, rest: &str| {
        let one = |platform: &str| {
            format!("image(name = '{name}-{platform}', platform = 'linux/{platform}', {rest})\n")
                .replace("ARCH", platform)
        };
        one("amd64") + &one("arm64") + &format!("index(name = '{name}', images = [':{name}-amd64', ':{name}-arm64'])\n")
    };
    let text = both("old", "layers = [write('/etc/os', '1 ARCH')]")
        + &both("new", "layers = [write('/etc/os', '2 ARCH')]")
        + &both("app", "base = ':old-ARCH', layers = [write('/app/run', 'x')]")
        + &both("wanted", "base = ':new-ARCH', layers = [write('/app/run', 'x')]");
    let workspace = Workspace::new().file("BUILD.star", text);
    workspace.ok(&["build"]);
    workspace.ok(&["rebase", "//:app", "--onto", "//:new", "--tag", "result"]);
    workspace.ok(&["inspect", "result", "--check"]);
    for platform in ["linux/amd64", "linux/arm64"] {
        let config = |name: &str| workspace.ok(&["inspect", name, "--config", "--platform", platform]);
        assert_eq!(config("result"), config("//:wanted"), "{platform}");
    }
    workspace.ok(&["index", "create", "half", "//:new-amd64"]);
    let error = workspace.fails(1, &["rebase", "//:app", "--onto", "half", "--tag", "result"]);
    assert!(error.contains("linux/amd64") && error.contains("linux/arm64"), "{error}");
}
