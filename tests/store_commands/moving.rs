//! `copy`, `save`, `load` and `index`: images from one place to another.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use ocify::digest::Digest;
use serde_json::{Value, json};

use crate::store_commands::{digest_of, shop};
use crate::workspace::{Run, Workspace};

#[test]
fn a_whole_index_goes_through_layouts_and_archives_unchanged() {
    let workspace = shop();
    let both = digest_of(&workspace, "both");
    workspace.ok(&["copy", "both", "oci:layout:a/both:1"]);
    workspace.ok(&["copy", "oci:layout:a/both:1", "oci-archive:both.tar:x"]);
    workspace.ok(&["copy", "oci-archive:both.tar", "oci:second"]);
    let other = Workspace::new();
    let second = format!("oci:{}", workspace.path("second").display());
    other.ok(&["copy", &second, "store:copy"]);
    assert_eq!(digest_of(&other, "copy:latest"), both);
    other.ok(&["inspect", "copy", "--check"]);
    other.ok(&["copy", "copy", "docker-archive:arm.tar:arm:1", "--platform", "linux/arm64"]);
    other.ok(&["copy", "docker-archive:arm.tar:arm:1", "back"]);
    let id = |workspace: &Workspace, arguments: &[&str]| {
        workspace.ok(&[&["inspect", "--format", "{{.Id}}"], arguments].concat())
    };
    assert_eq!(id(&other, &["back"]), id(&workspace, &["both", "--platform", "linux/arm64"]));
}

#[test]
fn what_is_asked_of_a_place_has_to_be_there() {
    let workspace = shop();
    workspace.ok(&["copy", "web", "oci:layout:web:1"]);
    workspace.ok(&["copy", "other", "oci:layout:other:1"]);
    for (source, problem) in [
        ("oci:layout", "web:1, other:1"),
        ("oci:layout:none", "no image `none`"),
        ("oci:nowhere", "not an OCI image layout"),
        ("oci-archive:nowhere.tar", "No such file"),
        ("docker-archive:BUILD.star", "cannot be read as an archive"),
    ] {
        let error = workspace.fails(1, &["copy", source, "x"]);
        assert!(error.contains(problem), "{source}: {error}");
    }
    assert!(workspace.fails(2, &["copy", "none", "x"]).contains("has no image `none`"));
    assert!(workspace.fails(2, &["copy", "web", "//:label"]).contains("is a label"));
    assert!(workspace.fails(2, &["copy", "both", "docker-archive:x.tar"]).contains("--platform"));
    assert!(!workspace.path("x.tar").exists());
    assert!(workspace.fails(2, &["copy", "oci:", "x"]).contains("path is missing"));
    workspace.fails(2, &["inspect", "x"]);
}

#[test]
fn several_images_are_saved_and_loaded_with_their_names() {
    let workspace = shop();
    let images = ["example.com/shop/web:1.4", "nginx", "web"];
    for format in ["docker-archive", "oci-archive", "oci-dir"] {
        let file = workspace.path(format).display().to_string();
        workspace.ok(&[&["save", "--format", format, "-o", &file], &images[..]].concat());
        let other = Workspace::new();
        let loaded = other.ok(&["load", "-i", &file]);
        let lines: Vec<&str> = loaded.lines().collect();
        assert_eq!(lines.len(), 3, "{loaded}");
        assert!(lines.contains(&"Loaded image: example.com/shop/web:1.4"), "{loaded}");
        let ids = |workspace: &Workspace, name: &str| workspace.ok(&["inspect", name, "--format", "{{.Id}}"]);
        for name in images {
            assert_eq!(ids(&other, name), ids(&workspace, name), "{format} {name}");
            other.ok(&["inspect", name, "--check"]);
        }
        if format != "docker-archive" {
            assert_eq!(digest_of(&other, "web"), digest_of(&workspace, "web"));
        }
    }
    assert!(workspace.fails(2, &["save", "-o", "x.tar", "both"]).contains("--platform"));
    workspace.ok(&["save", "-o", "arm.tar", "both", "--platform", "linux/arm64"]);
}

#[test]
fn archives_go_through_pipes() {
    let workspace = shop();
    for format in ["docker-archive", "oci-archive"] {
        let saved = workspace.command(&["save", "--format", format, "web"]).output().unwrap();
        assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
        workspace.ok(&["save", "--format", format, "-o", "file.tar", "web"]);
        assert!(fs::read(workspace.path("file.tar")).unwrap() == saved.stdout, "{format}");

        let other = Workspace::new();
        let run = feed(&other, &["load", "--quiet"], &saved.stdout);
        assert_eq!((run.code, run.stdout.as_str()), (0, "web:latest\n"), "{}", run.stderr);
    }
    assert!(feed(&workspace, &["load"], b"no archive").stderr.contains("standard input"));
}

fn feed(workspace: &Workspace, arguments: &[&str], bytes: &[u8]) -> Run {
    let mut command = workspace.command(arguments);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    // A command that fails early does not read all.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    Run::from(child.wait_with_output().unwrap())
}

