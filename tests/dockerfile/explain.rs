//! `explain`, `graph`, `lock` and `update` of a Dockerfile.

use std::fs;

use super::case::{tree, workspace};
use super::corpus::Context;
use crate::registry::server::{Options, Server};
use crate::sandbox;
use crate::workspace::Workspace;

/// The classic service: a base, system packages, the packages of the language, the code. The tools are fake ones.
const CONTEXT: Context = &[("requirements.txt", "flask"), ("app.py", "print(1)"), (".dockerignore", "step\n")];
const TOOLS: &str = "FROM scratch AS tools\nCOPY --from=fake step /bin/sh\n";
const GOOD: &str = "FROM tools\nWORKDIR /app\nRUN apt-get update && apt-get install -y --no-install-recommends libpq5 && rm -rf /var/lib/apt/lists/*\n\
    COPY requirements.txt .\nRUN pip install --no-cache-dir -r requirements.txt\nCOPY . .\nUSER 1000:1000\n\
    CMD [\"python3\", \"app.py\"]\n";
const BAD: &str = "FROM tools\nWORKDIR /app\nCOPY . .\nRUN apt-get update\nRUN apt-get install -y libpq5\n\
    RUN pip install -r requirements.txt\nCMD python3 app.py\n";
/// Where the tools are.
const FAKE: &str = "--build-context=fake=fake";

/// The Dockerfile and its context, with the tools beside it.
fn classic(dockerfile: &str) -> Workspace {
    let workspace = workspace(&format!("{TOOLS}{dockerfile}"), CONTEXT);
    fs::create_dir(workspace.path("fake")).unwrap();
    fs::copy(sandbox::program(), workspace.path("fake/step")).unwrap();
    workspace
}

/// What `explain` says of the steps of the last stage that are not there: their lines in the Dockerfile.
fn misses(workspace: &Workspace) -> Vec<String> {
    let text = workspace.ok(&["explain", "-f", "Dockerfile", FAKE, "c"]);
    let misses = text.lines().filter(|line| line.starts_with("//:1 ") && line.contains(": miss: "));
    misses.map(|line| line.split_once(" (Dockerfile:").unwrap().1.split(')').next().unwrap().to_owned()).collect()
}

/// What lint finds, each with its line.
fn findings(workspace: &Workspace) -> Vec<String> {
    let text = workspace.ok(&["lint", "-f", "Dockerfile", FAKE, "c"]);
    let heads = text.lines().filter(|line| line.starts_with("Dockerfile:"));
    heads
        .map(|line| format!("{} {}", line.split(':').nth(1).unwrap(), line.split(['[', ']']).nth(1).unwrap()))
        .collect()
}

#[test]
fn the_classic_service_is_built_checked_and_built_again_as_its_order_implies() {
    if !sandbox::is_allowed() {
        return;
    }
    let (good, bad) = (classic(GOOD), classic(BAD));
    for workspace in [&good, &bad] {
        let found = tree(workspace, &[FAKE]);
        for made in [
            "apt-get-libpq5 0644 0:0 installed",
            "pip-requirements.txt 0644 0:0 installed",
            "app/app.py 0644 0:0 print(1)",
        ] {
            assert!(found.iter().any(|line| line == made), "{made}\n{found:#?}");
        }
        assert_eq!(misses(workspace), [""; 0]);
    }

    assert_eq!(findings(&good), [""; 0]);
    let advice = bad.ok(&["lint", "-f", "Dockerfile", FAKE, "c"]);
    let expected = [
        "3 RootUser",
        "5 CopyBeforeInstall",
        "5 CopyBeforeInstall",
        "6 AptUpdateAlone",
        "7 AptInstallRecommends",
        "9 JSONArgsRecommended",
    ];
    assert_eq!(findings(&bad), expected, "{advice}");
    for help in [
        "copy only requirements.txt before it, and the rest behind it",
        "move the RUN up: it needs none of these files",
        "join it with the `install` that needs it",
    ] {
        assert!(advice.contains(help), "{help}\n{advice}");
    }

    good.write("c/app.py", "print(2)");
    // `COPY . .`, and the image, which is where its stage begins.
    assert_eq!(misses(&good), ["8", "3"]);
    good.write("c/app.py", "print(1)");
    good.write("c/requirements.txt", "flask==3");
    assert_eq!(misses(&good), ["6", "7", "8", "3"]);
    bad.write("c/app.py", "print(2)");
    assert_eq!(misses(&bad), ["5", "6", "7", "8", "3"]);
}

#[test]
fn a_run_is_called_as_it_is_written() {
    let dockerfile = "FROM scratch\nCOPY a /\nRUN make \\\n    all\nRUN [\"make\", \"it\"]\nrun <<E\n#!/bin/sh\nset -e\nmake\nE\n\
        RUN <<E cat > /x\nonly\nE\nRUN --mount=type=tmpfs,target=/scratch make what takes many words to say\n";
    let text = workspace(dockerfile, &[("a", "A")]).ok(&["explain", "-f", "Dockerfile", "c"]);
    let titles = [
        "2 RUN make all [not hermetic] (Dockerfile:3)",
        "3 RUN [\"make\", \"it\"] [not hermetic] (Dockerfile:5)",
        "4 RUN <<E (set -e...) [not hermetic] (Dockerfile:6)",
        "5 RUN <<E cat > /x (only) [not hermetic] (Dockerfile:11)",
        "6 RUN --mount=type=tmpfs,target=/scratch make what takes many … [not hermetic] (Dockerfile:14)",
    ];
    for title in titles {
        assert!(text.contains(&format!("//:0 {title}: ")), "{title}\n{text}");
    }
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
