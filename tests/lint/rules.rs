//! The rules of `docker build --check`, each with Dockerfiles that break it and that do not.

use ocify::lint::{Origin, RULES};
use ocify::oci::Reference;
use ocify::source::{ImagePin, Lock};
use serde_json::json;

use super::{Linted, table};

#[test]
fn the_examples_of_the_reference_are_what_they_say() {
    for rule in RULES.iter().filter(|rule| !rule.bad.is_empty()) {
        let check = if rule.origin == Origin::Experimental { "experimental=all" } else { "" };
        let found = |text: &str| {
            let linted = Linted::new(text).file("requirements.txt", "x").file("app.py", "").file("src.tar", "x");
            let linted = if check.is_empty() { linted } else { linted.check(check) };
            linted.findings().iter().any(|finding| finding.rule.name == rule.name)
        };
        assert!(found(rule.bad), "{} is not found in\n{}", rule.name, rule.bad);
        assert!(!found(rule.good), "{} is found in\n{}", rule.name, rule.good);
    }
}

#[test]
fn every_rule_of_buildkit_is_there() {
    let names: Vec<&str> = RULES.iter().filter(|rule| rule.origin != Origin::Ocify).map(|rule| rule.name).collect();
    let expected = "ConsistentInstructionCasing CopyIgnoredFile DuplicateStageName ExposeInvalidFormat ExposeProtoCasing \
        FromAsCasing FromPlatformFlagConstDisallowed InvalidBaseImagePlatform InvalidDefaultArgInFrom \
        InvalidDefinitionDescription JSONArgsRecommended LegacyKeyValueFormat MaintainerDeprecated \
        MultipleInstructionsDisallowed NoEmptyContinuation RedundantTargetPlatform ReservedStageName \
        SecretsUsedInArgOrEnv StageNameCasing UndefinedArgInFrom UndefinedVar WorkdirRelativePath";
    assert_eq!(names.join(" "), expected.split_whitespace().collect::<Vec<_>>().join(" "));
}

#[test]
fn keywords() {
    table(&[
        ("FROM scratch\nCOPY a /\nCOPY b /\n", &[]),
        ("from scratch\ncopy a /\ncopy b /\n", &[]),
        ("FROM scratch\ncopy a /\nCOPY b /\n", &["ConsistentInstructionCasing 2"]),
        ("from scratch\nCOPY a /\ncopy b /\n", &["ConsistentInstructionCasing 2"]),
        ("from scratch\nCOPY a /\nCOPY b /\n", &["ConsistentInstructionCasing 1"]),
        // As many of each means capitals.
        ("FROM scratch\ncopy a /\n", &["ConsistentInstructionCasing 2"]),
        ("From scratch AS a\nCOPY b /\n", &["ConsistentInstructionCasing 1"]),
        // What stands before the first FROM is not looked at.
        ("arg A=1\nFROM scratch\n", &[]),
        ("FROM scratch as a\n", &["FromAsCasing 1"]),
        ("from scratch AS a\n", &["FromAsCasing 1"]),
        ("FROM scratch AS a\nFROM a AS b\n", &[]),
        ("FROM scratch \\\n  as a\n", &["FromAsCasing 2"]),
    ]);
}

#[test]
fn names_of_stages() {
    table(&[
        ("FROM scratch AS Build\n", &["StageNameCasing 1"]),
        ("FROM scratch AS build-1\n", &[]),
        ("FROM scratch AS scratch\n", &["ReservedStageName 1"]),
        ("FROM scratch AS context\n", &["ReservedStageName 1"]),
        ("FROM scratch AS a\nFROM scratch AS b\n", &[]),
        ("FROM scratch AS a\nFROM scratch AS b\nFROM scratch AS A\n", &["DuplicateStageName 3", "StageNameCasing 3"]),
    ]);
}

#[test]
fn forms() {
    table(&[
        ("FROM scratch\nCOPY a \\\n\n /b\n", &["NoEmptyContinuation 3"]),
        ("FROM scratch\nCOPY a \\\n# comment\n /b\n", &[]),
        ("FROM scratch\nCOPY <<E /b\n\nE\n", &[]),
        ("FROM scratch\nENV a b\n", &["LegacyKeyValueFormat 2"]),
        ("FROM scratch\nLABEL a b c\n", &["LegacyKeyValueFormat 2"]),
        ("FROM scratch\nENV a=b c=d\nLABEL a=\"b c\"\nARG x\n", &[]),
        ("FROM scratch\nENV a=\\\nb\n", &[]),
        ("FROM scratch\nMAINTAINER me\n", &["MaintainerDeprecated 2"]),
        ("FROM scratch\nLABEL org.opencontainers.image.authors=\"me\"\n", &[]),
    ]);
}

