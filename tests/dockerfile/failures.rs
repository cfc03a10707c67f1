//! What is wrong with a Dockerfile, where, and what to do.

use super::case::workspace;
use super::corpus::Context;

#[test]
fn errors_say_what_where_and_what_to_do() {
    let context: Context =
        &[("a", "A"), ("d/b", "B"), ("ignored", "I"), (".dockerignore", "ignored\n"), ("out", "-> /etc")];
    for (dockerfile, expected) in [
        ("", &["there is no FROM", "FROM scratch"][..]),
        (
            "COPPY a b\nFROM scratch\nENVV x",
            &["unknown instruction `COPPY`", "did you mean COPY?", "`ENVV`", "Dockerfile:1"],
        ),
        ("RUN x\nFROM scratch", &["RUN before the first FROM", "Dockerfile:1"]),
        (
            "FROM scratch\nCOPY --chwon=1 a /",
            &["COPY has no flag `--chwon`", "did you mean `--chown`?", "Dockerfile:2"],
        ),
        ("FROM scratch\nCOPY nosuch /", &["`nosuch` is not in the build context", "Dockerfile:2"]),
        ("FROM scratch\nCOPY ignored /", &["`ignored` is not in the build context", "the .dockerignore leaves it out"]),
        ("FROM scratch\nCOPY a /x\nCOPY d /x", &["a directory cannot be copied onto the file `/x`", "Dockerfile:3"]),
        ("FROM scratch\nCOPY a /x\nCOPY a /x/y/z", &["`/x/y/z` cannot be a destination", "`/x`, which is a file"]),
        ("FROM scratch\nCOPY d /b/a\nCOPY a /b/", &["a file cannot be copied onto the directory `/b/a`"]),
        (
            "FROM scratch AS first\nCOPY --from=later /a /\nFROM scratch AS later\nCOPY --from=first / /",
            &["the stage `later` does not come before this one"],
        ),
        ("FROM scratch\nCOPY --from=1 /a /", &["there is no stage 1 before this one"]),
        ("FROM scratch\nARG s=x\nCOPY --from=$s /a /", &["`from` takes no variables"]),
        ("FROM scratch AS one\nFROM scratch\nCOPY --from=one /a /", &["`/a` is not in the image that is copied from"]),
        ("FROM scratch\nCOPY --chown=app a /", &["`app` is not in the image's /etc/passwd"]),
        ("FROM scratch\nCOPY --chmod=9 a /", &["Dockerfile:2", "octal"]),
        ("FROM scratch\nCOPY --parents --exclude=a a /x/", &["excluded and named at the same time"]),
        ("FROM scratch\nCOPY [a /x/", &["`[a` is malformed"]),
        ("FROM scratch\nENV a=${b:?give-it}", &["b: give-it", "--build-arg"]),
        ("FROM scratch\nENV a=${b", &["not closed"]),
        ("FROM $nothing", &["the name of the image is empty"]),
        ("FROM scratch AS 1x", &["`1x` is not a name for a stage"]),
        ("FROM Not/An:Image", &["Dockerfile:1"]),
        ("FROM scratch\nEXPOSE 80/http", &["`80/http` is not a port"]),
        ("FROM scratch\nSTOPSIGNAL 0", &["`0` is not a signal"]),
        ("FROM scratch\nHEALTHCHECK --interval=5 CMD x", &["`5` is not a time"]),
        ("FROM scratch\nCOPY <<E /x\nno end", &["the heredoc `E` has no end", "Dockerfile:2"]),
        (
            "FROM scratch\nRUN --mount=type=cahce,target=/x true",
            &["no mount of type `cahce`", "did you mean `cache`?", "Dockerfile:2"],
        ),
        ("FROM scratch\nRUN --mount=type=cache,taget=/x true", &["no option `taget`", "did you mean `target`?"]),
        ("FROM scratch\nRUN --mount=type=bind,size=1,target=/x true", &["`size` is no option of a bind mount"]),
        ("FROM scratch\nRUN --mount=target=/x,rw=maybe true", &["`maybe` cannot be the `readwrite`"]),
        ("FROM scratch\nRUN --mount=type=bind,target=/ true", &["nothing can be mounted on the root", "Dockerfile:2"]),
        ("FROM scratch\nRUN --mount=type=tmpfs true", &["nothing can be mounted on the root"]),
        ("FROM scratch\nARG s=a\nRUN --mount=from=$s,target=/x true", &["`from` takes no variables"]),
        (
            "FROM scratch\nRUN --mount=from=late,target=/x true\nFROM scratch AS late\nCOPY --from=0 / /",
            &["does not come before"],
        ),
        ("FROM scratch\nRUN --mount=type=cache,target=/x,sharing=loked true", &["did you mean `locked`?"]),
        ("FROM scratch\nRUN --mount=type=secret true", &["a secret needs a name"]),
        ("FROM scratch\nRUN --network=lan true", &["`lan` is not a network", "Dockerfile:2", "`none`"]),
        ("FROM scratch\nRUN --network true", &["`--network` needs a value", "Dockerfile:2"]),
        ("FROM scratch\nRUN --security=insecure true", &["`--security` of RUN", "Dockerfile:2"]),
        ("FROM scratch\nRUN --device=x true", &["`--device` of RUN", "Dockerfile:2"]),
        ("FROM scratch\nUSER nosuch\nRUN true", &["`nosuch` is not in the image's /etc/passwd", "Dockerfile:2"]),
        ("FROM scratch\nUSER no such\nRUN true", &["neither a number below 2^32 nor the name", "Dockerfile:2"]),
        ("# escape=x\nFROM scratch", &["`x` cannot be the escape character"]),
    ] {
        let workspace = workspace(dockerfile, context);
        let error = workspace.fails(2, &["build", "-f", "Dockerfile", "c"]);
        for part in expected {
            assert!(error.contains(part), "{dockerfile}\n{part}\n{error}");
        }
    }
}

#[test]
fn the_command_line_is_checked() {
    let workspace = workspace("FROM scratch AS build\nARG a\n", &[]);
    let fails = |arguments: &[&str], part: &str| {
        let error = workspace.fails(2, arguments);
        assert!(error.contains(part), "{arguments:?} {part}\n{error}");
    };
    fails(&["build", "-f", "nosuch", "c"], "`nosuch` cannot be read");
    fails(&["build", "-f", "Dockerfile", "c", "d"], "one context, not 2");
    fails(&["build", "-f", "Dockerfile", "--target", "biuld", "c"], "did you mean `build`?");
    fails(&["build", "-f", "Dockerfile", "--build-arg", "SOURCE_DATE_EPOCH=now", "c"], "no SOURCE_DATE_EPOCH");
    fails(&["build", "--target", "x"], "--file");
    let run = workspace.run(&["build", "-f", "Dockerfile", "--build-arg", "b=1", "c"]);
    assert!(run.code == 0 && run.stderr.contains("the Dockerfile has no ARG `b`"), "{}", run.stderr);
}
