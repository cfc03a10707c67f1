//! Lines, comments, continuations: what the same Dockerfile looks like in other hands.

use std::collections::BTreeMap;
use std::sync::Arc;

use ocify::diagnostic::{Diagnostic, SourceText, Spanned};
use ocify::dockerfile::{self, Bases, NamedContexts, Options};
use ocify::oci::ImageConfig;
use ocify::platform::Platform;
use ocify::target::Base;
use proptest::prelude::*;

use super::case::{config, tree, workspace};

#[test]
fn the_same_dockerfile_in_other_hands_is_the_same_image() {
    let forms = [
        "FROM scratch\nENV a=1 b=2\nCOPY x /\n",
        "from scratch\nenv a=1 \\\n  b=2\ncopy x /",
        "\u{feff}# syntax=docker/dockerfile:1\n\n# a comment\nFROM   scratch\r\nENV a=1 \\\r\n# inside\r\n\r\n    b=2\r\n  COPY x /\r\n",
        "# escape=`\nFROM scratch\nENV a=1 `\n b=2\nCOPY x /\n",
    ];
    let digest = |dockerfile: &str| {
        let workspace = workspace(dockerfile, &[("x", "X")]);
        assert_eq!(tree(&workspace, &[]), ["x 0644 0:0 X"]);
        config(&workspace, &[])
    };
    let first = digest(forms[0]);
    for form in &forms[1..] {
        assert_eq!(digest(form), first, "{form:?}");
    }
}

#[test]
fn a_dockerfile_comes_from_anywhere() {
    let workspace = workspace("FROM scratch\nCOPY a /\n", &[("a", "A"), ("Dockerfile", "FROM scratch\nCOPY a /b\n")]);
    workspace.write("Dockerfile.dockerignore", "z\n");
    let first = workspace.ok(&["build", "-f", "Dockerfile", "c"]);
    assert_ne!(workspace.ok(&["build", "-f", "c/Dockerfile", "c"]), first);
    let mut command = workspace.command(&["build", "-f", "-", "c"]);
    command.stdin(std::fs::File::open(workspace.path("Dockerfile")).unwrap());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), first);
    workspace.write("Dockerfile.dockerignore", "a\n");
    let error = workspace.fails(2, &["build", "-f", "Dockerfile", "c"]);
    assert!(error.contains("the .dockerignore leaves it out"), "{error}");
}

/// Pieces of Dockerfiles, good and bad ones, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "FROM",
        "scratch",
        "AS",
        "RUN",
        "COPY",
        "ADD",
        "ENV",
        "ARG",
        "LABEL",
        "CMD",
        "ONBUILD",
        "HEALTHCHECK",
        "EXPOSE",
        "SHELL",
        "WORKDIR",
        "VOLUME",
        "--from=",
        "--chown=a:é",
        "--chmod=u+x",
        "--",
        "--x",
        "# escape=`",
        "#",
        "\\",
        "`",
        "\n",
        "\r\n",
        " ",
        "\t",
        "a",
        "é",
        "b=1",
        "=",
        "$a",
        "${a",
        ":-",
        "#*",
        "//",
        "}",
        "'",
        "\"",
        "<<E",
        "<<-\"E\"",
        "E",
        "[",
        "]",
        "[\"a\"]",
        "1",
        "/",
        "..",
        "*",
        "\u{feff}",
        "\u{85}",
        "\0",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
}

struct NoBases;

impl Bases for NoBases {
    fn config(&mut self, _: &Spanned<Base>, _: &Platform) -> Result<ImageConfig, Diagnostic> {
        Err(Diagnostic::failure("there is no network"))
    }
}

fn lower(text: &str) -> Result<usize, Diagnostic> {
    let source = Arc::new(SourceText { name: "Dockerfile".into(), text: text.to_owned() });
    let options = Options {
        contexts: NamedContexts::default(),
        args: BTreeMap::from([("a".to_owned(), "é".to_owned())]),
        target: None,
        platforms: vec![Platform::default_target()],
        build_platform: Platform::default_target(),
        labels: Vec::new(),
        tags: Vec::new(),
        ignore: Vec::new(),
        hosts: Vec::new(),
        hermetic: false,
        whole: false,
    };
    let lowered = dockerfile::lower(&dockerfile::parse(&source)?, &options, &mut NoBases)?;
    Ok(lowered.targets.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_too_much(text in pieces(), line in "(FROM scratch\n)?(ENV|COPY|ADD|RUN|ARG|LABEL|EXPOSE|USER|HEALTHCHECK|ONBUILD) .{0,40}") {
        for text in [text.clone(), line, format!("FROM scratch\n{text}")] {
            if let Err(error) = lower(&text) {
                let span = error.span();
                // A span that cuts a character in two could not be shown.
                prop_assert!(span.is_none_or(|span| span.source.text.get(span.start..span.end).is_some()), "{:?} {:?}", text, span);
            }
        }
    }
}

#[test]
fn a_long_dockerfile_takes_no_time() {
    let line = "ENV a=${a:-x} b=\"y z\" \\\n  c=d\nCOPY --chown=1:2 *.txt /x/\nLABEL l=$a\n";
    let text = format!("FROM scratch\n{}", line.repeat(300));
    let begun = std::time::Instant::now();
    assert_eq!(lower(&text).unwrap(), 1);
    // 20 ms is what a release has for a thousand lines; this is a debug build, beside other tests.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
