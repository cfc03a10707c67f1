//! Contexts that are archives or repositories.

use std::fs::{self, File};
use std::process::{Output, Stdio};

use super::case::workspace;
use crate::git::repository::{Repository, is_git_installed};
use crate::workspace::{Workspace, list};

/// A workspace with a tar, also compressed, of a Dockerfile and its context.
fn with_tar() -> Workspace {
    let spec = "image(name = 'x', layers = [files(srcs = ['files'], strip_prefix = 'files')])";
    let workspace = Workspace::new()
        .file("BUILD.star", spec)
        .file("files/Dockerfile", "FROM scratch\nCOPY . /\n")
        .file("files/sub/Other", "FROM scratch\nCOPY a /other\n")
        .file("files/sub/Other.dockerignore", "nothing\n")
        .file("files/.dockerignore", "Dockerfile\nsub\n.dockerignore\n")
        .executable("files/a", "A");
    workspace.ok(&["build", "//:x", "-o", "tar:context.tar"]);
    let tar = fs::read(workspace.path("context.tar")).unwrap();
    fs::write(workspace.path("context.tar.zst"), zstd::encode_all(&*tar, 3).unwrap()).unwrap();
    workspace
}

fn from_stdin(workspace: &Workspace, file: &str, arguments: &[&str]) -> Output {
    let mut command = workspace.command(arguments);
    command.stdin(Stdio::from(File::open(workspace.path(file)).unwrap())).output().unwrap()
}

#[test]
fn an_archive_is_a_context_and_the_dockerfile_is_in_it() {
    let workspace = with_tar();
    for (arguments, stdin, expected) in [
        (&["-f", "Dockerfile", "context.tar"][..], "BUILD.star", "a 0755 0:0 A"),
        (&["-f", "Dockerfile", "-"], "context.tar", "a 0755 0:0 A"),
        (&["-f", "sub/Other", "-"], "context.tar.zst", "other 0755 0:0 A"),
        (&["-f", "-", "context.tar.zst"], "files/sub/Other", "other 0755 0:0 A"),
    ] {
        let output = from_stdin(&workspace, stdin, &[&["build", "-o", "tar:tree.tar"], arguments].concat());
        assert!(output.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(list(&workspace.path("tree.tar")), [expected], "{arguments:?}");
    }
    let again = from_stdin(&workspace, "context.tar", &["explain", "-f", "Dockerfile", "-"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("COPY . / (Dockerfile:2): hit"), "{again:?}");
    let left = fs::read_dir(workspace.store().join("ingest")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn what_is_no_context_is_said() {
    let workspace = with_tar();
    for (arguments, stdin, part) in [
        (&["-f", "-", "-"][..], "context.tar", "stdin cannot be the Dockerfile and the context"),
        (&["-f", "nosuch", "-"], "context.tar", "`nosuch` cannot be read in the context"),
        (&["-f", "../Dockerfile", "context.tar"], "context.tar", "`..`"),
        (&["-f", "Dockerfile", "BUILD.star"], "context.tar", "the context `BUILD.star` cannot be read"),
        (&["-f", "Dockerfile", "nosuch"], "context.tar", "behind the options stands the context"),
    ] {
        let output = from_stdin(&workspace, stdin, &[&["build"], arguments].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(part), "{arguments:?} {error}");
    }
}

#[test]
fn a_commit_is_a_context() {
    if !is_git_installed() {
        return;
    }
    let workspace = workspace("", &[]);
    let library = Repository::new(workspace.path("lib"));
    library.write("Dockerfile", "FROM scratch\nCOPY a /\n");
    library.write("a", "one");
    library.write("sub/Dockerfile", "FROM scratch\nCOPY b /\n");
    library.write("sub/b", "B");
    std::os::unix::fs::symlink("/", library.path.join("out")).unwrap();
    let first = library.commit("one");
    library.write("a", "two");
    let second = library.commit("two");
    let url = format!("file://{}", library.path.display());
    let build = |fragment: &str, options: &[&str]| {
        let context = format!("{url}{fragment}");
        let run = workspace.run(&[&["build", "-f", "Dockerfile", "-o", "tar:tree.tar"], options, &[&context]].concat());
        assert_eq!(run.code, 0, "{fragment} {}", run.stderr);
        (list(&workspace.path("tree.tar")), run.stderr)
    };
    let (tree, said) = build("", &[]);
    assert!(tree == ["a 0644 0:0 two"] && said.contains(&format!("the context is the commit {second}")), "{said}");
    assert_eq!(build("#main:sub", &[]).0, ["b 0644 0:0 B"]);
    assert_eq!(build(&format!("#{first}"), &["--locked"]).0, ["a 0644 0:0 one"]);
    let query = format!("?branch=main&subdir=sub&commit={second}");
    assert_eq!(build(&query, &["--locked"]).0, ["b 0644 0:0 B"]);
    for (fragment, options, part) in [
        (&*format!("?branch=main&commit={first}"), &[][..], "`lib#refs/heads/main` is the commit"),
        ("?branch=main&keep-git-dir=true", &[], "the context has no `.git`"),
        ("?brunch=main", &[], "did you mean `branch`?"),
        ("#main", &["--locked"][..], "`main` may be another commit tomorrow"),
        ("#nosuch", &[], "cannot be read"),
        ("#main:out", &[], "`out` is no directory of the context"),
        ("#main:nosuch", &[], "`nosuch` is no directory of the context"),
    ] {
        let context = format!("{url}{fragment}");
        let run = workspace.run(&[&["build", "-f", "Dockerfile"], options, &[&context]].concat());
        assert!(run.code != 0 && run.stderr.contains(part), "{fragment} {}", run.stderr);
    }
}

#[test]
fn devices_and_fifos_of_an_archive_are_left_out_with_one_warning() {
    let workspace = Workspace::new();
    let mut tar = tar::Builder::new(Vec::new());
    for (path, kind, content) in [
        ("Dockerfile", tar::EntryType::Regular, "FROM scratch\nCOPY . /\n"),
        ("a", tar::EntryType::Regular, "A"),
        ("dev/null", tar::EntryType::Char, ""),
        ("dev/sda", tar::EntryType::Block, ""),
        ("pipe", tar::EntryType::Fifo, ""),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    workspace.write("context.tar", tar.into_inner().unwrap());
    let run = workspace.run(&["build", "-f", "Dockerfile", "-o", "tar:tree.tar", "context.tar"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let warnings: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings, ["warning: the context is without its devices and FIFOs: `/dev/null` and 2 more"]);
    let listed = list(&workspace.path("tree.tar"));
    assert_eq!(listed, ["Dockerfile 0644 0:0 FROM scratch|COPY . /|", "a 0644 0:0 A", "dev/ 0755 0:0"]);
}
