//! What RUN reaches: the network by default, nothing in a hermetic build.

use std::fs;
use std::net::TcpListener;

use super::case::workspace;
use crate::sandbox;
use crate::workspace::Workspace;

fn with_program(dockerfile: &str) -> Workspace {
    let workspace = workspace(dockerfile, &[]);
    fs::copy(sandbox::program(), workspace.path("c/step")).unwrap();
    workspace
}

const BASE: &str = "FROM scratch\nCOPY step /bin/step\nSHELL [\"/bin/step\"]\n";

#[test]
fn commands_have_the_network_unless_the_build_is_hermetic() {
    if !sandbox::is_allowed() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!("[\"step\", \"connect\", \"127.0.0.1\", \"{port}\", \";\", \"say\", \"done\"]");
    let refused = "connect 127.0.0.1: Connection refused";
    for (flag, reaches) in
        [("", true), ("--network=default ", true), ("--network=host ", true), ("--network=none ", false)]
    {
        let built = with_program(&format!("{BASE}RUN {flag}{connect}\n"));
        let run = built.run(&["build", "-f", "Dockerfile", "c"]);
        assert!(run.code == 0 && run.stderr.contains("done"), "{flag}: {}", run.stderr);
        assert_eq!(run.stderr.contains(refused), !reaches, "{flag}: {}", run.stderr);
        assert_eq!(run.stderr.contains("[not hermetic]"), reaches, "{flag}: {}", run.stderr);
        let hermetic = built.run(&["build", "-f", "Dockerfile", "--hermetic", "c"]);
        match flag {
            "--network=default " | "--network=host " => {
                let error = &hermetic.stderr;
                assert!(
                    hermetic.code == 2 && error.contains("wants the network") && error.contains("Dockerfile:4"),
                    "{error}"
                );
            }
            _ => assert!(hermetic.code == 0 && !hermetic.stderr.contains("[not hermetic]"), "{}", hermetic.stderr),
        }
    }
    let set = with_program(&format!("{BASE}RUN {connect}\n"));
    set.write("c/ocify.toml", "hermetic = true\n");
    let run = set.run(&["build", "-f", "Dockerfile", "c"]);
    assert!(run.code == 0 && run.stderr.contains(refused), "{}", run.stderr);
}

#[test]
fn hosts_of_the_command_line_are_found_and_are_in_the_key() {
    if !sandbox::is_allowed() {
        return;
    }
    let workspace = with_program(&format!("{BASE}RUN [\"step\", \"cat\", \"/etc/hosts\"]\n"));
    let build = |options: &[&str]| {
        let run = workspace.run(&[&["build", "-f", "Dockerfile"], options, &["c"]].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stderr
    };
    let wrote = build(&["--add-host", "db:10.0.0.5", "--add-host=v6=[::1]"]);
    assert!(wrote.contains("10.0.0.5\tdb\n::1\tv6\n"), "{wrote}");
    assert!(build(&["--add-host", "db=10.0.0.5", "--add-host", "v6:::1"]).contains("(cached)"));
    let other = build(&["--add-host", "db:10.0.0.6"]);
    assert!(other.contains("hosts changed from") && other.contains("10.0.0.6\tdb"), "{other}");
    let alone = build(&["--hermetic", "--add-host", "db:10.0.0.6"]);
    assert!(alone.contains("10.0.0.6\tdb") && !alone.contains("not hermetic"), "{alone}");
    let error = workspace.fails(2, &["build", "-f", "Dockerfile", "--add-host", "db", "c"]);
    assert!(error.contains("NAME:ADDRESS"), "{error}");
}

#[test]
fn proxies_reach_commands_but_neither_key_nor_image() {
    if !sandbox::is_allowed() {
        return;
    }
    let workspace = with_program(&format!(
        "{BASE}RUN [\"step\", \"env\"]\nARG no_proxy\nRUN [\"step\", \"env\", \";\", \"say\", \"2\"]\n"
    ));
    let build = |proxy: &str, options: &[&str]| {
        let proxy = format!("HTTP_PROXY=http://user:{proxy}@proxy:3128");
        let arguments = ["build", "-f", "Dockerfile", "--build-arg", &proxy, "-o", "oci:out"];
        let run = workspace.run(&[&arguments[..], options, &["c"]].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        run
    };
    let canary = "c4n4ry";
    let first = build(canary, &["--record", "record.json"]);
    assert!(first.stderr.contains(&format!("\nHTTP_PROXY=http://user:{canary}@proxy:3128\n")), "{}", first.stderr);
    assert!(first.stderr.contains(&format!("\nhttp_proxy=http://user:{canary}@proxy:3128\n")), "{}", first.stderr);
    let again = build("another", &[]);
    assert_eq!(again.stdout, first.stdout);
    assert!(!again.stderr.contains("another") && again.stderr.contains("(cached)"), "{}", again.stderr);
    let hermetic = build(canary, &["--hermetic"]);
    assert!(hermetic.stderr.contains("PATH=") && !hermetic.stderr.contains(canary), "{}", hermetic.stderr);
    let declared = build(canary, &["--build-arg", "no_proxy=local"]);
    assert!(
        declared.stderr.contains("\nno_proxy=local\n") && declared.stderr.contains("env.no_proxy"),
        "{}",
        declared.stderr
    );
    let failing = "FROM scratch\nCOPY step /bin/\nARG A\nRUN [\"step\", \"exit\", \"3\"]\n";
    workspace.write("Failing", failing);
    let proxy = format!("https_proxy=http://user:{canary}@proxy:3128");
    let words = format!("A={}", "many words ".repeat(20));
    let failed = workspace.run(&["build", "-f", "Failing", "--build-arg", &proxy, "--build-arg", &words, "c"]);
    let line = format!("\n        ocify shell --arg '{words}' -f Failing --target 0 c@2\n");
    assert!(failed.code == 1 && failed.stderr.contains(&line), "the line can be copied\n{}", failed.stderr);
    assert!(!failed.stderr.contains(canary), "{}", failed.stderr);
    for place in [workspace.path("record.json"), workspace.path("out"), workspace.store(), workspace.path("ocify.lock")]
    {
        let found = std::process::Command::new("grep").arg("-rlaF").arg(canary).arg(&place).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{place:?}");
    }
}
