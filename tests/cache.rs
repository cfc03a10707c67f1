//! The action cache: each input of a layer's key is a miss that names it, each exclusion a hit.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::workspace::Workspace;

const SPEC: &str = "image(name = 'x', layers = [
    files(srcs = ['src'], dest = '/app', owner = '1:2'),
    symlink('/link', 'app'),
])";

/// What is changed between two builds.
type Change = Box<dyn Fn(&Workspace)>;

fn built() -> Workspace {
    let workspace = Workspace::new().file("BUILD.star", SPEC).file("src/a", "a").file("src/b", "b");
    workspace.build("//:x");
    workspace
}

/// What the build says of the step whose title begins with `title`.
#[track_caller]
fn said(workspace: &Workspace, title: &str) -> String {
    let run = workspace.run(&["build", "//:x"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let line = run.stderr.lines().find(|line| line.contains(title));
    line.unwrap_or_else(|| panic!("no step {title:?} in {}", run.stderr)).split_once(title).unwrap().1.trim().to_owned()
}

#[test]
fn each_input_of_the_key_is_a_miss_that_names_it() {
    let rename = |workspace: &Workspace| fs::rename(workspace.path("src/b"), workspace.path("src/c")).unwrap();
    let spec = |from: &'static str, to: &'static str| {
        move |workspace: &Workspace| workspace.write("BUILD.star", SPEC.replace(from, to))
    };
    let change: Vec<(&str, Change, &str)> = vec![
        ("files /app", Box::new(|w| w.write("src/a", "A")), "(content of /app/src/a changed)"),
        ("files /app", Box::new(|w| w.write("src/new", "n")), "(/app/src/new is new)"),
        ("files /app", Box::new(|w| fs::remove_file(w.path("src/b")).unwrap()), "(/app/src/b is gone)"),
        ("files /app", Box::new(rename), "(/app/src/b is gone, and 1 more)"),
        (
            "files /app",
            Box::new(|w| fs::set_permissions(w.path("src/a"), fs::Permissions::from_mode(0o755)).unwrap()),
            "(mode of /app/src/a changed)",
        ),
        ("files /app", Box::new(spec("'1:2'", "'1:3'")), "(owner of /app/src changed, and 2 more)"),
        ("files /app", Box::new(|w| w.write("ocify.toml", "epoch = 5")), "(time of /app changed, and 3 more)"),
        ("symlink /link", Box::new(spec("'app'", "'opt'")), "(content of /link changed)"),
        (
            "files /app",
            Box::new(|w| w.write("ocify.toml", "compression = 'zstd'")),
            "(compression changed from Gzip to Zstd)",
        ),
    ];
    for (title, change, reason) in change {
        let workspace = built();
        change(&workspace);
        assert_eq!(said(&workspace, title), reason);
        assert_eq!(said(&workspace, title), "(cached)", "after {reason}");
    }
}

#[test]
fn what_is_not_in_the_key_is_a_hit() {
    let spec = |to: &'static str| move |workspace: &Workspace| workspace.write("BUILD.star", to);
    let change: Vec<(&str, Change)> = vec![
        ("nothing", Box::new(|_| ())),
        (
            "times of the checkout",
            Box::new(|w| {
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(12_345);
                fs::File::open(w.path("src/a")).unwrap().set_modified(time).unwrap();
            }),
        ),
        (
            "modes of the checkout",
            Box::new(|w| fs::set_permissions(w.path("src/a"), fs::Permissions::from_mode(0o600)).unwrap()),
        ),
        (
            "another spec for the same layer",
            Box::new(spec(
                "# A remark.
image(name = 'x', labels = {'a': 'b'}, layers = [
    files(srcs = {'/app/src': 'src'}, dest = '/app', owner = '1:2'),
    symlink('/link', 'app'),
])",
            )),
        ),
        (
            "files written anew with the same content",
            Box::new(|w| {
                fs::remove_file(w.path("src/a")).unwrap();
                w.write("src/a", "a");
            }),
        ),
    ];
    for (what, change) in change {
        let workspace = built();
        change(&workspace);
        assert_eq!(said(&workspace, "files /app"), "(cached)", "{what}");
    }
}

#[test]
fn a_step_that_was_never_built_says_so() {
    let workspace = Workspace::new().file("BUILD.star", "image(name = 'x', layers = [write('/a', 'a')])");
    assert_eq!(said(&workspace, "write /a"), "(not built before)");
}

#[test]
fn two_targets_with_the_same_layer_share_it() {
    let workspace = built();
    workspace.write(
        "BUILD.star",
        format!("{SPEC}\nimage(name = 'y', layers = [files(srcs = ['src'], dest = '/app', owner = '1:2')])"),
    );
    let run = workspace.run(&["build", "//:y"]);
    assert!(run.stderr.contains("files /app (cached)"), "{}", run.stderr);
}

#[test]
fn a_result_that_is_gone_or_damaged_is_made_again() {
    let workspace = built();
    let digest = workspace.build("//:x");
    let blobs = workspace.store().join("blobs/sha256");
    for entry in fs::read_dir(&blobs).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(said(&workspace, "files /app"), "(its result is no longer in the store)");
    assert_eq!(workspace.build("//:x"), digest);

    for entry in fs::read_dir(workspace.store().join("actions")).unwrap() {
        let path = entry.unwrap().path();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "not a record").unwrap();
    }
    assert_eq!(said(&workspace, "files /app"), "(not built before)");
    assert_eq!(workspace.build("//:x"), digest);
}

#[test]
fn explain_names_the_changed_file_old_and_new_and_builds_nothing() {
    let workspace = built();
    assert_eq!(workspace.ok(&["explain", "//:x"]), "//:x 1 files /app: hit\n//:x 2 symlink /link: hit\n");
    workspace.write("src/a", "longer");
    workspace.write("src/new", "");
    let digest = |text: &str| ocify::digest::Digest::of(text.as_bytes());
    let expected = format!(
        "//:x 1 files /app: miss: content of /app/src/a changed, and 1 more
  ~ /app/src/a
    content: file of 1 bytes, {} -> file of 6 bytes, {}
  + /app/src/new
//:x 2 symlink /link: hit
",
        digest("a"),
        digest("longer")
    );
    for _ in 0..2 {
        assert_eq!(workspace.ok(&["explain", "//:x"]), expected, "explaining changes nothing");
    }
    let json = workspace.ok(&["explain", "//:x", "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["miss"]["changes"][1]["path"], "/app/src/new");
    assert_eq!(first["miss"]["changes"][1]["change"], "added");
    assert_eq!(first["target"], "//:x");
}
