//! `explain`, `graph`, `lock` and `update` of a Dockerfile.

use std::fs;

use super::case::workspace;
use super::corpus::Context;
use crate::registry::server::{Options, Server};
use crate::sandbox;
use crate::workspace::Workspace;

/// The classic service: a base, system packages, the packages of the language, the code.
const CONTEXT: Context = &[("requirements.txt", "flask"), ("app.py", "print(1)")];
const GOOD: &str = "FROM scratch\nCOPY --from=tools . /\nWORKDIR /app\nRUN [\"apt-get\", \"mkdir\", \"/usr\"]\n\
    COPY requirements.txt .\nRUN [\"pip\", \"mkdir\", \"/site\"]\nCOPY . .\nCMD [\"python3\", \"app.py\"]\n";
const BAD: &str = "FROM scratch\nCOPY --from=tools . /\nWORKDIR /app\nCOPY . .\nRUN [\"apt-get\", \"mkdir\", \"/usr\"]\n\
    RUN [\"pip\", \"mkdir\", \"/site\"]\nCMD [\"python3\", \"app.py\"]\n";

/// The Dockerfile on an image with fake `apt-get` and `pip`, built once.
fn built(dockerfile: &str) -> Workspace {
    let tools = "FROM scratch AS tools\nCOPY step /bin/apt-get\nCOPY step /bin/pip\n";
    let workspace = workspace(&format!("{tools}{dockerfile}"), CONTEXT);
    fs::copy(sandbox::program(), workspace.path("c/step")).unwrap();
    workspace.ok(&["build", "-f", "Dockerfile", "c"]);
    workspace
}

/// What `explain` says of the steps of the last stage that are not there: their lines in the Dockerfile, counted from its FROM.
fn misses(workspace: &Workspace) -> Vec<String> {
    let text = workspace.ok(&["explain", "-f", "Dockerfile", "c"]);
    let misses = text.lines().filter(|line| line.starts_with("//:1 ") && line.contains(": miss: "));
    misses.map(|line| line.split_once(" (Dockerfile:").unwrap().1.split(')').next().unwrap().to_owned()).collect()
}

#[test]
fn an_edit_runs_again_what_the_order_of_the_instructions_implies() {
    if !sandbox::is_allowed() {
        return;
    }
    let good = built(GOOD);
    assert_eq!(misses(&good), [""; 0]);
    good.write("c/app.py", "print(2)");
    // `COPY . .`, and the image, which is where its stage begins.
    assert_eq!(misses(&good), ["10", "4"]);
    good.write("c/app.py", "print(1)");
    good.write("c/requirements.txt", "flask==3");
    assert_eq!(misses(&good), ["8", "9", "10", "4"]);

    let bad = built(BAD);
    bad.write("c/app.py", "print(2)");
    assert_eq!(misses(&bad), ["7", "8", "9", "4"]);
}

#[test]
fn explain_and_graph_show_the_steps_of_a_dockerfile_with_their_lines() {
    let workspace = workspace("FROM scratch AS app\n\nCOPY a /x/\nLABEL b=c\n", &[("a", "A")]);
    let before = workspace.ok(&["explain", "-f", "Dockerfile", "c"]);
    assert_eq!(
        before,
        "//:app 1 COPY a /x/ (Dockerfile:3): miss: not built before\n\
         //:app image (Dockerfile:1): miss: depends on layer 1\n"
    );
    workspace.ok(&["build", "-f", "Dockerfile", "c"]);
    let after = workspace.ok(&["explain", "-f", "Dockerfile", "c"]);
    assert_eq!(after, "//:app 1 COPY a /x/ (Dockerfile:3): hit\n//:app image (Dockerfile:1): hit\n");
    let labelled = workspace.ok(&["explain", "-f", "Dockerfile", "--label", "b=d", "c"]);
    assert!(
        labelled.contains("image (Dockerfile:1): miss: labels.b changed from c to d")
            && labelled.contains("1 COPY a /x/ (Dockerfile:3): hit"),
        "{labelled}"
    );
    let json = workspace.ok(&["explain", "-f", "Dockerfile", "--json", "c"]);
    assert!(json.lines().next().unwrap().contains("\"place\":\"Dockerfile:3\""), "{json}");
    let graph = workspace.ok(&["graph", "-f", "Dockerfile", "c"]);
    assert!(graph.contains("COPY a /x/"), "{graph}");
}

#[test]
fn lock_and_update_know_the_lock_beside_a_dockerfile() {
    let server = Server::start(Options::default());
    let name = format!("{}/shop/base:1", server.host());
    let base = |content: &str| {
        let base = workspace("FROM scratch\nCOPY a /\n", &[("a", content)]);
        base.ok(&["build", "-f", "Dockerfile", "-t", &name, "--push", "c"]);
    };
    base("one");
    let app = workspace(&format!("FROM {name}\nENV a=b\n"), &[]);
    let error = app.fails(1, &["explain", "-f", "Dockerfile", "c"]);
    assert!(error.contains("ocify.lock would have to change") && error.contains("ocify lock -f"), "{error}");
    app.fails(1, &["lock", "-f", "Dockerfile", "--check", "c"]);
    let printed = app.ok(&["lock", "-f", "Dockerfile", "c"]);
    assert!(printed.starts_with(&format!("+ {name} sha256:")) && printed.ends_with(" linux/amd64\n"), "{printed}");
    assert_eq!(app.ok(&["lock", "-f", "Dockerfile", "--check", "c"]), "");
    let first = app.ok(&["build", "-f", "Dockerfile", "--locked", "c"]);

    base("two");
    assert_eq!(app.ok(&["build", "-f", "Dockerfile", "--locked", "c"]), first);
    let moved = app.ok(&["update", "-f", "Dockerfile"]);
    assert!(moved.contains(&name), "{moved}");
    assert_ne!(app.ok(&["build", "-f", "Dockerfile", "--locked", "c"]), first);
}
