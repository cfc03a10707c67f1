//! What of a Dockerfile is in the image's config.

use serde_json::{Value, json};

use super::case::{config, workspace};
use super::corpus::{BESIDE_SETTINGS, SETTINGS};

#[test]
fn the_settings_of_the_corpus() {
    let mut wrong = Vec::new();
    for (dockerfile, key, expected) in SETTINGS.concat() {
        let found = config(&workspace(dockerfile, BESIDE_SETTINGS), &[]);
        let expected: Value = serde_json::from_str(expected).unwrap();
        if found[key] != expected {
            wrong.push(format!("{dockerfile}\n{key}: expected {expected}, found {}", found[key]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn arguments_and_labels_of_the_command_line() {
    let workspace = workspace("ARG v=1\nFROM scratch\nARG v\nARG w=2\nENV a=$v$w\nLABEL l=dockerfile m=$v", &[]);
    let found = config(&workspace, &["--build-arg", "v=7", "--arg", "w=8", "--label", "l=command"]);
    assert_eq!(found["Env"][1], "a=78");
    assert_eq!(found["Labels"], json!({ "l": "command", "m": "7" }));
}
