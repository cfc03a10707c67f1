//! Images for several platforms: `platforms`, `select` and `--platform`.

use serde_json::Value as Json;

use crate::workspace::{Workspace, digest, list};

/// The same service twice: as one image with two platforms, and written out.
const SERVICE: &str = "
common = write('/etc/common', 'same')
image(
    name = 'service',
    platforms = ['linux/arm64', 'linux/x86_64'],
    layers = [common, write('/etc/cpu', select({'linux/amd64': 'x86', 'default': 'arm'}))],
    cmd = ['/bin/service'] + select({'linux/arm64': ['--little'], 'linux': []}),
    tags = ['service:1'],
)
index(
    name = 'written',
    images = [
        image(name = 'arm', platform = 'linux/arm64', layers = [common, write('/etc/cpu', 'arm')], cmd = ['/bin/service', '--little']),
        image(name = 'x86', platform = 'linux/amd64', layers = [common, write('/etc/cpu', 'x86')], cmd = ['/bin/service']),
    ],
)
";

fn json(workspace: &Workspace, arguments: &[&str]) -> Json {
    serde_json::from_str(&workspace.ok(arguments)).unwrap()
}

/// The platforms of an index in its order.
fn listed(workspace: &Workspace, name: &str) -> Vec<String> {
    let index = json(workspace, &["inspect", name, "--raw"]);
    let platform = |manifest: &Json| {
        let part = |key: &str| manifest["platform"][key].as_str();
        [part("os"), part("architecture"), part("variant")].into_iter().flatten().collect::<Vec<_>>().join("/")
    };
    index["manifests"].as_array().unwrap_or_else(|| panic!("not an index: {index}")).iter().map(platform).collect()
}

/// The files of a target on one platform.
fn tree(workspace: &Workspace, target: &str, platform: &str) -> Vec<String> {
    workspace.ok(&["build", target, "--platform", platform, "-o", "tar:tree.tar"]);
    list(&workspace.path("tree.tar"))
}

