//! `ocify lint` on the command line.

use std::fs;

use ocify::lint;

use crate::dockerfile::case::workspace;
use crate::specs::check_file;

const BAD: &str = "FROM scratch AS base\nADD a /\nrun [\"x\"]\nCMD a\n";

#[test]
fn the_reference_is_up_to_date() {
    check_file("docs/reference/lint.md", &lint::reference());
}

#[test]
fn findings_are_data_and_no_failure() {
    let workspace = workspace(BAD, &[("a", "A")]);
    let run = workspace.run(&["lint", "-f", "Dockerfile", "c"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let expected = "Dockerfile:2:1: warning[AddOfLocalFile]: COPY is enough for files of the context\n    2 | ADD a /\n      | \
        ^^^\n      = fix: write `COPY` (--fix)\n\nDockerfile:3:1: warning[ConsistentInstructionCasing]: `run` is not in \
        capitals, as most instructions here are\n    3 | run [\"x\"]\n      | ^^^\n      = fix: write `RUN` (--fix)\n";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
    assert_eq!(run.stderr, "4 warnings; --fix can mend 2, with --unsafe-fixes 1 more\n");
    let json: serde_json::Value =
        serde_json::from_str(&workspace.ok(&["lint", "-f", "Dockerfile", "--format", "json", "c"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 4);
    let sarif: serde_json::Value =
        serde_json::from_str(&workspace.ok(&["lint", "-f", "Dockerfile", "--format", "sarif", "c"])).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 4);
    let clean = workspace.run(&["lint", "-f", "Dockerfile", "--select", "UndefinedVar", "c"]);
    assert_eq!((clean.stdout.as_str(), clean.stderr.as_str()), ("", "nothing found\n"));
}

#[test]
fn a_build_that_only_checks_finds_the_same_and_builds_nothing() {
    let workspace = workspace(BAD, &[("a", "A")]);
    let lint = workspace.run(&["lint", "-f", "Dockerfile", "--target", "base", "c"]);
    let check = workspace.run(&["build", "--check", "-f", "Dockerfile", "--target", "base", "-t", "shop:1", "c"]);
    assert_eq!((check.code, check.stdout, check.stderr), (0, lint.stdout, lint.stderr));
    assert_ne!(workspace.run(&["inspect", "shop:1"]).code, 0, "an image was built");
    let strict = ["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true", "c"];
    assert_eq!(workspace.run(&[&["build", "--check", "-f", "Dockerfile"], &strict[..]].concat()).code, 1);
    let error = workspace.fails(2, &["build", "--check"]);
    assert!(error.contains("--file"), "{error}");
}

#[test]
fn the_exit_code_says_what_was_denied_and_what_cannot_be_read() {
    let workspace = workspace(BAD, &[("a", "A")]);
    let code = |options: &[&str]| workspace.run(&[&["lint", "-f", "Dockerfile"], options, &["c"]].concat()).code;
    assert_eq!(code(&["--deny", "warnings"]), 1);
    assert_eq!(code(&["-D", "JSONArgsRecommended"]), 1);
    assert_eq!(code(&["-D", "UndefinedVar"]), 0);
    assert_eq!(code(&["-D", "all", "--select", "UndefinedVar"]), 0);
    assert_eq!(code(&["--arg", "BUILDKIT_DOCKERFILE_CHECK=error=true"]), 1);
    assert_eq!(code(&["--arg", "BUILDKIT_DOCKERFILE_CHECK=error=true;skip=all"]), 0);
    let error = workspace.fails(2, &["lint", "-f", "Dockerfile", "--ignore", "JSONArgRecommended", "c"]);
    assert!(error.contains("JSONArgsRecommended"), "{error}");
    workspace.write("Dockerfile", format!("# check=error=true\n{BAD}"));
    assert_eq!(code(&[]), 1);
    workspace.write("Dockerfile", "FROM scratch\nCOPPY a b\n");
    let error = workspace.fails(2, &["lint", "-f", "Dockerfile", "c"]);
    assert!(error.contains("did you mean COPY?"), "{error}");
    let error = workspace.fails(2, &["lint", "-f", "-", "--fix", "c"]);
    assert!(error.contains("stdin"), "{error}");
}

#[test]
fn the_dockerfile_of_a_directory_without_a_spec_is_found() {
    let workspace = workspace(BAD, &[]);
    fs::remove_file(workspace.path("ocify.toml")).unwrap();
    assert!(workspace.ok(&["lint"]).contains("Dockerfile:3:1"));
}

#[test]
fn what_the_dockerfiles_own_ignore_file_says_counts() {
    let workspace = workspace("FROM scratch\nCOPY a /\n", &[("a", "A")]).file("Dockerfile.dockerignore", "a\n");
    assert!(workspace.ok(&["lint", "-f", "Dockerfile", "c"]).contains("CopyIgnoredFile"));
}

#[test]
fn a_base_that_was_built_on_is_known() {
    let server = crate::registry::server::Server::start(crate::registry::server::Options::default());
    let name = format!("{}/shop/base:1", server.host());
    let base = workspace("FROM scratch\nENV A=base\nUSER 5\nCMD [\"a\"]\n", &[]);
    base.ok(&["build", "-f", "Dockerfile", "-t", &name, "--push", "c"]);
    let app = workspace(&format!("FROM {name}\nENV B=$A$UNKNOWN\n"), &[]);
    let lint = ["lint", "-f", "Dockerfile", "c"];
    let before = app.ok(&lint);
    assert!(
        before.contains("UnpinnedBase") && before.contains("RootUser") && !before.contains("UndefinedVar"),
        "{before}"
    );
    app.ok(&["build", "-f", "Dockerfile", "c"]);
    let asked = server.requests().len();
    let after = app.ok(&lint);
    assert!(!after.contains("UnpinnedBase") && !after.contains("RootUser"), "{after}");
    assert!(after.contains("`$UNKNOWN` is not declared") && !after.contains("`$A`"), "{after}");
    assert_eq!(server.requests().len(), asked, "a registry was asked");
}

#[test]
fn rules_explain_themselves() {
    let workspace = workspace(BAD, &[]);
    let all = workspace.ok(&["lint", "--explain"]);
    assert_eq!(all.lines().count(), lint::RULES.len());
    let one = workspace.ok(&["lint", "--explain", "AptUpdateAlone"]);
    assert!(one.starts_with("AptUpdateAlone\n") && one.contains("RUN apt-get update\n"), "{one}");
    assert!(workspace.fails(2, &["lint", "--explain", "AptUpdate"]).contains("there is no rule"));
}
