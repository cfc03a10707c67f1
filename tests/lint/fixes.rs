//! Fixes: what they write, and that the image stays as it was where they say so.

use ocify::lint::fixed;

use super::Linted;
use crate::dockerfile::case::{tree, workspace};

/// The text after all fixes, round by round.
#[track_caller]
fn mended(text: &str, unsafe_too: bool) -> String {
    let mut linted = Linted::new(text).file("a", "x").file("app", "x");
    for _ in 0..10 {
        let (new, count) = fixed(linted.source(), &linted.findings(), unsafe_too);
        if count == 0 {
            return new;
        }
        linted = linted.text(new);
    }
    panic!("fixes of {text} never end");
}

#[test]
fn safe_fixes() {
    for (text, expected) in [
        ("FROM scratch as Build\n", "FROM scratch AS build\n"),
        ("from scratch\ncopy a /\nCOPY a /b\n", "from scratch\ncopy a /\ncopy a /b\n"),
        ("FROM scratch\nCOPY a \\\n\n\n  /\n", "FROM scratch\nCOPY a \\\n  /\n"),
        ("FROM scratch\nENV a b\nLABEL c d  e\n", "FROM scratch\nENV a=b\nLABEL c=\"d  e\"\n"),
        ("FROM --platform=$TARGETPLATFORM scratch AS a\n", "FROM scratch AS a\n"),
        ("FROM scratch\nCMD [\"a\"]\nENV a=b\nCMD [\"b\"]\n", "FROM scratch\nENV a=b\nCMD [\"b\"]\n"),
        ("FROM scratch\nWORKDIR x\n", "FROM scratch\nWORKDIR /x\n"),
        ("FROM scratch\nEXPOSE 80/TCP 127.0.0.1:81:82\n", "FROM scratch\nEXPOSE 80/tcp 82\n"),
        ("FROM scratch\nADD a /\n", "FROM scratch\nCOPY a /\n"),
        (
            "FROM debian:12\nRUN foo && \\\n  apt-get \\\n    install a\n",
            "FROM debian:12\nRUN foo && \\\n  apt-get \\\n    install -y a\n",
        ),
        // These change the image, or cannot be done without knowing more.
        ("FROM scratch\nCMD a b\n", "FROM scratch\nCMD a b\n"),
        ("FROM scratch\nMAINTAINER me\n", "FROM scratch\nMAINTAINER me\n"),
        ("FROM scratch\nENV a \"b\" c\n", "FROM scratch\nENV a \"b\" c\n"),
        ("FROM debian:12\nWORKDIR x\n", "FROM debian:12\nWORKDIR x\n"),
        ("FROM scratch\nENV P=80/TCP\nEXPOSE $P\n", "FROM scratch\nENV P=80/TCP\nEXPOSE $P\n"),
        // A comment asks to leave it.
        ("# ocify: ignore=FromAsCasing\nFROM scratch as a\n", "# ocify: ignore=FromAsCasing\nFROM scratch as a\n"),
    ] {
        assert_eq!(mended(text, false), expected, "{text}");
    }
}

#[test]
fn fixes_that_change_the_image() {
    for (text, expected) in [
        ("FROM scratch\nCMD app --x 'a b'\n", "FROM scratch\nCMD [\"app\", \"--x\", \"a b\"]\n"),
        ("FROM scratch\nCMD a && b\n", "FROM scratch\nCMD a && b\n"),
        ("FROM scratch\nCMD a $B\n", "FROM scratch\nCMD a $B\n"),
        ("FROM scratch\nCMD exec a\n", "FROM scratch\nCMD exec a\n"),
        ("FROM scratch\nMAINTAINER me\n", "FROM scratch\nLABEL org.opencontainers.image.authors=\"me\"\n"),
        ("FROM scratch\nENV abc=1\nCOPY ${abd} /\n", "FROM scratch\nENV abc=1\nCOPY ${abc} /\n"),
        (
            "FROM debian:12\nRUN apt-get update && \\\n  apt-get install a\n",
            "FROM debian:12\nRUN apt-get update && \\\n  apt-get install -y --no-install-recommends a && rm -rf \
             /var/lib/apt/lists/*\n",
        ),
        ("FROM alpine:3\nRUN apk add a\n", "FROM alpine:3\nRUN apk add --no-cache a\n"),
    ] {
        let result = mended(text, true);
        let sorted = |text: &str| {
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            words.sort();
            words
        };
        // The order in which two options come behind one word is of no matter.
        assert_eq!(sorted(&result), sorted(expected), "{text}\n{result}");
    }
}

#[test]
fn what_was_mended_gives_the_same_image() {
    let context = [("a", "A"), ("d/b", "B")];
    let text = "from scratch as Base\nENV a b\nADD a d /x/\nWORKDIR w\n\nFrom Base\nEXPOSE 80/TCP\nCMD [\"a\"]\n\
        COPY a \\\n\n  $a\nHEALTHCHECK NONE\nLABEL k some text\nCMD [\"c\"]\n";
    let one = workspace(text, &context);
    let config = |workspace: &crate::workspace::Workspace| crate::dockerfile::case::config(workspace, &[]);
    let before = (tree(&one, &[]), config(&one));
    let first = one.run(&["lint", "-f", "Dockerfile", "c"]);
    let second = one.run(&["lint", "-f", "Dockerfile", "--fix", "c"]);
    assert_eq!((first.code, second.code), (0, 0), "{}{}", first.stderr, second.stderr);
    assert!(second.stderr.contains("mended "), "{}", second.stderr);
    let count = |run: &crate::workspace::Run| run.stdout.matches("warning[").count();
    assert!(count(&first) >= 10 && count(&second) < 3, "{}\n{}", first.stdout, second.stdout);
    let new = std::fs::read_to_string(one.path("Dockerfile")).unwrap();
    assert!(
        new != text && new.starts_with("FROM scratch AS base\nENV a=b\nCOPY a d /x/\nWORKDIR /w\n\nFROM Base\n"),
        "{new}"
    );
    assert_eq!((tree(&one, &[]), config(&one)), before);
}