#[test]
fn descriptions_are_checked_where_they_are_asked_for() {
    let text = "# The base.\nFROM scratch AS base\n# VERSION of it\nARG VERSION=1\n\n# other\n\nARG B\n# more\nRUN x\n";
    assert_eq!(Linted::new(text).lines(), Vec::<String>::new());
    for check in ["experimental=all", "experimental=InvalidDefinitionDescription;skip=StageNameCasing"] {
        assert_eq!(Linted::new(text).check(check).lines(), ["InvalidDefinitionDescription 1"]);
    }
    let asked = format!("# check=experimental=all\n{}", "# other\nARG A\nFROM scratch\n");
    assert_eq!(Linted::new(&asked).lines(), ["InvalidDefinitionDescription 2"]);
    assert_eq!(Linted::new("# check=experimental=all\nFROM scratch AS a\n").lines(), Vec::<String>::new());
}

#[test]
fn args_in_from() {
    table(&[
        ("ARG V=1\nFROM debian:$V\n", &[]),
        ("ARG V=1\nFROM debian:$W\n", &["InvalidDefaultArgInFrom 2", "UndefinedArgInFrom 2"]),
        ("FROM debian:${V:-12}\n", &[]),
        ("ARG V\nFROM debian:${V:-12}\n", &[]),
        ("ARG V\nFROM debian:12$V\n", &[]),
        ("ARG V\nFROM debian:$V\n", &["InvalidDefaultArgInFrom 2"]),
        ("ARG BASE\nFROM $BASE\n", &["InvalidDefaultArgInFrom 2"]),
        ("ARG S=scratch\nFROM ${S}\n", &[]),
        ("FROM --platform=$BUILDPLATFORM scratch\n", &[]),
        ("FROM --platform=$BUILDPLATFROM scratch\n", &["UndefinedArgInFrom 1"]),
        ("FROM scratch AS a\nFROM a\n", &[]),
    ]);
    // What the command line gives makes the build work, but nobody else's.
    let given = Linted::new("ARG V\nFROM debian:$V\n").arg("V", "12");
    assert_eq!(given.lines(), ["InvalidDefaultArgInFrom 2"]);
    let found = Linted::new("ARG VERSION=1\nFROM debian:$VERSOIN\n").only("UndefinedArgInFrom");
    assert_eq!(found.help.as_deref(), Some("did you mean `VERSION`?"));
}

#[test]
fn platforms_of_from() {
    table(&[
        ("FROM --platform=$TARGETPLATFORM scratch\n", &["RedundantTargetPlatform 1"]),
        ("FROM --platform=${TARGETPLATFORM} scratch\n", &["RedundantTargetPlatform 1"]),
        ("FROM --platform=linux/arm64 scratch AS b\n", &["FromPlatformFlagConstDisallowed 1"]),
        ("FROM --platform=linux/arm64 scratch AS build-arm64\n", &[]),
        ("FROM --platform=linux/amd64 scratch AS linux\n", &[]),
        ("FROM --platform=linux/$TARGETARCH scratch\n", &[]),
    ]);
}

#[test]
fn platforms_of_bases_that_are_known() {
    let digest = ocify::digest::Digest::of(b"x");
    let pin = |platform: &str| {
        let platforms = [(platform.parse().unwrap(), digest)].into_iter().collect();
        let name: Reference = "docker.io/library/debian:12".parse().unwrap();
        Lock { images: [(name, ImagePin { digest, platforms })].into_iter().collect(), ..Lock::default() }
    };
    let text = "FROM debian:12\n";
    assert_eq!(Linted::new(text).locked(pin("linux/amd64")).lines(), Vec::<String>::new());
    let found = Linted::new(text).locked(pin("linux/arm64")).only("InvalidBaseImagePlatform");
    assert_eq!(found.message, "`debian:12` is for linux/arm64, and linux/amd64 is built");
    // Without a lock, the config of an image that is here says it.
    let found = Linted::new("FROM --platform=linux/arm64 debian:12 AS arm64\n").base(json!({}));
    assert_eq!(found.lines(), ["InvalidBaseImagePlatform 1"]);
    assert_eq!(Linted::new(text).base(json!({})).lines(), Vec::<String>::new());
}

#[test]
fn variables() {
    table(&[
        ("FROM scratch\nARG a\nCOPY $a /\n", &[]),
        ("FROM scratch\nENV a=1\nCOPY ${a} /\n", &[]),
        ("FROM scratch\nCOPY $a /\n", &["UndefinedVar 2"]),
        ("FROM scratch\nCOPY ${a:-b} ${a:+c} /\n", &[]),
        ("FROM scratch\nCOPY \\$a '$b' /\n", &[]),
        // An ARG before FROM has to be declared again.
        ("ARG a=1\nFROM scratch\nCOPY $a /\n", &["UndefinedVar 3"]),
        ("ARG a=1\nFROM scratch\nARG a\nCOPY $a /\n", &[]),
        ("FROM scratch\nCOPY $TARGETARCH /\n", &["UndefinedVar 2"]),
        ("FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n", &[]),
        // The shell has variables of its own.
        ("FROM scratch\nRUN for i in a; do echo $i; done\n", &[]),
        ("FROM scratch\nENV PATH=/x:$PATH\nENV PATH=$PAHT:/x\n", &["UndefinedVar 3"]),
        // One instruction sees what was before it.
        ("FROM scratch\nENV abc=1 def=$abc\n", &["UndefinedVar 2"]),
        ("FROM scratch AS x\nARG a=1\nFROM x\nCOPY $a /\n", &[]),
        (
            "FROM scratch\nWORKDIR $w\nUSER $u\nEXPOSE $p\n",
            &["UndefinedVar 2", "WorkdirRelativePath 2", "UndefinedVar 3", "UndefinedVar 4"],
        ),
    ]);
}

