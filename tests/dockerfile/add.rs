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
        ("ADD --keep-git-dir https://example.invalid/x.git /".to_owned(), 2, "`--keep-git-dir` cannot be had"),
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

/// A repository behind a server that knows nothing of git, as `lib.git`.
pub fn repository(workspace: &Workspace) -> (Repository, Server) {
    let library = Repository::new(workspace.path("lib"));
    library.write("README", "one\n");
    library.write("src/a", "A\n");
    library.commit("one");
    library.git(&["tag", "v1"]);
    library.write("src/a", "B\n");
    library.commit("two");
    let bare = workspace.path("bare");
    library.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let bare = Repository { path: bare };
    bare.git(&["update-server-info"]);
    let root = bare.path.clone();
    let server = Server::start(move |path, stream| {
        let path = path.trim_start_matches("/lib.git/").split('?').next().unwrap_or("").to_owned();
        match fs::read(root.join(path)) {
            Ok(bytes) => respond(stream, "200 OK", &[], &bytes),
            Err(_) => respond(stream, "404 Not Found", &[], b""),
        }
    });
    (bare, server)
}

#[test]
fn the_files_of_a_commit_are_added() {
    if !is_git_installed() {
        return;
    }
    let home = Workspace::new();
    let (_bare, server) = repository(&home);
    for (fragment, dest, expected) in [
        ("", "/x", &["x/ 0755 0:0", "x/README 0644 0:0 one|", "x/src/ 0755 0:0", "x/src/a 0644 0:0 B|"][..]),
        ("#v1:src", "/", &["a 0644 0:0 A|"]),
        ("#refs/heads/main:/src/", "/", &["a 0644 0:0 B|"]),
    ] {
        let url = server.url("lib.git");
        let workspace = workspace(&format!("FROM scratch\nADD --keep-git-dir=false {url}{fragment} {dest}\n"), &[]);
        assert_eq!(tree(&workspace, &[]), expected, "{fragment}");
        assert!(fs::read_to_string(workspace.path("ocify.lock")).unwrap().contains(&url));
        assert_eq!(tree(&workspace, &["--offline", "--locked"]), expected, "{fragment}");
    }
    let missing = workspace(&format!("FROM scratch\nADD {}#v1:nosuch /\n", server.url("lib.git")), &[]);
    let error = missing.fails(2, &["build", "-f", "Dockerfile", "c"]);
    assert!(error.contains("`/nosuch` is no directory of the commit") && error.contains("Dockerfile:2"), "{error}");
}
