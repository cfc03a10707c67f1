//! ADD of what is elsewhere.

use std::fs;

use super::case::{tree, workspace};
use super::corpus::Context;
use crate::fetch::server::{Server, respond};
use crate::git::repository::{Repository, is_git_installed};
use crate::workspace::Workspace;

/// SHA-256 of `content`.
pub const CONTENT: &str = "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";

pub fn server() -> Server {
    let tar = {
        let workspace = workspace("FROM scratch\nCOPY d /\n", &[("d/x", "X")]);
        tree(&workspace, &[]);
        fs::read(workspace.path("tree.tar")).unwrap()
    };
    Server::start(move |path, stream| match path {
        "/files/app?x=1" | "/files/app" => {
            respond(stream, "200 OK", &["Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT"], b"content")
        }
        "/x.tar" => respond(stream, "200 OK", &[], &tar),
        "/" => respond(stream, "200 OK", &[], b"root"),
        _ => respond(stream, "404 Not Found", &[], b""),
    })
}

#[test]
fn files_are_fetched_and_pinned() {
    let server = server();
    let url = |path: &str| server.url(path);
    for (add, expected) in [
        (format!("ADD {} /d/", url("files/app?x=1")), &["d/ 0755 0:0", "d/app 0600 0:0 content"][..]),
        (format!("ADD {} /name", url("files/app")), &["name 0600 0:0 content"]),
        (
            format!("ADD --checksum={CONTENT} --chmod=755 --chown=1:2 {} /name", url("files/app")),
            &["name 0755 1:2 content"],
        ),
        (format!("ADD a {} /", url("files/app")), &["a 0644 0:0 A", "app 0600 0:0 content"]),
        (format!("ADD {} /name", url("")), &["name 0600 0:0 root"]),
        (format!("ARG u={}\nADD ${{u}}/app /", url("files")), &["app 0600 0:0 content"]),
        (format!("ADD --unpack {} /d", url("x.tar")), &["d/ 0755 0:0", "d/x 0644 0:0 X"]),
    ] {
        let workspace = workspace(&format!("FROM scratch\n{add}\n"), &[("a", "A")]);
        assert_eq!(tree(&workspace, &[]), expected, "{add}");
        let lock = fs::read_to_string(workspace.path("ocify.lock")).unwrap_or_default();
        assert_eq!(lock.contains("http://"), !add.contains("--checksum"), "{add}\n{lock}");
        assert_eq!(tree(&workspace, &["--offline", "--locked"]), expected, "{add}");
    }
    let packed = workspace(&format!("FROM scratch\nADD {} /\n", url("x.tar")), &[]);
    assert_eq!(tree(&packed, &[]).len(), 1);
}

#[test]
fn what_cannot_be_fetched_is_said_at_its_place() {
    let server = server();
    let url = |path: &str| server.url(path);
    let context: Context = &[("a", "A")];
    let zeros = format!("sha256:{}", "0".repeat(64));
    for (add, code, part) in [
        (format!("ADD {} /", url("nosuch")), 1, "404"),
        (format!("ADD {} /d/", url("")), 2, "the URL has no name for the file"),
        (format!("ADD --checksum={zeros} {} /", url("files/app")), 1, "sha256:ed7002b4"),
        (format!("ADD --checksum=md5:0 {} /", url("files/app")), 2, "is no checksum"),
        (
            format!("ADD --checksum={CONTENT} {} {} /", url("files/app"), url("x.tar")),
            2,
            "for one source that ADD fetches",
        ),
        (format!("ADD --checksum={CONTENT} a /"), 2, "for one source that ADD fetches"),
        (format!("ADD --keep-git-dir {} /", url("files/app")), 2, "`--keep-git-dir` is for git repositories"),
        ("ADD --keep-git-dir=maybe https://example.invalid/x.git /".to_owned(), 2, "neither `true` nor `false`"),
        (
            "ADD --keep-git-dir=false https://example.invalid/x.git?keep-git-dir /".to_owned(),
            2,
            "contradict each other",
        ),
        ("ADD https://example.invalid/x.git?brunch=v1 /".to_owned(), 2, "did you mean `branch`?"),
        ("ADD --checksum=1234567 https://example.invalid/x.git /".to_owned(), 2, "is not the ID of a commit"),
        (format!("ADD --checksum={CONTENT} https://example.invalid/x.git /"), 2, "`git rev-parse 'REF^{commit}'`"),
        ("ADD git://example.invalid/x /".to_owned(), 2, "begins with none of"),
    ] {
        let workspace = workspace(&format!("FROM scratch\n{add}\n"), context);
        let error = workspace.fails(code, &["build", "-f", "Dockerfile", "c"]);
        assert!(error.contains(part) && error.contains("Dockerfile:2"), "{add} {part}\n{error}");
    }
    let copy = workspace(&format!("FROM scratch\nCOPY {} /\n", url("files/app")), context);
    copy.fails(2, &["build", "-f", "Dockerfile", "c"]);
    let unpinned = workspace(&format!("FROM scratch\nADD {} /\n", url("files/app")), context);
    let error = unpinned.fails(1, &["build", "-f", "Dockerfile", "--locked", "c"]);
    assert!(error.contains("ocify.lock would have to change") && error.contains("/files/app"), "{error}");
}