#[test]
fn an_image_with_platforms_is_the_index_that_one_would_write() {
    let workspace = Workspace::new().file("BUILD.star", SERVICE);
    assert_eq!(workspace.build("//:service"), workspace.build("//:written"));
    assert_eq!(listed(&workspace, "//:service"), ["linux/arm64", "linux/amd64"]);
    workspace.ok(&["build", "//:service", "-o", "oci:layout"]);
    let layout: Json = serde_json::from_slice(&std::fs::read(workspace.path("layout/index.json")).unwrap()).unwrap();
    assert_eq!(layout["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "service:1");
}

#[test]
fn the_index_is_the_same_however_many_threads_make_it() {
    let digests = ["1", "2", "7"].map(|jobs| {
        let workspace = Workspace::new().file("BUILD.star", SERVICE);
        digest(&workspace.ok(&["build", "//:service", "--jobs", jobs]))
    });
    assert!(digests.iter().all(|other| *other == digests[0]), "{digests:?}");
}

#[test]
fn toml_says_the_same() {
    let workspace = Workspace::new()
        .file("BUILD.star", SERVICE)
        .file(
            "ocify.toml",
            r#"
[image.toml]
platforms = ["linux/arm64", "linux/amd64"]
layers = [
    { write = { path = "/etc/common", content = "same" } },
    { select = { "linux/amd64" = { write = { path = "/etc/cpu", content = "x86" } }, default = [
        { write = { path = "/etc/cpu", content = { select = { "linux/arm64" = "arm" } } } },
    ] } },
]
cmd = ["/bin/service", { select = { "linux/arm64" = ["--little"], "linux" = [] } }]

[image.globs]
platform = "linux/arm64"
layers = [{ files = { srcs = { select = { "linux/arm64" = { glob = "a/**" }, default = ["none"] } } } }]
"#,
        )
        .file("a/b", "1");
    assert_eq!(workspace.build("//:toml"), workspace.build("//:service"));
    assert_eq!(workspace.tree("//:globs"), ["a/ 0755 0:0", "a/b 0644 0:0 1"]);
}

#[test]
fn one_platform_gives_the_image_itself() {
    let workspace = Workspace::new().file("BUILD.star", SERVICE);
    let build = |arguments: &[&str]| digest(&workspace.ok(&[&["build", "//:service"], arguments].concat()));
    assert_eq!(build(&["--platform", "linux/amd64"]), workspace.build("//:x86"));
    assert_eq!(
        tree(&workspace, "//:service", "linux/aarch64")[1..],
        ["etc/common 0644 0:0 same", "etc/cpu 0644 0:0 arm"]
    );
    let whole = workspace.build("//:service");
    assert_eq!(build(&["--platform", "linux/amd64,linux/arm64"]), whole, "in the order of the spec");
    assert_eq!(build(&["--platform", "linux/amd64", "--platform", "linux/arm64"]), whole);
    let error = workspace.fails(2, &["build", "//:service", "--platform", "linux/riscv64"]);
    assert!(error.contains("`//:service` is not for linux/riscv64") && error.contains("BUILD.star:5"), "{error}");
    assert!(error.contains("it is for linux/arm64 and linux/amd64"), "{error}");
    let error = workspace.fails(2, &["build", "//:service", "-o", "dir:root"]);
    assert!(error.contains("--platform"), "{error}");
    assert!(!workspace.path("root").exists());
}

#[test]
fn an_image_that_names_no_platform_takes_those_that_are_asked_for() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'plain', layers = [write('/cpu', select({'linux/arm64': 'arm', 'linux/amd64': 'x86'}))])",
    );
    assert_eq!(workspace.tree("//:plain"), ["cpu 0644 0:0 x86"]);
    assert_eq!(tree(&workspace, "//:plain", "linux/arm64"), ["cpu 0644 0:0 arm"]);
    workspace.ok(&["build", "//:plain", "--platform", "linux/arm64,linux/amd64"]);
    assert_eq!(listed(&workspace, "//:plain"), ["linux/arm64", "linux/amd64"]);
    workspace.write("ocify.toml", "platform = 'linux/arm64'");
    assert_eq!(workspace.tree("//:plain"), ["cpu 0644 0:0 arm"]);
    workspace.write("ocify.toml", "platforms = ['linux/amd64', 'linux/arm64']");
    workspace.build("//:plain");
    assert_eq!(listed(&workspace, "//:plain"), ["linux/amd64", "linux/arm64"]);
    let error = workspace.fails(2, &["build", "//:plain", "--platform", "linux/s390x"]);
    assert!(error.contains("nothing for linux/s390x"), "{error}");
}

#[test]
fn what_an_image_stands_on_and_copies_from_is_for_its_platform() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "cpu = select({'linux/arm64': 'arm', 'linux/amd64': 'x86'})
image(name = 'base', platforms = ['linux/amd64', 'linux/arm64', 'linux/riscv64'], layers = [write('/base', select({'linux/riscv64': 'risc', 'default': cpu}))])
image(name = 'tool', layers = [write('/tool', cpu)])
index(name = 'tools', images = [
    image(name = 'tool-' + cpu, platform = 'linux/' + cpu, layers = [write('/listed', cpu)]) for cpu in ['amd64', 'arm64']])
image(
    name = 'app',
    platforms = ['linux/arm64', 'linux/amd64'],
    base = ':base',
    layers = [copy(':tool', srcs = ['tool'], dest = '/bin'), copy(':tools', srcs = ['listed'])],
)
image(name = 'top', base = ':app')
image(name = 'later', base = ':app', platforms = ['linux/amd64'])",
    );
    for (platform, cpu, architecture) in [("linux/arm64", "arm", "arm64"), ("linux/amd64", "x86", "amd64")] {
        let files = [
            format!("base 0644 0:0 {cpu}"),
            "bin/ 0755 0:0".to_owned(),
            format!("bin/tool 0644 0:0 {cpu}"),
            format!("listed 0644 0:0 {architecture}"),
        ];
        assert_eq!(tree(&workspace, "//:app", platform), files);
        assert_eq!(tree(&workspace, "//:top", platform), files);
    }
    workspace.build("//:later");
    assert_eq!(listed(&workspace, "//:later"), ["linux/amd64"], "a list of one is a list");
    let error = workspace.fails(2, &["build", "//:top", "--platform", "linux/riscv64"]);
    assert!(error.contains("`//:app` is not for linux/riscv64") && error.contains("base = ':app'"), "{error}");
}

