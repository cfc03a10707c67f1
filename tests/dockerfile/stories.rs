//! Dockerfiles as people have them: cached, reproducible, with commands.

use std::fs;

use super::case::{config, tree, workspace};
use super::corpus::Context;
use crate::registry::server::{Options, Server};
use crate::sandbox;
use crate::workspace::digest;

const CONTEXT: Context = &[("package.json", "{}"), ("src/a.js", "a"), ("src/b.js", "b"), (".dockerignore", ".git\n")];
const DOCKERFILE: &str = "FROM scratch AS deps\nWORKDIR /app\nCOPY package*.json ./\n\
    FROM deps\nCOPY src/ src/\nUSER 1000:1000\nEXPOSE 3000\nCMD [\"node\", \"src/a.js\"]\n";

#[test]
fn a_build_is_the_same_everywhere_and_does_again_what_an_edit_needs() {
    let one = workspace(DOCKERFILE, CONTEXT);
    let two = workspace(DOCKERFILE, CONTEXT);
    let build = ["build", "-f", "Dockerfile", "c"];
    let first = one.ok(&build);
    assert_eq!(digest(&two.ok(&build)), digest(&first));
    fs::create_dir(one.path("c/.git")).unwrap();
    one.write("c/.git/HEAD", "ref");
    let again = one.run(&build);
    assert_eq!(again.stdout, first);
    assert!(!again.stderr.contains("not built before"), "{}", again.stderr);
    one.write("c/src/a.js", "changed");
    let edited = one.run(&build);
    assert_ne!(edited.stdout, first);
    let layers: Vec<&str> =
        edited.stderr.lines().filter(|line| line.contains("COPY") || line.contains("WORKDIR")).collect();
    assert!(layers.iter().any(|line| line.contains("COPY src/ src/") && line.contains("src/a.js")), "{layers:?}");
    assert!(!layers.iter().any(|line| line.contains("package") && line.contains("changed")), "{layers:?}");
}

#[test]
fn the_history_has_the_instructions() {
    let workspace = workspace(DOCKERFILE, CONTEXT);
    config(&workspace, &[]);
    let history = workspace.ok(&["history", "built:1", "--no-trunc"]);
    assert!(history.contains("COPY src/ src/") && history.contains("WORKDIR /app"), "{history}");
}

#[test]
fn commands_run_with_the_environment_of_their_stage() {
    if !sandbox::is_allowed() {
        return;
    }
    let workspace = workspace(
        "FROM scratch\nCOPY step /bin/step\nARG greeting=hello\nENV who=world\nWORKDIR /w\n\
         SHELL [\"/bin/step\"]\nRUN [\"step\", \"write\", \"out\", \"x\"]\nCOPY a /w/\n",
        &[("a", "A")],
    );
    fs::copy(sandbox::program(), workspace.path("c/step")).unwrap();
    let found = tree(&workspace, &[]);
    assert!(found.iter().any(|line| line.starts_with("w/out ")), "{found:?}");
    assert!(found.iter().any(|line| line == "w/a 0644 0:0 A"), "{found:?}");
}

#[test]
fn commands_run_as_the_user_of_their_stage() {
    if !sandbox::is_allowed() {
        return;
    }
    let workspace = workspace(
        "FROM scratch AS base\nCOPY step /bin/step\nCOPY passwd /etc/\nUSER app\n\
         FROM base\nWORKDIR /w\nRUN [\"step\", \"write\", \"name\", \"x\"]\n\
         USER 7:9\nWORKDIR /n\nRUN [\"step\", \"write\", \"number\", \"x\", \";\", \"write\", \"/w/refused\", \"x\"]\n\
         USER nosuch\nUSER root\nRUN [\"step\", \"write\", \"root\", \"x\"]\n",
        &[("passwd", "app:x:1000:50::/home/app:/bin/sh\n")],
    );
    fs::copy(sandbox::program(), workspace.path("c/step")).unwrap();
    let found = tree(&workspace, &[]);
    let made: Vec<&String> = found.iter().filter(|line| line.starts_with("w/") || line.starts_with("n/")).collect();
    assert_eq!(
        made,
        ["n/ 0755 7:9", "n/number 0644 7:9 x", "n/root 0644 0:0 x", "w/ 0755 1000:50", "w/name 0644 1000:50 x"]
    );
}

#[test]
fn an_onbuild_that_copies_from_a_stage_has_it_built() {
    let server = Server::start(Options::default());
    let name = format!("{}/shop/base:1", server.host());
    let base = workspace("FROM scratch\nONBUILD COPY --from=assets /a /onbuild\n", &[]);
    base.ok(&["build", "-f", "Dockerfile", "-t", &name, "--push", "c"]);
    let assets = "FROM scratch AS assets\nCOPY a /\nFROM scratch AS unneeded\nCOPY nosuch /\n";
    for below in [name.as_str(), "stage"] {
        let stage = "FROM scratch AS stage\nONBUILD COPY --from=assets /a /onbuild\n";
        let app = workspace(&format!("{assets}{stage}FROM {below}\nLABEL a=b\n"), &[("a", "A")]);
        assert_eq!(tree(&app, &[]), ["onbuild 0644 0:0 A"], "{below}");
    }
}

#[test]
fn a_base_of_a_registry_is_pinned_and_its_config_counts() {
    let server = Server::start(Options::default());
    let name = format!("{}/shop/base:1", server.host());
    let base = workspace("FROM scratch\nENV A=base\nWORKDIR /srv\nUSER 5\nONBUILD COPY a .\nONBUILD ENV C=on$A\n", &[]);
    base.ok(&["build", "-f", "Dockerfile", "-t", &name, "--push", "c"]);

    let app = workspace(&format!("FROM {name}\nENV B=$A$C\nWORKDIR sub\nCOPY a .\n"), &[("a", "A")]);
    let error = app.fails(1, &["build", "-f", "Dockerfile", "--locked", "c"]);
    assert!(error.contains("ocify.lock would have to change"), "{error}");
    let expected = ["srv/ 0755 0:0", "srv/a 0644 0:0 A", "srv/sub/ 0755 5:5", "srv/sub/a 0644 0:0 A"];
    assert_eq!(tree(&app, &[]), expected);
    let built = config(&app, &[]);
    let env: Vec<&str> = built["Env"].as_array().unwrap().iter().filter_map(|text| text.as_str()).collect();
    assert_eq!(env[1..], ["A=base", "C=onbase", "B=baseonbase"]);
    assert_eq!((&built["User"], &built["WorkingDir"]), (&"5".into(), &"/srv/sub".into()));
    let lock = fs::read_to_string(app.path("ocify.lock")).unwrap();
    assert!(lock.contains(&name), "{lock}");

    let asked = server.requests().len();
    assert_eq!(tree(&app, &["--offline", "--locked"]), expected);
    assert_eq!(server.requests().len(), asked);
    let error = app.fails(2, &["build", "-f", "Dockerfile", "--platform", "linux/arm64", "c"]);
    assert!(error.contains("is not for linux/arm64") && error.contains("Dockerfile:1"), "{error}");
}