#[test]
fn an_image_without_a_name_is_kept_and_found_by_its_digest() {
    let workspace = shop();
    let web = digest_of(&workspace, "web");
    workspace.ok(&["save", "--format", "oci-archive", "-o", "web.tar", &web]);
    let other = Workspace::new();
    let archive = workspace.path("web.tar").display().to_string();
    assert_eq!(other.ok(&["load", "-i", &archive]), format!("Loaded image ID: {web}\n"));
    other.ok(&["prune"]);
    assert_eq!(
        other.ok(&["images", "--filter", "dangling=true", "--format", "{{.Repository}} {{.Digest}}"]),
        format!("<none> {web}\n")
    );
    other.ok(&["inspect", &web[7..13], "--check"]);
    other.ok(&["tag", &web[7..13], "web"]);
    assert_eq!(other.ok(&["images", "-q", "--filter", "dangling=true"]), "");
    other.ok(&["load", "-i", &archive]);
    assert_eq!(other.ok(&["images", "-q"]).lines().count(), 1, "it has a name already");
    let mut removed = other.ok(&["rmi", "web"]);
    other.ok(&["load", "-i", &archive]);
    removed.push_str(&other.ok(&["rmi", &web[7..13]]));
    assert_eq!(removed.matches(&format!("Deleted: {web}")).count(), 2, "{removed}");
}

#[test]
fn names_and_entries_of_a_layout_are_not_trusted() {
    let workspace = shop();
    workspace.ok(&["copy", "web", "oci:layout:good"]);
    let path = workspace.path("layout/index.json");
    let good: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let entry = |change: &dyn Fn(&mut Value)| {
        let mut index = good.clone();
        change(&mut index["manifests"][0]);
        fs::write(&path, index.to_string()).unwrap();
        let other = Workspace::new();
        let run = other.run(&["load", "-i", &workspace.path("layout").display().to_string()]);
        (run, other)
    };
    for strange in ["//:web", "\u{1b}[31mred", "a b", "../x", ""] {
        let (run, other) = entry(&|entry| {
            *entry.pointer_mut("/annotations").unwrap() = json!({"org.opencontainers.image.ref.name": strange})
        });
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stderr.contains("cannot be the name") && !run.stderr.contains('\u{1b}'), "{}", run.stderr);
        assert_eq!(other.ok(&["images", "--format", "{{.Name}}"]), "<none>\n");
    }
    let digest = Digest::of(b"nobody").to_string();
    for (why, change) in [
        ("another size", json!({"size": 3})),
        ("a missing blob", json!({"digest": digest})),
        ("no digest", json!({"digest": "sha256:../../x"})),
        ("another type", json!({"mediaType": "application/vnd.oci.image.index.v1+json"})),
        ("urls", json!({"urls": ["https://example.com/x"]})),
        ("data", json!({"data": "YQ=="})),
    ] {
        let (run, other) = entry(&|entry| {
            for (key, value) in change.as_object().unwrap() {
                entry[key] = value.clone();
            }
        });
        assert_eq!(run.code, 1, "{why}: {}", run.stderr);
        assert_eq!(other.ok(&["images", "-q"]), "", "{why}");
    }
}

#[test]
fn a_layout_with_too_many_indexes_or_too_deep_ones_is_refused() {
    let workspace = shop();
    workspace.ok(&["copy", "both", "oci:layout:x"]);
    let path = workspace.path("layout/index.json");
    let top: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let put = |index: &Value| {
        let bytes = index.to_string();
        let digest = Digest::of(bytes.as_bytes()).hex();
        fs::write(workspace.path(&format!("layout/blobs/sha256/{digest}")), &bytes).unwrap();
        json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let above = |entries: Vec<Value>| json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries});
    let mut deep = top["manifests"][0].clone();
    for _ in 0..4 {
        deep = put(&above(vec![deep]));
    }
    let wide = put(&above(vec![top["manifests"][0].clone(); 600]));
    for (entry, problem) in [(deep, "nested in more than"), (wide, "manifests and indexes")] {
        fs::write(&path, above(vec![entry]).to_string()).unwrap();
        let error = workspace.fails(1, &["copy", "oci:layout", "x"]);
        // The report breaks lines.
        let words: Vec<&str> = error.split_whitespace().filter(|word| *word != "│").collect();
        assert!(words.join(" ").contains(problem), "{error}");
    }
}

#[test]
fn an_index_is_put_together_from_images() {
    let workspace = shop();
    let made = workspace.ok(&["index", "create", "example.com/all", "web", "arm", "--annotation", "k=v"]);
    let all = digest_of(&workspace, "example.com/all:latest");
    assert_eq!(made, format!("example.com/all {all}\n"));
    let index: Value = serde_json::from_str(&workspace.ok(&["inspect", "example.com/all", "--raw"])).unwrap();
    assert_eq!(index["annotations"]["k"], "v");
    assert_eq!(index["manifests"][1]["platform"]["architecture"], "arm64");
    workspace.ok(&["index", "create", "plain", "web", "arm"]);
    assert_eq!(digest_of(&workspace, "plain"), digest_of(&workspace, "both"), "as a build makes it");
    let error = workspace.fails(2, &["index", "create", "x", "both", "other"]);
    assert!(error.contains("linux/amd64"), "{error}");
    workspace.fails(2, &["inspect", "x"]);
}