/// A repository behind a server that knows nothing of git, as `lib.git`. It has an annotated tag, and a commit behind that.
pub fn repository(workspace: &Workspace) -> (Repository, Server) {
    let library = Repository::new(workspace.path("lib"));
    library.write("README", "one\n");
    library.write("src/a", "A\n");
    library.commit("one");
    library.git(&["tag", "--annotate", "-m", "The first.", "v1"]);
    library.write("src/a", "B\n");
    library.commit("two");
    library.served(workspace.path("bare"))
}

#[test]
fn the_files_of_a_commit_are_added() {
    if !is_git_installed() {
        return;
    }
    let home = Workspace::new();
    let (bare, server) = repository(&home);
    for (fragment, dest, expected) in [
        ("", "/x", &["x/ 0755 0:0", "x/README 0644 0:0 one|", "x/src/ 0755 0:0", "x/src/a 0644 0:0 B|"][..]),
        ("#v1:src", "/", &["a 0644 0:0 A|"]),
        ("?tag=v1&subdir=src", "/", &["a 0644 0:0 A|"]),
        ("#refs/heads/main:/src/", "/", &["a 0644 0:0 B|"]),
    ] {
        let url = server.url("lib.git");
        let workspace = workspace(&format!("FROM scratch\nADD --keep-git-dir=false {url}{fragment} {dest}\n"), &[]);
        assert_eq!(tree(&workspace, &[]), expected, "{fragment}");
        assert!(fs::read_to_string(workspace.path("ocify.lock")).unwrap().contains(&url));
        assert_eq!(tree(&workspace, &["--offline", "--locked"]), expected, "{fragment}");
    }
    let commit = bare.id("v1^{commit}");
    let by_id = workspace(&format!("FROM scratch\nADD {}#{commit}:src /\n", server.url("lib.git")), &[]);
    assert_eq!(tree(&by_id, &[]), ["a 0644 0:0 A|"]);
    let missing = workspace(&format!("FROM scratch\nADD {}#v1:nosuch /\n", server.url("lib.git")), &[]);
    let error = missing.fails(2, &["build", "-f", "Dockerfile", "c"]);
    assert!(error.contains("`/nosuch` is no directory of the commit") && error.contains("Dockerfile:2"), "{error}");
}

#[test]
fn a_checksum_is_the_commit_that_the_ref_has_to_stand_for() {
    if !is_git_installed() {
        return;
    }
    let home = Workspace::new();
    let (bare, server) = repository(&home);
    let url = server.url("lib.git");
    let (first, last) = (bare.id("v1^{commit}"), bare.id("main"));
    let add = |checksum: &str, fragment: &str| {
        workspace(&format!("FROM scratch\nARG SUM={checksum}\nADD --checksum=$SUM {url}{fragment} /\n"), &[])
    };
    for (checksum, fragment) in [(&first, "#v1:src"), (&last, "#:src"), (&first.to_uppercase(), "#v1:src")] {
        assert_eq!(tree(&add(checksum, fragment), &[]).len(), 1, "{fragment}");
    }
    let build = ["build", "-f", "Dockerfile", "c"];
    let wrong = add(&last, "#v1");
    let (found, wanted) = (format!("`lib#v1` is the commit {first}, "), format!("has to be {last}"));
    for command in [&["lock", "-f", "Dockerfile", "c"][..], &build] {
        let error = wrong.fails(1, command);
        assert!(error.contains(&found) && error.contains(&wanted) && error.contains("Dockerfile:3"), "{error}");
    }
    assert!(!wrong.path("ocify.lock").exists());

    // The lock is held against it as well, and `update` moves it.
    let moved = add(&last, "");
    tree(&moved, &[]);
    moved.write("Dockerfile", fs::read_to_string(moved.path("Dockerfile")).unwrap().replace(&last, &first));
    let error = moved.fails(1, &build);
    assert!(
        error.contains(&format!("is the commit {last}")) && error.contains(&format!("has to be {first}")),
        "{error}"
    );
    assert!(error.contains(&format!("`ocify update {url}#HEAD`")), "{error}");
}

#[test]
fn a_git_directory_is_kept() {
    if !is_git_installed() {
        return;
    }
    let home = Workspace::new();
    let (bare, server) = repository(&home);
    let url = server.url("lib.git");
    let kept = workspace(&format!("FROM scratch\nADD --keep-git-dir=true {url}#v1 /lib\n"), &[]);
    let out = kept.path("out");
    let output = format!("dir:{}", out.display());
    kept.ok(&["build", "-f", "Dockerfile", "-o", &output, "c"]);
    let checked_out = Repository { path: out.join("lib") };
    assert_eq!(checked_out.id("HEAD"), bare.id("v1^{commit}"));
    assert_eq!(checked_out.git(&["describe", "--dirty"]), "v1");
    assert_eq!(checked_out.git(&["remote", "get-url", "origin"]), url);
    checked_out.git(&["fsck", "--strict"]);
    // What came later is not in it, and of a directory there is no repository.
    assert!(!Repository { path: out.join("lib") }.git(&["rev-list", "--all"]).contains(&bare.id("main")));
    let part = workspace(&format!("FROM scratch\nADD --keep-git-dir {url}#v1:src /lib\n"), &[]);
    assert_eq!(tree(&part, &[]), ["lib/ 0755 0:0", "lib/a 0644 0:0 A|"]);
}