#[test]
fn a_select_chooses_among_targets_of_other_packages() {
    let workspace = Workspace::new()
        .file(
            "BUILD.star",
            "image(name = 'x', platforms = ['linux/amd64', 'linux/arm64'], base = select({'linux/amd64': '//a', 'linux/arm64': '//b'}))",
        )
        .file("a/BUILD.star", "image(name = 'a', layers = [write('/a', 'a')])")
        .file("b/BUILD.star", "image(name = 'b', platform = 'linux/arm64', layers = [write('/b', 'b')])");
    assert_eq!(tree(&workspace, "//:x", "linux/amd64"), ["a 0644 0:0 a"]);
    assert_eq!(tree(&workspace, "//:x", "linux/arm64"), ["b 0644 0:0 b"]);
    workspace.build("//:x");
    assert_eq!(workspace.ok(&["query", "deps(//:x)"]), "//:x\n//a:a\n//b:b\n");
    assert_eq!(workspace.ok(&["query", "rdeps(//b)"]), "//:x\n//b:b\n");
    workspace.write("b/BUILD.star", "image(name = 'b', base = '//:x')");
    let error = workspace.fails(2, &["build", "//:x"]);
    assert!(error.contains("//:x -> //b:b -> //:x"), "{error}");
}

#[test]
fn a_base_in_an_archive_is_taken_for_each_platform() {
    let workspace = Workspace::new().file("BUILD.star", SERVICE);
    workspace.ok(&["build", "//:service", "-o", "oci-archive:base.tar"]);
    workspace.write(
        "BUILD.star",
        "image(name = 'on', base = oci_archive('base.tar'), platforms = ['linux/amd64', 'linux/arm64'], layers = [dir('/on')])",
    );
    assert_eq!(tree(&workspace, "//:on", "linux/amd64")[2..], ["etc/cpu 0644 0:0 x86", "on/ 0755 0:0"]);
    assert_eq!(tree(&workspace, "//:on", "linux/arm64")[2..], ["etc/cpu 0644 0:0 arm", "on/ 0755 0:0"]);
    workspace.build("//:on");
    workspace.write("BUILD.star", "image(name = 'on', base = oci_archive('base.tar'), platforms = ['linux/s390x'])");
    let error = workspace.fails(1, &["build", "//:on"]);
    assert!(
        error.contains("there are images for linux/arm64 and linux/amd64") || error.contains("linux/arm64"),
        "{error}"
    );
}

#[test]
fn annotations_that_are_the_same_everywhere_are_the_index_s_too() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(
    name = 'x',
    platforms = ['linux/amd64', 'linux/arm64'],
    annotations = {'title': 'x', 'cpu': select({'linux/amd64': 'x86', 'default': 'arm'})},
)",
    );
    workspace.build("//:x");
    let index = json(&workspace, &["inspect", "//:x", "--raw"]);
    assert_eq!(index["annotations"], serde_json::json!({"title": "x"}));
    let arm = index["manifests"][1]["digest"].as_str().unwrap();
    let manifest = json(&workspace, &["inspect", arm, "--raw"]);
    assert_eq!(manifest["annotations"], serde_json::json!({"cpu": "arm", "title": "x"}));
}

