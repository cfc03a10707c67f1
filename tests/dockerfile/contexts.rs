//! Contexts with a name, in the place of stages and images.

use super::case::{tree, workspace};
use super::corpus::Context;
use crate::registry::server::{Options, Server};
use crate::workspace::Workspace;

const CONTEXT: Context = &[("a", "A")];

/// A Dockerfile with the context [`CONTEXT`], and beside it the directory `other` with what it ignores.
fn with_other(dockerfile: &str) -> Workspace {
    workspace(dockerfile, CONTEXT)
        .file("other/b", "B")
        .file("other/d/c", "C")
        .file("other/ignored", "I")
        .file("other/.dockerignore", "ignored\n.dockerignore\n")
}

#[test]
fn a_directory_is_in_the_place_of_a_stage_an_image_or_nothing() {
    let of_other = ["b 0644 0:0 B", "d/ 0755 0:0", "d/c 0644 0:0 C"];
    for dockerfile in [
        "FROM scratch\nCOPY --from=other / /\n",
        "FROM other\n",
        "FROM scratch AS other\nCOPY nosuch /\nFROM other\n",
        "FROM scratch AS other\nCOPY a /\n",
        "FROM scratch AS other\nCOPY a /\nFROM scratch\nCOPY --from=0 . /\n",
        "FROM scratch AS other\nCOPY a /\nFROM scratch\nCOPY --from=OTHER . /\n",
    ] {
        let workspace = with_other(dockerfile);
        assert_eq!(tree(&workspace, &["--build-context", "other=other"]), of_other, "{dockerfile}");
    }
    let workspace = with_other("FROM alpine:3\nCOPY a /\n");
    let named = ["--build-context", "docker.io/library/alpine:3=other"];
    assert_eq!(tree(&workspace, &named), [&["a 0644 0:0 A"], &of_other[..]].concat());

    let missing = with_other("FROM scratch\nCOPY --from=other ignored /\n");
    let error = missing.fails(2, &["build", "-f", "Dockerfile", "--build-context", "other=other", "c"]);
    assert!(
        error.contains("`ignored` is not in the build context `other`") && error.contains("Dockerfile:2"),
        "{error}"
    );
    assert!(error.contains("the .dockerignore leaves it out"), "{error}");
}

#[test]
fn an_edit_in_a_named_directory_is_seen_and_where_it_lies_is_not() {
    let dockerfile = "FROM scratch\nCOPY --from=other b /\n";
    let build = |workspace: &Workspace, place: &str| {
        workspace.ok(&["build", "-f", "Dockerfile", "--build-context", &format!("other={place}"), "c"])
    };
    let one = with_other(dockerfile);
    let first = build(&one, "other");
    assert_eq!(build(&with_other(dockerfile), "./c/../other/"), first);
    one.write("other/b", "edited");
    let edited = build(&one, "other");
    assert_ne!(edited, first);
    one.write("other/d/c", "edited");
    assert_eq!(build(&one, "other"), edited);
}

#[test]
fn an_image_of_a_layout_is_found_by_tag_or_digest() {
    let base = workspace("FROM scratch\nENV A=base\nCOPY a /\n", CONTEXT);
    let layout = base.path("layout");
    for (tag, content) in [("one", "1"), ("two", "2")] {
        base.write("c/a", content);
        base.ok(&["build", "-f", "Dockerfile", "-t", &format!("shop/base:{tag}"), "c"]);
        base.ok(&["copy", &format!("shop/base:{tag}"), &format!("oci:{}:{tag}", layout.display())]);
    }
    let app = workspace("FROM base\nENV B=$A\nCOPY --from=base a /copy\n", &[]);
    let with = |place: &str| {
        let context = format!("base=oci-layout://{}{place}", layout.display());
        tree(&app, &["--build-context", &context])
    };
    assert_eq!(with(":one"), ["a 0644 0:0 1", "copy 0644 0:0 1"]);
    assert_eq!(with(":two"), ["a 0644 0:0 2", "copy 0644 0:0 2"]);
    let listed = base.ok(&["inspect", "shop/base:one", "--format", "{{.Digest}}"]);
    assert_eq!(with(&format!("@{}", listed.trim())), ["a 0644 0:0 1", "copy 0644 0:0 1"]);
    let several = format!("base=oci-layout://{}", layout.display());
    app.fails(1, &["build", "-f", "Dockerfile", "--build-context", &several, "c"]);
    assert!(!app.path("ocify.lock").exists());
}

#[test]
fn an_image_of_a_registry_in_the_place_of_another_is_pinned() {
    let server = Server::start(Options::default());
    let name = format!("{}/shop/base:1", server.host());
    let base = workspace("FROM scratch\nCOPY a /\n", CONTEXT);
    base.ok(&["build", "-f", "Dockerfile", "-t", &name, "--push", "c"]);
    let app = workspace("FROM alpine AS build\nFROM build\n", &[]);
    let place = format!("alpine=docker-image://{name}");
    assert_eq!(tree(&app, &["--build-context", &place]), ["a 0644 0:0 A"]);
    assert!(std::fs::read_to_string(app.path("ocify.lock")).unwrap().contains(&name));
    assert_eq!(tree(&app, &["--build-context", &place, "--offline", "--locked"]), ["a 0644 0:0 A"]);
}

#[test]
fn what_cannot_be_a_context_is_said() {
    let workspace = with_other("FROM scratch\n");
    for (contexts, code, part) in [
        (&["x=nosuch"][..], 2, "`nosuch` cannot be the context `x`"),
        (&["x=https://example.invalid/x.git"], 2, "it is a directory, `oci-layout://DIR:TAG` or `docker-image://NAME`"),
        (&["x=docker-image://A b"], 2, "A b"),
        (&["x=oci-layout://nosuch:1"], 1, "no image can be read from nosuch:1"),
        (&["x=oci-layout://other"], 1, "no image can be read from other"),
        (&["alpine=other", "docker.io/library/alpine:latest=c"], 2, "two contexts have the name"),
        (&["x"], 2, "it should look like KEY=VALUE"),
    ] {
        let flags: Vec<&str> = contexts.iter().flat_map(|context| ["--build-context", context]).collect();
        let error = workspace.fails(code, &[&["build", "-f", "Dockerfile"], &flags[..], &["c"]].concat());
        assert!(error.contains(part), "{contexts:?} {part}\n{error}");
    }
}