#[test]
fn the_environment_of_a_base_counts_if_it_is_known() {
    let text = "FROM debian:12\nCOPY a $JAVA_HOME/b\nENV PATH=$PAHT\n";
    assert_eq!(Linted::new(text).lines(), ["UndefinedVar 3"]);
    assert_eq!(Linted::new(text).base(json!({})).lines(), ["UndefinedVar 2", "UndefinedVar 3"]);
    assert_eq!(Linted::new(text).base(json!({ "Env": ["JAVA_HOME=/java"] })).lines(), ["UndefinedVar 3"]);
    let found = Linted::new(text).only("UndefinedVar");
    assert_eq!(found.help.as_deref(), Some("did you mean `$PATH`?"));
}

#[test]
fn secrets() {
    table(&[
        ("FROM scratch\nARG API_KEY\n", &["SecretsUsedInArgOrEnv 2"]),
        ("ARG GITHUB_TOKEN=x\nFROM scratch\n", &["SecretsUsedInArgOrEnv 1"]),
        ("FROM scratch\nENV A=1 db_password=x\n", &["SecretsUsedInArgOrEnv 2"]),
        ("FROM scratch\nENV PUBLIC_KEY=x PASSWORD_FILE=/x MONKEY=1\n", &[]),
    ]);
}

#[test]
fn how_the_image_is_run() {
    table(&[
        ("FROM scratch\nCMD a b\n", &["JSONArgsRecommended 2"]),
        ("FROM scratch\nENTRYPOINT a\n", &["JSONArgsRecommended 2"]),
        ("FROM scratch\nENTRYPOINT [\"a\"]\nCMD []\n", &[]),
        ("FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]\nCMD a b\n", &[]),
        ("FROM scratch\nHEALTHCHECK CMD a b\n", &[]),
        ("FROM scratch AS a\nSHELL [\"/x\"]\nFROM a\nCMD b\n", &[]),
        (
            "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\nCMD [\"c\"]\n",
            &["MultipleInstructionsDisallowed 2", "MultipleInstructionsDisallowed 3"],
        ),
        (
            "FROM scratch\nHEALTHCHECK NONE\nCMD [\"b\"]\nHEALTHCHECK CMD [\"c\"]\n",
            &["MultipleInstructionsDisallowed 2"],
        ),
        ("FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]\n", &[]),
        ("FROM scratch\nWORKDIR a\nWORKDIR b\n", &["WorkdirRelativePath 2"]),
        ("FROM scratch\nWORKDIR /a\nWORKDIR b\n", &[]),
        ("FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b\n", &[]),
        ("FROM scratch\nEXPOSE 80 81/tcp 82-90/udp\n", &[]),
        ("FROM scratch\nEXPOSE 80/TCP\n", &["ExposeProtoCasing 2"]),
        ("FROM scratch\nEXPOSE 80:80\n", &["ExposeInvalidFormat 2"]),
        ("FROM scratch\nEXPOSE 127.0.0.1:80:81/UDP\n", &["ExposeInvalidFormat 2", "ExposeProtoCasing 2"]),
    ]);
    let of_base = Linted::new("FROM debian:12\nCMD a\n").base(json!({ "Shell": ["/bin/bash", "-c"] }));
    assert_eq!(of_base.lines(), Vec::<String>::new());
}

#[test]
fn sources_that_are_ignored() {
    let text = "FROM scratch AS x\nCOPY a/tmp /b\nCOPY . /c\nADD keep /d\nCOPY --from=x a/tmp /\n";
    let lines = |ignore: &str| {
        let all = Linted::new(text).ignoring(ignore).lines();
        all.into_iter().filter(|line| line.starts_with("CopyIgnored")).collect::<Vec<_>>()
    };
    assert_eq!(lines("*/tmp\n"), ["CopyIgnoredFile 2"]);
    assert_eq!(lines("a\nkeep\n"), ["CopyIgnoredFile 2", "CopyIgnoredFile 4"]);
    assert_eq!(lines("*/tmp\n!a/tmp/x\n"), Vec::<String>::new());
    assert_eq!(lines(""), Vec::<String>::new());
}
