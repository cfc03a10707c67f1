//! `RUN --mount`, and scripts in heredocs.

use std::fs;

use super::case::workspace;
use super::corpus::Context;
use crate::sandbox;
use crate::workspace::{Workspace, list};

const CONTEXT: Context = &[
    ("a.txt", "A"),
    ("*sub/b.txt", "B"),
    ("sub/ignored", "I"),
    (".dockerignore", "**/ignored\nstep\n.dockerignore\n"),
];

/// A context as in [`CONTEXT`], and `//:tool`, a stage of the Dockerfile with the program that steps run.
fn build(dockerfile: &str, options: &[&str]) -> Option<(Workspace, String, Vec<String>)> {
    if !sandbox::is_allowed() {
        return None;
    }
    let workspace = workspace(&format!("FROM tool AS base\n{dockerfile}"), CONTEXT);
    fs::create_dir(workspace.path("tool")).unwrap();
    fs::copy(sandbox::program(), workspace.path("tool/step")).unwrap();
    let again = run(&workspace, options);
    Some((workspace, again.0, again.1))
}

/// What the steps wrote, and the files of the image.
#[track_caller]
fn run(workspace: &Workspace, options: &[&str]) -> (String, Vec<String>) {
    let fixed = ["build", "-f", "Dockerfile", "--build-context", "tool=tool", "-o", "tar:tree.tar"];
    let run = workspace.run(&[&fixed, options, &["c"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let files = list(&workspace.path("tree.tar")).into_iter().filter(|line| !line.starts_with("step "));
    (sandbox::spoken(&run), files.collect())
}

#[test]
fn binds_have_files_of_the_context_and_of_stages() {
    let Some((workspace, said, files)) = build(
        "FROM base AS made\nRUN [\"/step\", \"must\", \";\", \"mkdir\", \"/out\", \";\", \"write\", \"/out/x\", \"X\"]\n\
         FROM base\nARG dir=here\nWORKDIR /w\n\
         RUN --mount=target=/all --mount=source=sub/b.txt,target=one --mount=type=bind,from=made,src=/out,dst=$dir,rw \
         [\"/step\", \"must\", \";\", \"ls\", \"/all\", \";\", \"ls\", \"/all/sub\", \";\", \"stat\", \"/all/sub/b.txt\", \";\", \
         \"cat\", \"/w/one\", \";\", \"write\", \"here/y\", \"lost\", \";\", \"ls\", \"/w/here\", \";\", \"cp\", \"/w/here/x\", \"/w/x\"]\n\
         RUN --mount=type=bind,from=tool,target=/t [\"/step\", \"ls\", \"/t\"]\n",
        &[],
    ) else {
        return;
    };
    assert_eq!(said, "a.txt sub \nb.txt \n/all/sub/b.txt 100755 0:0\nBx y \nstep ");
    assert_eq!(files, ["w/ 0755 0:0", "w/x 0644 0:0 X"]);
    // Of the context, what is bound decides.
    workspace.write("c/sub/ignored", "other");
    assert_eq!(run(&workspace, &[]).0, "");
    workspace.write("c/a.txt", "other");
    assert!(run(&workspace, &[]).0.starts_with("a.txt sub \n"));
}

#[test]
fn caches_and_memory_are_there_and_not_in_the_image() {
    let dockerfile = |order: &str| {
        format!(
            "FROM base\nRUN --mount=type=cache,target=/c,id=x,uid=7,mode=0700,sharing=locked --mount=type=tmpfs,target=/t,size=64k \
             [\"/step\", \"must\", \";\", \"write\", \"/t/a\", \"x\", \";\", \"stat\", \"/c\", \";\", {order}]\n"
        )
    };
    let Some((workspace, said, files)) = build(&dockerfile("\"write\", \"/c/f\", \"kept\""), &[]) else { return };
    assert_eq!((said.as_str(), files), ("/c 40700 7:0", Vec::new()));
    workspace.write("Dockerfile", format!("FROM tool AS base\n{}", dockerfile("\"cat\", \"/c/f\"")));
    assert_eq!(run(&workspace, &[]).0, "/c 40700 7:0\nkept");
    let begun = "FROM base\nRUN --mount=type=cache,target=/c,from=base,ro [\"/step\", \"ls\", \"/c\", \";\", \"write\", \"/c/x\", \"\"]\n";
    workspace.write("Dockerfile", format!("FROM tool AS base\n{begun}"));
    assert_eq!(run(&workspace, &[]).0, "step \nwrite /c/x: Read-only file system");
}

#[test]
fn secrets_are_there_where_they_are_given() {
    let dockerfile = "FROM base\nRUN --mount=type=secret,id=a --mount=type=secret,id=a,env=A --mount=type=secret,target=/etc/b,mode=0440,uid=5 \
        [\"/step\", \"stat\", \"/run/secrets/a\", \";\", \"getenv\", \"A\", \";\", \"stat\", \"/etc/b\"]\n";
    let Some((workspace, said, files)) = build(dockerfile, &[]) else { return };
    let missing = "No such file or directory";
    assert_eq!(said, format!("stat /run/secrets/a: {missing}\nA=(none)\nstat /etc/b: {missing}"));
    workspace.write("s", "the-secret");
    let (said, again) = run(&workspace, &["--secret", "id=a,src=s", "--secret", "id=b,src=s"]);
    assert_eq!(said, "/run/secrets/a 100400 0:0\nA=***\n/etc/b 100440 5:0");
    assert_eq!((files.clone(), files), (again, Vec::new()));
    workspace.write("Dockerfile", "FROM tool AS base\nRUN --mount=type=secret,id=none,required [\"/step\"]\n");
    let error = workspace.fails(2, &["build", "-f", "Dockerfile", "--build-context", "tool=tool", "c"]);
    assert!(error.contains("the secret `none` is not given") && error.contains("Dockerfile:2"), "{error}");
    assert!(error.contains("--secret id=none,src=FILE"), "{error}");
}

#[test]
fn a_script_in_a_heredoc_is_executed() {
    let dockerfile = "FROM base\nWORKDIR /w\nRUN <<EOF\n#!/step cat\n$HOME\nEOF\nRUN <<'A B'\n#!/step say\nA B\n";
    let Some((_, said, files)) = build(dockerfile, &[]) else { return };
    assert_eq!(said, "#!/step cat\n$HOME\n/run/heredoc/script");
    assert_eq!(files, ["w/ 0755 0:0"]);
}

#[test]
fn a_spec_that_was_a_dockerfile_has_its_mounts() {
    if !sandbox::is_allowed() {
        return;
    }
    let workspace = workspace(
        "FROM scratch AS made\nCOPY a.txt /\nFROM scratch\nCOPY step /bin/\n\
         RUN --mount=target=/all --mount=source=sub/b.txt,target=/one --mount=from=made,target=/m,rw \
         --mount=type=cache,target=/c,id=x,sharing=locked,mode=0700,uid=3 --mount=type=tmpfs,target=/t,size=1m \
         --mount=type=secret,id=s --mount=type=ssh,required=false \
         [\"/bin/step\", \"must\", \";\", \"cp\", \"/all/sub/b.txt\", \"/b\", \";\", \"cp\", \"/m/a.txt\", \"/a\", \";\", \"cp\", \"/one\", \"/d\"]\n\
         RUN <<E\n#!/bin/step cat\nE\n",
        &[("a.txt", "A"), ("*sub/b.txt", "B")],
    );
    fs::copy(sandbox::program(), workspace.path("c/step")).unwrap();
    let run = workspace.run(&["import", "Dockerfile", "--context", "c", "--check"]);
    let spec = fs::read_to_string(workspace.path("c/BUILD.star")).unwrap_or_default();
    assert_eq!(run.code, 0, "{}{}\n{spec}", run.stdout, run.stderr);
    for part in [
        "bind(made, \"/m\", writable = True)",
        "source = \"/sub/b.txt\"",
        "cache(\"/c\", id = \"x\", sharing = \"locked\", mode = \"0700\", uid = 3)",
        "tmpfs(\"/t\", size = 1048576)",
        "secret(\"s\", required = False)",
        "ssh(required = False)",
        "write(\"/E\", \"#!/bin/step cat\\n\", mode = \"0755\")",
        "source = \"/E\"",
    ] {
        assert!(spec.contains(part), "{part}\n{spec}");
    }
}
