//! Every example builds, has a README that says how, and gives the digests that are committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspaces that hold examples, relative to the repository: its own, and those inside it.
pub const WORKSPACES: [&str; 2] = ["", "examples/toml-only"];

/// The pattern of the examples in a workspace.
pub fn pattern(workspace: &str) -> &'static str {
    if workspace.is_empty() { "//examples/..." } else { "//..." }
}

pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_example_gives_its_committed_digest() {
    let store = tempfile::tempdir().unwrap();
    let mut digests = String::new();
    for workspace in WORKSPACES {
        let output = Command::new(env!("CARGO_BIN_EXE_ocify"))
            .args(["build", pattern(workspace)])
            .current_dir(repository().join(workspace))
            .env("OCIFY_STORE", store.path().join("store"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        digests.push_str(&String::from_utf8(output.stdout).unwrap());
    }
    let golden = repository().join("tests/golden/examples.txt");
    if std::env::var_os("OCIFY_BLESS").is_some() {
        fs::write(&golden, &digests).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(
        digests, expected,
        "an example's digest moved; if its files did not change, encoding v1 did, and must not"
    );
}

#[test]
fn every_example_has_a_readme_whose_commands_exist() {
    for entry in fs::read_dir(repository().join("examples")).unwrap() {
        let directory = entry.unwrap().path();
        let readme = fs::read_to_string(directory.join("README.md")).unwrap();
        let commands: Vec<&str> = readme.lines().filter(|line| line.starts_with("ocify ")).collect();
        assert!(!commands.is_empty(), "{} shows no command", directory.display());
        let nested = directory.join("ocify.toml").exists();
        let root = if nested { directory.clone() } else { repository() };
        for command in commands {
            run_in_scratch(&root, command);
        }
    }
}

/// Runs a README's command against the workspace, with outputs going to a scratch directory.
fn run_in_scratch(root: &Path, command: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let rebased = |word: &str| match word.split_once(':') {
        Some((kind @ ("oci" | "oci-archive" | "docker-archive" | "dir" | "tar"), path)) => {
            format!("{kind}:{}", scratch.path().join(path).display())
        }
        _ => word.to_owned(),
    };
    let words: Vec<String> = command.split_whitespace().skip(1).map(rebased).collect();
    let run = |words: &[String]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ocify"))
            .args(words)
            .current_dir(root)
            .env("OCIFY_STORE", scratch.path().join("store"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}:\n{}", String::from_utf8_lossy(&output.stderr));
    };
    // What a README inspects it has built before.
    if words[0] == "inspect" {
        run(&["build".to_owned(), words[1].clone()]);
    }
    run(&words);
}
