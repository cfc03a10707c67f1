//! What of a Dockerfile is in the image's config.

use serde_json::{Value, json};

use super::case::{config, workspace};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[track_caller]
fn check(dockerfile: &str, key: &str, expected: Value) {
    let found = config(&workspace(dockerfile, &[("a", "A")]), &[]);
    assert_eq!(found[key], expected, "{dockerfile}");
}

#[test]
fn commands() {
    let sh = |text: &str| json!(["/bin/sh", "-c", text]);
    for (dockerfile, key, expected) in [
        ("CMD echo $A", "Cmd", sh("echo $A")),
        ("CMD [\"a\", \"$b\"]", "Cmd", json!(["a", "$b"])),
        ("CMD [\"a\"] b", "Cmd", sh("[\"a\"] b")),
        ("CMD a\nCMD []", "Cmd", Value::Null),
        ("CMD a\nCMD b", "Cmd", sh("b")),
        ("ENTRYPOINT a b", "Entrypoint", sh("a b")),
        ("SHELL [\"/bin/bash\", \"-c\"]\nCMD a", "Cmd", json!(["/bin/bash", "-c", "a"])),
        ("SHELL [\"/bin/bash\", \"-c\"]", "Shell", json!(["/bin/bash", "-c"])),
        ("CMD a\nENTRYPOINT [\"e\"]", "Cmd", sh("a")),
    ] {
        check(&format!("FROM scratch\n{dockerfile}"), key, expected);
    }
    let on_stage = "FROM scratch AS one\nCMD [\"a\"]\nFROM one\nENTRYPOINT [\"e\"]";
    check(on_stage, "Cmd", Value::Null);
    check("FROM scratch AS one\nCMD [\"a\"]\nFROM one\nCMD [\"b\"]\nENTRYPOINT [\"e\"]", "Cmd", json!(["b"]));
}

#[test]
fn environment_and_arguments() {
    let env = |lines: &[&str]| json!([&[PATH], lines].concat());
    for (dockerfile, expected) in [
        ("FROM scratch\nENV a=1 b='x y' c=\"q$a\"\nENV d $a", env(&["a=1", "b=x y", "c=q", "d=1"])),
        ("FROM scratch\nENV a=1\nENV b=2\nENV a=3", env(&["a=3", "b=2"])),
        ("FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc", env(&["abc=bye", "def=hello", "ghi=bye"])),
        ("FROM scratch\nARG a=1\nENV b=$a", env(&["b=1"])),
        ("FROM scratch\nENV a=env\nARG a=arg\nENV b=$a", env(&["a=env", "b=arg"])),
        ("FROM scratch\nARG a=arg\nENV a=env\nENV b=$a", env(&["a=env", "b=env"])),
        ("ARG a=global\nFROM scratch\nENV b=$a", env(&["b="])),
        ("ARG a=global\nFROM scratch\nARG a\nENV b=$a", env(&["b=global"])),
        ("ARG a=global\nFROM scratch\nARG a=own\nENV b=$a", env(&["b=own"])),
        ("FROM scratch AS one\nARG a=1\nENV c=3\nFROM one\nENV b=$a$c", env(&["c=3", "b=13"])),
        ("FROM scratch\nENV b=$TARGETARCH", env(&["b="])),
        (
            "FROM scratch\nARG TARGETARCH TARGETPLATFORM\nENV b=$TARGETARCH/$TARGETPLATFORM",
            env(&["b=amd64/linux/amd64"]),
        ),
        (
            "FROM scratch\nENV PATH=/x:$PATH",
            json!(["PATH=/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]),
        ),
        ("ARG BASE=scratch\nFROM ${BASE}\nENV a=1", env(&["a=1"])),
    ] {
        check(dockerfile, "Env", expected);
    }
    let workspace = workspace("ARG v=1\nFROM scratch\nARG v\nARG w=2\nENV a=$v$w\nLABEL l=dockerfile m=$v", &[]);
    let found = config(&workspace, &["--build-arg", "v=7", "--arg", "w=8", "--label", "l=command"]);
    assert_eq!(found["Env"][1], "a=78");
    assert_eq!(found["Labels"], json!({ "l": "command", "m": "7" }));
}

#[test]
fn everything_else() {
    for (dockerfile, key, expected) in [
        ("LABEL a=1 \"b c\"=\"d e\"\nLABEL a=2", "Labels", json!({ "a": "2", "b c": "d e" })),
        (
            "EXPOSE 80 53/UDP 8080:81 90-91",
            "ExposedPorts",
            json!({ "80/tcp": {}, "53/udp": {}, "81/tcp": {}, "90/tcp": {}, "91/tcp": {} }),
        ),
        ("ENV p=80\nEXPOSE $p", "ExposedPorts", json!({ "80/tcp": {} })),
        ("VOLUME /a /b\nVOLUME [\"/c d\"]", "Volumes", json!({ "/a": {}, "/b": {}, "/c d": {} })),
        ("ENV u=app\nUSER $u:5", "User", json!("app:5")),
        ("WORKDIR /a\nWORKDIR b/../c", "WorkingDir", json!("/a/c")),
        ("ENV d=/x\nWORKDIR ${d}/y", "WorkingDir", json!("/x/y")),
        ("", "WorkingDir", json!("/")),
        ("STOPSIGNAL usr1", "StopSignal", json!("USR1")),
        ("STOPSIGNAL 9", "StopSignal", json!("9")),
        ("HEALTHCHECK NONE", "Healthcheck", json!({ "Test": ["NONE"] })),
        (
            "HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD a b",
            "Healthcheck",
            json!({ "Test": ["CMD-SHELL", "a b"], "Interval": 90_000_000_000u64, "Timeout": 500_000_000, "Retries": 3 }),
        ),
        ("HEALTHCHECK CMD [\"a\"]", "Healthcheck", json!({ "Test": ["CMD", "a"] })),
        ("ONBUILD copy  . \\\n /x\nONBUILD ENV a=1", "OnBuild", json!(["copy  .  /x", "ENV a=1"])),
    ] {
        check(&format!("FROM scratch\n{dockerfile}"), key, expected);
    }
    check("FROM scratch AS one\nONBUILD ENV a=1\nFROM one", "OnBuild", Value::Null);
    check("FROM scratch AS one\nONBUILD ENV a=1\nFROM one\nENV b=$a", "Env", json!([PATH, "a=1", "b=1"]));
}
