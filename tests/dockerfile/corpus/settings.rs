//! What of a Dockerfile is in the image's config.

use super::Setting;

pub const COMMANDS: &[Setting] = &[
    ("FROM scratch\nCMD echo $A", "Cmd", r#"["/bin/sh", "-c", "echo $A"]"#),
    ("FROM scratch\nCMD [\"a\", \"$b\"]", "Cmd", r#"["a", "$b"]"#),
    ("FROM scratch\nCMD [\"a\"] b", "Cmd", r#"["/bin/sh", "-c", "[\"a\"] b"]"#),
    ("FROM scratch\nCMD a\nCMD []", "Cmd", "null"),
    ("FROM scratch\nCMD a\nCMD b", "Cmd", r#"["/bin/sh", "-c", "b"]"#),
    ("FROM scratch\nCMD a \\\n  b", "Cmd", r#"["/bin/sh", "-c", "a   b"]"#),
    ("FROM scratch\nENTRYPOINT a b", "Entrypoint", r#"["/bin/sh", "-c", "a b"]"#),
    ("FROM scratch\nENTRYPOINT [\"a\", \"b c\"]", "Entrypoint", r#"["a", "b c"]"#),
    ("FROM scratch\nENTRYPOINT a\nENTRYPOINT [\"b\"]", "Entrypoint", r#"["b"]"#),
    ("FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]\nCMD a", "Cmd", r#"["/bin/bash", "-c", "a"]"#),
    ("FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]", "Shell", r#"["/bin/bash", "-c"]"#),
    (
        "FROM scratch AS one\nSHELL [\"/bin/bash\", \"-c\"]\nFROM one\nENTRYPOINT a",
        "Entrypoint",
        r#"["/bin/bash", "-c", "a"]"#,
    ),
    ("FROM scratch\nCMD a\nENTRYPOINT [\"e\"]", "Cmd", r#"["/bin/sh", "-c", "a"]"#),
    ("FROM scratch AS one\nCMD [\"a\"]\nFROM one", "Cmd", r#"["a"]"#),
    ("FROM scratch AS one\nCMD [\"a\"]\nFROM one\nENTRYPOINT [\"e\"]", "Cmd", "null"),
    ("FROM scratch AS one\nCMD [\"a\"]\nFROM one\nCMD [\"b\"]\nENTRYPOINT [\"e\"]", "Cmd", r#"["b"]"#),
];

/// Behind `PATH`, which an image on nothing has.
macro_rules! variables {
    ($($variable:literal),*) => {
        concat!(r#"["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin""#, $(", \"", $variable, "\"",)* "]")
    };
}

pub const VARIABLES: &[Setting] = &[
    ("FROM scratch\nENV a=1 b='x y' c=\"q$a\"\nENV d $a", "Env", variables!("a=1", "b=x y", "c=q", "d=1")),
    ("FROM scratch\nENV a=1\nENV b=2\nENV a=3", "Env", variables!("a=3", "b=2")),
    (
        "FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc",
        "Env",
        variables!("abc=bye", "def=hello", "ghi=bye"),
    ),
    ("FROM scratch\nENV a b c  d", "Env", variables!("a=b c  d")),
    ("FROM scratch\nENV a=x\\ y b=\\$a c='$a'", "Env", variables!("a=x y", "b=$a", "c=$a")),
    (
        "FROM scratch\nENV a=\nENV b=${a:-1} c=${a-1} d=${a:+1} e=${a+1}",
        "Env",
        variables!("a=", "b=1", "c=", "d=", "e=1"),
    ),
    ("FROM scratch\nENV a=1\nENV b=${a:+x$a} c=${a:-y}", "Env", variables!("a=1", "b=x1", "c=1")),
    ("FROM scratch\nENV b=$none c=${none:-${other:-z}}", "Env", variables!("b=", "c=z")),
    (
        "FROM scratch\nENV a=foobarbaz\nENV b=${a#f*b} c=${a##f*b} d=${a%b*}",
        "Env",
        variables!("a=foobarbaz", "b=arbaz", "c=az", "d=foobar"),
    ),
    ("FROM scratch\nENV a=a.b.c\nENV b=${a/./-} c=${a//./-}", "Env", variables!("a=a.b.c", "b=a-b.c", "c=a-b-c")),
    ("FROM scratch\nARG a=1\nENV b=$a", "Env", variables!("b=1")),
    ("FROM scratch\nENV a=env\nARG a=arg\nENV b=$a", "Env", variables!("a=env", "b=arg")),
    ("FROM scratch\nARG a=arg\nENV a=env\nENV b=$a", "Env", variables!("a=env", "b=env")),
    ("FROM scratch\nARG a=1\nARG b=${a}2\nENV c=$b", "Env", variables!("c=12")),
    ("ARG a=global\nFROM scratch\nENV b=$a", "Env", variables!("b=")),
    ("ARG a=global\nFROM scratch\nARG a\nENV b=$a", "Env", variables!("b=global")),
    ("ARG a=global\nFROM scratch\nARG a=own\nENV b=$a", "Env", variables!("b=own")),
    ("FROM scratch AS one\nARG a=1\nENV c=3\nFROM one\nENV b=$a$c", "Env", variables!("c=3", "b=13")),
    ("FROM scratch AS one\nENV a=1\nFROM scratch\nENV b=$a", "Env", variables!("b=")),
    ("FROM scratch\nENV b=$TARGETARCH", "Env", variables!("b=")),
    (
        "FROM scratch\nARG TARGETARCH TARGETPLATFORM\nENV b=$TARGETARCH/$TARGETPLATFORM",
        "Env",
        variables!("b=amd64/linux/amd64"),
    ),
    (
        "FROM scratch\nENV PATH=/x:$PATH",
        "Env",
        r#"["PATH=/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]"#,
    ),
    ("ARG BASE=scratch\nFROM ${BASE}\nENV a=1", "Env", variables!("a=1")),
];

pub const OTHERS: &[Setting] = &[
    ("FROM scratch\nLABEL a=1 \"b c\"=\"d e\"\nLABEL a=2", "Labels", r#"{"a": "2", "b c": "d e"}"#),
    ("FROM scratch\nARG v=1\nLABEL a=\"x $v\" b='x $v'", "Labels", r#"{"a": "x 1", "b": "x $v"}"#),
    ("FROM scratch AS one\nLABEL a=1 b=2\nFROM one\nLABEL b=3", "Labels", r#"{"a": "1", "b": "3"}"#),
    ("FROM scratch\nEXPOSE 80 53/UDP 8080:81", "ExposedPorts", r#"{"80/tcp": {}, "53/udp": {}, "81/tcp": {}}"#),
    ("FROM scratch\nEXPOSE 80\nEXPOSE 80/tcp 90-91", "ExposedPorts", r#"{"80/tcp": {}, "90/tcp": {}, "91/tcp": {}}"#),
    ("FROM scratch\nENV p=80\nEXPOSE $p", "ExposedPorts", r#"{"80/tcp": {}}"#),
    ("FROM scratch\nVOLUME /a /b\nVOLUME [\"/c d\"]", "Volumes", r#"{"/a": {}, "/b": {}, "/c d": {}}"#),
    ("FROM scratch\nENV d=/x\nVOLUME $d/y", "Volumes", r#"{"/x/y": {}}"#),
    ("FROM scratch\nENV u=app\nUSER $u:5", "User", r#""app:5""#),
    ("FROM scratch\nUSER 1\nUSER 2", "User", r#""2""#),
    ("FROM scratch\nWORKDIR /a\nWORKDIR b/../c", "WorkingDir", r#""/a/c""#),
    ("FROM scratch\nWORKDIR a", "WorkingDir", r#""/a""#),
    ("FROM scratch\nENV d=/x\nWORKDIR ${d}/y", "WorkingDir", r#""/x/y""#),
    ("FROM scratch\n", "WorkingDir", r#""/""#),
    ("FROM scratch\nSTOPSIGNAL usr1", "StopSignal", r#""usr1""#),
    ("FROM scratch\nSTOPSIGNAL SIGTERM", "StopSignal", r#""SIGTERM""#),
    ("FROM scratch\nSTOPSIGNAL 9", "StopSignal", r#""9""#),
    ("FROM scratch\nHEALTHCHECK NONE", "Healthcheck", r#"{"Test": ["NONE"]}"#),
    (
        "FROM scratch\nHEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD a b",
        "Healthcheck",
        r#"{"Test": ["CMD-SHELL", "a b"], "Interval": 90000000000, "Timeout": 500000000, "Retries": 3}"#,
    ),
    ("FROM scratch\nHEALTHCHECK CMD [\"a\"]", "Healthcheck", r#"{"Test": ["CMD", "a"]}"#),
    ("FROM scratch\nHEALTHCHECK CMD a\nHEALTHCHECK NONE", "Healthcheck", r#"{"Test": ["NONE"]}"#),
    ("FROM scratch\nONBUILD copy  . \\\n /x\nONBUILD ENV a=1", "OnBuild", r#"["copy  .  /x", "ENV a=1"]"#),
    ("FROM scratch AS one\nONBUILD ENV a=1\nFROM one", "OnBuild", "null"),
    ("FROM scratch AS one\nONBUILD ENV a=1\nFROM one\nENV b=$a", "Env", variables!("a=1", "b=1")),
];
