//! Bases by name, and the lock that says which images these are.

mod registry;

use std::fs;

use crate::workspace::Workspace;

const BASE: &str = "image(name = 'base', layers = [write('/a', 'a')], env = {'A': '1'})\n";
const WEB: &str = "image(name = 'web', base = 'registry.example.com/base:1', layers = [write('/b', 'b')])\n";

/// A lock with one image for linux/amd64.
fn lock(reference: &str, digest: &str) -> String {
    format!(
        "version = 1\n[[image]]\nreference = \"{reference}\"\ndigest = \"{digest}\"\n[image.platforms]\n\
         \"linux/amd64\" = \"{digest}\"\n"
    )
}

/// A workspace whose store has the image that the lock pins.
fn pinned() -> Workspace {
    let workspace = Workspace::new().file("BUILD.star", format!("{BASE}{WEB}"));
    let base = workspace.build("//:base");
    workspace.file("ocify.lock", lock("registry.example.com/base:1", &base))
}

#[test]
fn a_base_that_is_not_pinned_is_shown_with_the_command_that_pins_it() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'base')
image(
    name = 'web',
    base = 'base',
    layers = [copy(image = 'busybox:1.36', srcs = ['/bin/busybox'])],
)
image(name = 'other', base = oci('busybox:1.36'))",
    );
    let error = workspace.fails(2, &["build", "//..."]);
    assert!(error.contains("the image `docker.io/library/base:latest` is not pinned"), "{error}");
    assert!(error.contains("BUILD.star:4") && error.contains("BUILD.star:7"), "each at its place: {error}");
    assert!(error.contains("run `ocify lock`, which pins it; for the target, write `:base`"), "{error}");
    assert_eq!(error.matches("busybox:1.36` is not pinned").count(), 1, "each name once: {error}");
    assert!(!workspace.path("ocify.lock").exists());
}

#[test]
fn a_platform_that_is_not_pinned_is_shown_with_those_that_are() {
    let workspace = pinned();
    let error = workspace.fails(2, &["build", "//:web", "--platform", "linux/s390x"]);
    assert!(error.contains("`registry.example.com/base:1` is not pinned for linux/s390x"), "{error}");
    assert!(error.contains("is pinned for linux/amd64") && error.contains("BUILD.star:2"), "{error}");
}

#[test]
fn a_pinned_base_that_the_store_has_is_built_on_without_network() {
    let workspace = pinned();
    assert_eq!(workspace.tree("//:web"), ["a 0644 0:0 a", "b 0644 0:0 b"]);
    let config = workspace.ok(&["inspect", "//:web", "--config"]);
    assert!(config.contains(r#""Env":["A=1"]"#), "{config}");
    let again = workspace.run(&["build", "//:web"]);
    assert!(again.stderr.contains("import registry.example.com/base:1") && again.stderr.contains("(cached)"));
}

#[test]
fn where_a_base_came_from_is_not_in_its_key_and_which_it_is_is() {
    let workspace = pinned();
    let digest = workspace.build("//:web");
    let lock_text = fs::read_to_string(workspace.path("ocify.lock")).unwrap();
    workspace.write("ocify.lock", lock_text.replace("example.com", "example.org"));
    workspace.write("BUILD.star", format!("{BASE}{}", WEB.replace("example.com", "example.org")));
    let run = workspace.run(&["build", "//:web"]);
    // The base is not imported again, its layers are taken as they are; the name is in the image's annotations.
    assert!(run.stderr.contains("import registry.example.org/base:1 (cached)"), "{}", run.stderr);
    assert!(run.stderr.contains("image //:web (base_name changed"), "{}", run.stderr);
    assert_ne!(crate::workspace::digest(&run.stdout), digest);
    let annotations = workspace.ok(&["inspect", "//:web", "--raw"]);
    assert!(
        annotations.contains(r#""org.opencontainers.image.base.name":"registry.example.org/base:1""#),
        "{annotations}"
    );

    let web = WEB.replace("example.com", "example.org");
    workspace.write("BUILD.star", format!("{}{web}", BASE.replace("'1'", "'2'")));
    let moved = workspace.build("//:base");
    workspace.write("ocify.lock", lock("registry.example.org/base:1", &moved));
    let run = workspace.run(&["build", "//:web"]);
    assert!(
        run.stderr.contains("import registry.example.org/base:1") && run.stderr.contains("(digest changed"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_name_with_a_digest_needs_no_lock() {
    let workspace = Workspace::new().file("BUILD.star", BASE);
    let base = workspace.build("//:base");
    workspace.write("BUILD.star", format!("image(name = 'web', base = 'registry.example.com/base@{base}')"));
    workspace.build("//:web");
    assert!(!workspace.path("ocify.lock").exists());
}

#[test]
fn a_lock_that_cannot_be_read_is_shown_at_its_place() {
    let workspace = pinned();
    let text = fs::read_to_string(workspace.path("ocify.lock")).unwrap();
    workspace.write("ocify.lock", text.replace("[[image]]", "<<<<<<< HEAD\n[[image]]"));
    let error = workspace.fails(2, &["build", "//:web"]);
    assert!(error.contains("the lock has a merge conflict") && error.contains("ocify.lock:2"), "{error}");
    workspace.write("ocify.lock", [0xff]);
    assert!(workspace.fails(2, &["build", "//:web"]).contains("`ocify.lock` is not UTF-8 text"));
    workspace.write("ocify.lock", vec![b'#'; 2 << 20]);
    assert!(workspace.fails(2, &["build", "//:web"]).contains("`ocify.lock` is larger than"));
}

#[test]
fn every_branch_of_a_select_is_pinned() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'web', base = select({'linux/amd64': 'registry.example.com/a:1', 'linux/arm64': 'registry.example.com/b:1'}),
    layers = [copy(select({'linux/s390x': oci('registry.example.com/c:1'), 'default': scratch()}), srcs = [])])
image(name = 'two', platforms = ['linux/arm64', 'linux/riscv64'], base = select({'linux/riscv64': 'registry.example.com/d:1', 'default': 'scratch'}))",
    );
    let error = workspace.fails(1, &["lock", "--check"]);
    for name in ["a:1", "b:1", "d:1"] {
        assert!(error.contains(&format!("+ registry.example.com/{name}")), "{error}");
    }
    let pins = ["a", "b", "d"].map(|name| {
        let pin = lock(&format!("registry.example.com/{name}:1"), &format!("sha256:{}", "0".repeat(64)));
        pin.replace("version = 1\n", "")
    });
    workspace.write("ocify.lock", format!("version = 1\n{}", pins.concat()));
    assert_eq!(workspace.ok(&["lock", "--check"]), "", "none of them is dropped");
}
