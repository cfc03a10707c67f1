//! One spec in two syntaxes: what they mean has to be the same.

use ocify::target::Target;

use super::Spec;

/// Evaluates both and compares label by label; targets may come in another order.
#[track_caller]
fn same(build: &str, toml: &str, files: &[(&str, &str)]) {
    let add = |spec: Spec| files.iter().fold(spec, |spec, (path, text)| spec.file(path, text));
    let mut starlark = add(Spec::build(build)).targets();
    let (_, mut parsed) = add(Spec::toml(toml)).parse();
    let by_label = |target: &Target| target.label.clone();
    starlark.sort_by_key(by_label);
    parsed.sort_by_key(by_label);
    assert!(!parsed.is_empty());
    let rules =
        |targets: Vec<Target>| targets.into_iter().map(|target| (target.label, target.rule)).collect::<Vec<_>>();
    assert_eq!(rules(starlark), rules(parsed));
}

#[test]
fn every_layer_means_the_same() {
    same(
        r#"
image(
    name = "all",
    layers = [
        files(srcs = glob(["site/**"], exclude = ["**/*.bak"]), strip_prefix = "site", dest = "/srv"),
        files(srcs = {"/etc/app.conf": "conf/app.conf"}, mode = 0o600, owner = "app:app"),
        write("/etc/motd", "hello\n", owner = 7),
        dir("/tmp", mode = "1777"),
        symlink("/bin/sh", "busybox"),
        accounts(users = [{"name": "app", "uid": 1000}], groups = [{"name": "app", "gid": 1000}]),
        archive(src = fetch(url = "https://example.com/a.tar.gz", sha256 = "0" * 64), strip_components = 1),
        copy(":base", srcs = ["/usr/lib/libc.so"], dest = "/lib"),
        copy(image = "busybox:1.36", srcs = ["/bin/busybox"]),
        copy(oci("docker.io/library/busybox:1.36"), srcs = ["/bin/busybox"]),
    ],
)
image(name = "base", base = oci_archive("base.tar"))
"#,
        r#"
[image.all]
[[image.all.layers]]
files = { srcs = { glob = ["site/**"], exclude = ["**/*.bak"] }, strip_prefix = "site", dest = "/srv" }
[[image.all.layers]]
files = { srcs = { "/etc/app.conf" = "conf/app.conf" }, mode = 0o600, owner = "app:app" }
[[image.all.layers]]
write = { path = "/etc/motd", content = "hello\n", owner = 7 }
[[image.all.layers]]
dir = { path = "/tmp", mode = "1777" }
[[image.all.layers]]
symlink = { path = "/bin/sh", target = "busybox" }
[[image.all.layers]]
accounts = { users = [{ name = "app", uid = 1000 }], groups = [{ name = "app", gid = 1000 }] }
[[image.all.layers]]
[image.all.layers.archive]
src = { fetch = { urls = ["https://example.com/a.tar.gz"], sha256 = "0000000000000000000000000000000000000000000000000000000000000000" } }
strip_components = 1
[[image.all.layers]]
copy = { image = ":base", srcs = ["/usr/lib/libc.so"], dest = "/lib" }
[[image.all.layers]]
copy = { image = { oci = { reference = "docker.io/library/busybox:1.36" } }, srcs = ["/bin/busybox"] }
[[image.all.layers]]
copy = { image = "busybox:1.36", srcs = ["/bin/busybox"] }

[image.base]
base = { oci_archive = { path = "base.tar" } }
"#,
        &[("site/b.html", "b"), ("site/a.html", "a"), ("site/a.bak", "old"), ("conf/app.conf", "")],
    );
}

#[test]
fn every_field_of_an_image_means_the_same() {
    same(
        r#"
image(
    name = "web",
    base = "scratch",
    platform = platform("linux/arm64/v8"),
    os_version = "1",
    env = {"Z": "1", "A": "2"},
    entrypoint = ["/bin/web"],
    cmd = [],
    workdir = "/srv",
    user = "1000:1000",
    ports = ["8080/tcp"],
    volumes = ["/data"],
    labels = {"b": "1", "a": "2"},
    stop_signal = "SIGINT",
    healthcheck = struct(test = ["CMD", "true"], interval_ms = 1000),
    shell = ["/bin/sh", "-c"],
    author = "Ada",
    created = "2024-02-29T12:00:00Z",
    annotations = {"x": "y"},
    history = [{"created_by": "me"}],
    tags = ["web:1"],
    media_types = "docker",
    compression = "zstd",
)
index(name = "multi", images = [":web"], annotations = {"x": "y"})
"#,
        r#"
[index.multi]
images = ["//:web"]
annotations = { x = "y" }

[image.web]
base = "scratch"
platform = "linux/arm64"
os_version = "1"
env = { Z = "1", A = "2" }
entrypoint = ["/bin/web"]
cmd = []
workdir = "/srv"
user = "1000:1000"
ports = ["8080/tcp"]
volumes = ["/data"]
stop_signal = "SIGINT"
shell = ["/bin/sh", "-c"]
author = "Ada"
created = "2024-02-29T12:00:00Z"
history = [{ created_by = "me" }]
tags = ["web:1"]
media_types = "docker"
compression = "zstd"
[image.web.healthcheck]
test = ["CMD", "true"]
interval_ms = 1000
[image.web.labels]
b = "1"
a = "2"
[image.web.annotations]
x = "y"
"#,
        &[],
    );
}

#[test]
fn settings_are_the_top_of_the_file() {
    let (settings, targets) = Spec::toml("name = \"shop\"\nepoch = 1700000000\nplatform = \"linux/arm64\"\n").parse();
    assert_eq!((settings.name.as_deref(), settings.epoch), (Some("shop"), 1_700_000_000));
    assert_eq!((settings.platform.to_string(), targets.len()), ("linux/arm64".into(), 0));
}

#[test]
fn a_workspace_without_settings_has_the_defaults() {
    let spec = Spec::build("");
    std::fs::remove_file(spec.root().join("ocify.toml")).unwrap();
    assert_eq!(spec.parse().0, ocify::target::Settings::default());
}

#[test]
fn targets_of_toml_keep_their_order_and_place() {
    let (_, targets) = Spec::toml("[image.b]\n[image.a]\n").parse();
    let shown: Vec<_> = targets.iter().map(|target| (target.label.to_string(), target.span.clone().unwrap())).collect();
    assert_eq!(shown.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(), ["//:b", "//:a"]);
    assert_eq!((shown[1].1.to_string(), shown[1].1.text()), ("ocify.toml:2".into(), "a"));
}