#[test]
fn steps_name_their_platform_and_are_compared_with_the_same() {
    let workspace = Workspace::new().file("BUILD.star", SERVICE);
    workspace.ok(&["build", "//:service", "--record", "record.json"]);
    let hits = workspace.ok(&["explain", "//:service"]);
    assert_eq!(
        hits.lines().collect::<Vec<_>>(),
        [
            "//:service (linux/arm64) 1 write /etc/common: hit",
            "//:service (linux/arm64) 2 write /etc/cpu: hit",
            "//:service (linux/arm64) image: hit",
            "//:service (linux/amd64) 1 write /etc/common: hit",
            "//:service (linux/amd64) 2 write /etc/cpu: hit",
            "//:service (linux/amd64) image: hit",
            "//:service index: hit",
        ]
    );
    let built = digest(&workspace.ok(&["build", "//:service"]));
    workspace.write("BUILD.star", SERVICE.replace("'x86', 'default'", "'i386', 'default'"));
    for against in [&[][..], &["--against", "record.json"], &["--against", &built]] {
        let explained = workspace.ok(&[&["explain", "//:service"], against].concat());
        let misses: Vec<&str> = explained.lines().filter(|line| line.contains(": miss")).collect();
        assert_eq!(
            misses,
            [
                "//:service (linux/amd64) 2 write /etc/cpu: miss: content of /etc/cpu changed",
                "//:service (linux/amd64) image: miss: depends on layer 2",
                "//:service index: miss: depends on //:service (linux/amd64)",
            ],
            "{explained}"
        );
    }
    // The narrowed build is the same step of the same target.
    let narrowed = workspace.ok(&["explain", "//:service", "--platform", "linux/arm64"]);
    assert!(narrowed.lines().all(|line| line.starts_with("//:service (linux/arm64)") && line.ends_with(": hit")));
    let graph = json(&workspace, &["graph", "//:service", "--format", "json"]);
    assert_eq!((&graph[1]["target"], &graph[1]["target_platform"]), (&"//:service".into(), &"linux/arm64".into()));
    assert!(workspace.ok(&["graph", "//:service"]).contains("//:service (linux/arm64)"));
    let run = workspace.run(&["build", "//:service"]);
    assert!(run.stderr.contains("write /etc/cpu (linux/amd64)"), "{}", run.stderr);
    assert!(run.stderr.contains("image //:service (linux/amd64)"), "{}", run.stderr);
}

#[test]
fn query_shows_platforms_and_what_is_selected() {
    let workspace = Workspace::new().file("BUILD.star", SERVICE);
    let targets = json(&workspace, &["query", "--json", "//:service"]);
    let image = &targets[0]["image"];
    assert_eq!(image["platforms"], serde_json::json!(["linux/arm64", "linux/x86_64"]));
    assert_eq!(
        image["layers"][1],
        serde_json::json!({"write": {"path": "/etc/cpu", "content": {"select": {"linux/amd64": "x86", "default": "arm"}}}})
    );
    assert_eq!(image["cmd"]["sum"][0], serde_json::json!(["/bin/service"]));
}

#[test]
fn an_image_with_a_select_is_held_to_the_platform_it_was_chosen_for() {
    let workspace =
        Workspace::new().file("BUILD.star", "image(name = 'arm', platform = 'linux/arm64', layers = [dir('/arm')])");
    workspace.ok(&["build", "//:arm", "-o", "oci-archive:arm.tar"]);
    workspace.write(
        "BUILD.star",
        "arm = oci_archive('arm.tar')
image(name = 'plain', base = arm)
image(name = 'chosen', base = arm, user = select({'linux/amd64': 'x86', 'default': 'other'}))
image(name = 'copied', platforms = ['linux/amd64'], layers = [copy(':plain', srcs = ['arm'])])",
    );
    workspace.build("//:plain");
    workspace.build("//:copied");
    let error = workspace.fails(2, &["build", "//:chosen"]);
    assert!(error.contains("the image is for linux/amd64, but its base is for linux/arm64"), "{error}");
    workspace.ok(&["build", "//:chosen", "--platform", "linux/arm64"]);
}

#[test]
fn an_image_that_others_ask_for_on_several_platforms_names_them() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'base', layers = [write('/cpu', select({'linux/arm64': 'arm', 'default': 'x86'}))])
image(name = 'a', platform = 'linux/amd64', base = ':base')
image(name = 'b', platform = 'linux/arm64', base = ':base')",
    );
    workspace.ok(&["build", "//:a", "//:b"]);
    let explained = workspace.ok(&["explain", "//:a", "//:b"]);
    assert_eq!(
        explained.lines().collect::<Vec<_>>(),
        [
            "//:base (linux/amd64) 1 write /cpu: hit",
            "//:base (linux/amd64) image: hit",
            "//:a image: hit",
            "//:base (linux/arm64) 1 write /cpu: hit",
            "//:base (linux/arm64) image: hit",
            "//:b image: hit",
        ]
    );
}
