//! The history of an image has each instruction.

use serde_json::Value;

use super::case::workspace;
use super::corpus::Context;
use crate::registry::server::{Options, Server};
use crate::sandbox;
use crate::workspace::Workspace;

/// The entries of the image `built:1`: the instruction, with `-` before it where it made no layer.
fn history(workspace: &Workspace, options: &[&str]) -> Vec<String> {
    workspace.ok(&[&["build", "-f", "Dockerfile", "-t", "built:1"], options, &["c"]].concat());
    let config: Value = serde_json::from_str(&workspace.ok(&["inspect", "built:1", "--config"])).unwrap();
    let entry = |entry: &Value| {
        assert_eq!(entry["created"], "1970-01-01T00:00:00Z");
        let dash = if entry["empty_layer"] == true { "-" } else { "" };
        format!("{dash}{}", entry["created_by"].as_str().unwrap())
    };
    config["history"].as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn each_instruction_has_an_entry_in_the_words_of_buildkit() {
    let context: Context = &[("a", "A")];
    let dockerfile = "ARG outside=1\nFROM scratch AS build\nARG v=1 w outside\nENV a=$v b=\"x y\"\nLABEL c=$a\n\
        WORKDIR /w\nWORKDIR sub\nWORKDIR /\nCOPY --chmod=600 a  /$a\nSHELL [\"/bin/bash\", \"-c\"]\nCMD echo \"hi\"\n\
        ENTRYPOINT [\"/a\", \"$b\"]\nEXPOSE 90 80/udp\nUSER 5\nVOLUME /data /more\nSTOPSIGNAL SIGINT\n\
        HEALTHCHECK --interval=5s CMD true\nMAINTAINER me\nONBUILD RUN x\nFROM build\nCMD [\"z\"]\n";
    let expected = [
        "-ARG v=2 w outside=1",
        "-ENV a=2 b=x y",
        "-LABEL c=2",
        "WORKDIR /w",
        "WORKDIR /w/sub",
        "-WORKDIR /",
        "COPY --chmod=600 a  /$a",
        "-SHELL [/bin/bash -c]",
        "-CMD [\"/bin/bash\" \"-c\" \"echo \\\"hi\\\"\"]",
        "-ENTRYPOINT [\"/a\" \"$b\"]",
        "-EXPOSE [80/udp 90/tcp]",
        "-USER 5",
        "-VOLUME [/data /more]",
        "-STOPSIGNAL SIGINT",
        "-HEALTHCHECK CMD true",
        "-MAINTAINER me",
    ];
    assert_eq!(history(&workspace(dockerfile, context), &["--build-arg", "v=2", "--target", "build"]), expected);
    // The trigger would need a shell.
    let dockerfile = dockerfile.replace("ONBUILD RUN x", "ONBUILD LABEL d=e");
    let both = history(&workspace(&dockerfile, context), &["--build-arg", "v=2"]);
    assert_eq!(both, [&expected.map(str::to_owned)[..], &["-LABEL d=e".into(), "-CMD [\"z\"]".into()]].concat());
}

#[test]
fn a_command_has_its_shell_and_the_arguments_that_it_sees() {
    if !sandbox::is_allowed() {
        return;
    }
    let dockerfile =
        "FROM scratch\nCOPY step /bin/step\nARG a=1 none\nSHELL [\"/bin/step\"]\nRUN [\"step\", \"mkdir\", \"/x\"]\n";
    let workspace = workspace(dockerfile, &[]);
    std::fs::copy(sandbox::program(), workspace.path("c/step")).unwrap();
    assert_eq!(history(&workspace, &[])[3], "RUN |1 a=1 step mkdir /x");
}

#[test]
fn the_history_of_a_base_is_kept() {
    let server = Server::start(Options::default());
    let name = format!("{}/shop/base:1", server.host());
    let base = workspace("FROM scratch\nENV a=b\nCOPY a /\n", &[("a", "A")]);
    base.ok(&["build", "-f", "Dockerfile", "-t", &name, "--push", "c"]);
    let app = workspace(&format!("FROM {name}\nLABEL c=d\nCOPY a /b\n"), &[("a", "A")]);
    assert_eq!(history(&app, &[]), ["-ENV a=b", "COPY a /", "-LABEL c=d", "COPY a /b"]);
}
