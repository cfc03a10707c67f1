//! Lines, comments, continuations: what the same Dockerfile looks like in other hands.

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
