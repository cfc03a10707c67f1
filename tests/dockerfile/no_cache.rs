//! `--no-cache`, `--no-cache-filter`, `--quiet`, and files that say what was built.

use std::fs;

use serde_json::Value;

use super::case::workspace;
use super::corpus::Context;
use crate::sandbox;
use crate::workspace::{Workspace, digest};

const CONTEXT: Context = &[("a", "A"), ("b", "B")];
const DOCKERFILE: &str = "FROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY b /\nCOPY --from=one a /\n";

/// The titles of steps that the build made anew.
#[track_caller]
fn anew(workspace: &Workspace, flags: &[&str]) -> Vec<String> {
    let run = workspace.run(&[&["build", "-f", "Dockerfile"], flags, &["c"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let lines = run.stderr.lines().filter_map(|line| line.strip_suffix(" (made anew)"));
    let mut titles: Vec<String> = lines.map(|line| line.split_once("] ").unwrap().1.to_owned()).collect();
    titles.sort();
    titles
}

#[test]
fn a_stage_with_names_is_listed_under_these_only() {
    let workspace = workspace("FROM scratch AS base\nCOPY a /\nFROM base\nLABEL b=c\n", &[("a", "A")]);
    let names = || workspace.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    workspace.ok(&["build", "-f", "Dockerfile", "-t", "shop/web:1", "-t", "shop/web:2", "c"]);
    assert_eq!(names(), "shop/web:1\nshop/web:2\n");
    workspace.ok(&["build", "-f", "Dockerfile", "c"]);
    assert_eq!(names(), "1:latest\nshop/web:1\nshop/web:2\n");
}

#[test]
fn steps_are_made_anew_and_give_the_same() {
    let workspace = workspace(DOCKERFILE, CONTEXT);
    let first = workspace.ok(&["build", "-f", "Dockerfile", "c"]);
    assert_eq!(anew(&workspace, &[]), [""; 0]);
    assert_eq!(anew(&workspace, &["--no-cache"]), ["COPY --from=one a /", "COPY a /", "COPY b /"]);
    assert_eq!(anew(&workspace, &["--no-cache-filter", "one"]), ["COPY a /"]);
    assert_eq!(anew(&workspace, &["--no-cache-filter", "TWO,one"]), ["COPY --from=one a /", "COPY a /", "COPY b /"]);
    assert_eq!(workspace.ok(&["build", "-f", "Dockerfile", "--no-cache", "c"]), first);
    let error = workspace.fails(2, &["build", "-f", "Dockerfile", "--no-cache-filter", "tow", "c"]);
    assert!(error.contains("no stage `tow` is built") && error.contains("did you mean `two`?"), "{error}");

    let spec = Workspace::new().file("BUILD.star", "image(name = 'x', layers = [write('/f', 'text')])");
    let first = spec.build("//:x");
    let again = spec.run(&["build", "//:x", "--no-cache"]);
    assert!(again.stdout.contains(&first) && again.stderr.contains("write /f (made anew)"), "{}", again.stderr);
}

#[test]
fn a_command_that_gives_something_else_each_time_is_warned_of_and_replaced() {
    if !sandbox::is_allowed() {
        return;
    }
    let workspace = workspace("FROM scratch\nCOPY step /bin/step\nRUN [\"step\", \"noise\", \"/r\"]\n", &[]);
    fs::copy(sandbox::program(), workspace.path("c/step")).unwrap();
    let build = ["build", "-f", "Dockerfile", "c"];
    let first = workspace.ok(&build);
    assert_eq!(workspace.ok(&build), first);
    let anew = workspace.run(&[&build[..], &["--no-cache"]].concat());
    assert_ne!(anew.stdout, first);
    assert!(anew.stderr.contains("\"noise\", \"/r\"]` does not give the same each time"), "{}", anew.stderr);
    assert!(anew.stderr.contains("COPY step /bin/step (made anew)"), "{}", anew.stderr);
    assert_eq!(workspace.ok(&build), anew.stdout);
}

#[test]
fn what_was_built_is_said_in_files_and_on_stdout() {
    let workspace = workspace(DOCKERFILE, CONTEXT);
    let (id, metadata) = (workspace.path("id"), workspace.path("metadata.json"));
    let (id, metadata) = (id.to_str().unwrap(), metadata.to_str().unwrap());
    let whole = workspace.ok(&["build", "-f", "Dockerfile", "-t", "built:1", "c"]);
    let quiet = workspace.run(&["build", "-f", "Dockerfile", "-q", "--iidfile", id, "--metadata-file", metadata, "c"]);
    assert_eq!((quiet.stdout.trim_end(), quiet.stderr.as_str()), (digest(&whole).as_str(), ""));
    let id = fs::read_to_string(id).unwrap();
    assert_eq!(workspace.ok(&["images", "built:1", "--quiet", "--no-trunc"]).trim(), id);
    let metadata: Value = serde_json::from_slice(&fs::read(metadata).unwrap()).unwrap();
    assert_eq!(metadata["//:two"]["containerimage.digest"], quiet.stdout.trim_end());

    let both = ["build", "-f", "Dockerfile", "--platform", "linux/amd64,linux/arm64", "-q", "--iidfile", "../id", "."];
    let run = workspace.command(&both).current_dir(workspace.path("c")).output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    fs::copy(workspace.path("Dockerfile"), workspace.path("c/Dockerfile")).unwrap();
    let run = workspace.command(&both).current_dir(workspace.path("c")).output().unwrap();
    assert_eq!(fs::read_to_string(workspace.path("id")).unwrap(), String::from_utf8(run.stdout).unwrap().trim_end());
}
