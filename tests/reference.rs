//! The command-line reference is what `--help` says.

use std::fs;
use std::process::Command;

const COMMANDS: [&str; 31] = [
    "build",
    "lock",
    "update",
    "explain",
    "graph",
    "query",
    "shell",
    "schema",
    "images",
    "inspect",
    "history",
    "diff",
    "tag",
    "rmi",
    "pull",
    "push",
    "tags",
    "referrers",
    "copy",
    "save",
    "load",
    "import",
    "export",
    "index",
    "rebase",
    "prune",
    "df",
    "doctor",
    "login",
    "logout",
    "completions",
];

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ocify")).args(arguments).arg("--help").env("COLUMNS", "100").output();
    let output = output.unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn the_reference_is_what_help_says() {
    let mut page = String::from(
        "# Command line\n\nExit codes: 0 done, 1 a build or a verification failed, 2 the command line \
        or the spec is wrong. stdout is data, stderr is for people.\n",
    );
    page.push_str(&format!("\n```text\n{}```\n", help(&[])));
    for command in COMMANDS {
        page.push_str(&format!("\n## ocify {command}\n\n```text\n{}```\n", help(&[command])));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/cli.md");
    if std::env::var_os("OCIFY_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/reference/cli.md is not what --help says; OCIFY_BLESS=1 cargo test writes it anew"
    );
}

#[test]
fn every_command_shows_an_example_and_is_in_the_reference() {
    let listed = help(&[]);
    let commands = listed.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that does not fit goes on in a line that is indented further.
    let named = commands.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let commands: Vec<&str> = named.filter_map(|line| line.split_whitespace().next()).collect();
    let known: Vec<&str> = COMMANDS.into_iter().chain(["help"]).collect();
    assert_eq!(commands, known);
    for command in COMMANDS {
        assert!(help(&[command]).contains("Example"), "`ocify {command} --help` shows no example");
    }
}
