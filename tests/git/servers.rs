//! Servers: slow, refusing, asking for passwords, and those that give files only. Each is a thread of the test on 127.0.0.1.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use ocify::fetch::{Client, Options};
use ocify::git::RemoteRef;
use ocify::source;
use ocify::store::Store;

use super::repository::is_git_installed;
use super::{WEB, assert_nothing_temporary, with_library};
use crate::fetch::server::{Server, respond};
use crate::workspace::{Run, Workspace};

fn remote(url: &str) -> RemoteRef {
    RemoteRef { url: url.parse().unwrap(), name: "v1".parse().unwrap(), keep_git_dir: false }
}

/// Where programs are looked for.
fn programs() -> String {
    std::env::var_os("PATH").unwrap().into_string().unwrap()
}

fn client(options: Options) -> Client {
    let path = programs().into();
    Client::new(Options { proxy_from_environment: false, ..options }).with_git_variables(vec![("PATH".into(), path)])
}

/// What discovering `url` ends with.
fn failure(url: &str, options: Options, workspace: &Workspace) -> String {
    let store = Store::open(workspace.store()).unwrap();
    let files = source::Workspace::at(workspace.root()).unwrap();
    let error = client(options).discover_commit(&remote(url), None, &files, &store).unwrap_err();
    assert_nothing_temporary(workspace);
    error.to_string()
}

#[test]
fn a_server_that_gives_files_only_is_enough() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    let expected = workspace.ok(&["lock"]);
    let (_bare, server) = library.served(workspace.path("bare"));
    let url = server.url("lib.git");
    workspace.write("BUILD.star", WEB.replace("file://vendor/lib", &url));
    let added = workspace.ok(&["lock", "//:web"]);
    assert_eq!(added, expected.replace("file://vendor/lib", &url));
    workspace.build("//:web");

    // Without network, nobody is asked, neither for a pin nor for a file.
    let asked = server.requests().len();
    fs::remove_dir_all(workspace.store()).unwrap();
    let error = workspace.fails(1, &["build", "--offline"]);
    assert!(error.contains("without network") && error.contains("run once with network"), "{error}");
    let fetch = format!("fetch(url = '{}', sha256 = '{}')", server.url("HEAD"), "0".repeat(64));
    workspace.write("BUILD.star", format!("image(name = 'web', layers = [files(srcs = [{fetch}])])"));
    assert!(workspace.fails(1, &["build", "--offline"]).contains("without network"));
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn a_server_that_refuses_commits_is_asked_for_the_ref() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(&WEB.replace("ref = 'v1'", "ref = 'main'"));
    workspace.ok(&["lock"]);
    let digest = workspace.build("//:web");
    // As git, but for a fetch of a commit.
    let refusing = workspace.root().parent().unwrap().join("bin");
    fs::create_dir_all(&refusing).unwrap();
    let path = programs();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *' fetch '*' '????????????????????????????????????????)\n\
         echo 'error: Server does not allow request for unadvertised object' >&2; exit 128;; esac\n\
         PATH='{path}' exec git \"$@\"\n"
    );
    fs::write(refusing.join("git"), script).unwrap();
    fs::set_permissions(refusing.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let build = || {
        fs::remove_dir_all(workspace.store()).unwrap();
        let path = format!("{}:{path}", refusing.display());
        Run::from(workspace.command(&["build", "//:web"]).env("PATH", path).output().unwrap())
    };
    let at_tip = build();
    assert_eq!(crate::workspace::digest(&at_tip.stdout), digest, "{}", at_tip.stderr);
    library.write("README", "two");
    library.commit("two");
    let behind = build();
    assert_eq!(crate::workspace::digest(&behind.stdout), digest, "{}", behind.stderr);
    library.git(&["commit", "--quiet", "--amend", "-m", "rewritten"]);
    library.git(&["update-ref", "refs/heads/main", &library.git(&["commit-tree", "HEAD^{tree}", "-m", "new"])]);
    let gone = build();
    assert!(gone.code == 1 && gone.stderr.contains("does not give the commit"), "{}", gone.stderr);
}

#[test]
fn ssh_asks_nobody_and_gets_the_agent_and_little_else() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    let expected = workspace.ok(&["lock"]);
    let bin = workspace.root().parent().unwrap().join("bin");
    fs::create_dir_all(&bin).unwrap();
    // As ssh, but to this machine: the last argument is what the other side shall run.
    let path = programs();
    let seen = bin.join("seen");
    let script = format!(
        "#!/bin/sh\n(echo \"$@\"; env) > {}\nfor command; do :; done\nPATH='{path}' exec sh -c \"$command\"\n",
        seen.display()
    );
    fs::write(bin.join("ssh"), script).unwrap();
    fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let url = format!("ssh://git@example.com:2222{}", library.path.display());
    workspace.write("BUILD.star", WEB.replace("file://vendor/lib", &url));
    let mut lock = workspace.command(&["lock", "//:web"]);
    lock.env("PATH", format!("{}:{path}", bin.display())).env("SSH_AUTH_SOCK", "/agent").env("TOKEN", "hunter2");
    let run = Run::from(lock.output().unwrap());
    assert_eq!(run.stdout, expected.replace("file://vendor/lib", &url), "{}", run.stderr);
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("-oBatchMode=yes") && seen.contains("-p 2222 git@example.com"), "{seen}");
    assert!(seen.contains("SSH_AUTH_SOCK=/agent") && !seen.contains("hunter2"), "{seen}");
}

#[test]
fn a_server_that_asks_for_a_password_gets_none_and_nobody_is_asked() {
    if !is_git_installed() {
        return;
    }
    let server = Server::start(|_, stream| {
        respond(stream, "401 Unauthorized", &["WWW-Authenticate: Basic realm=\"\x1b[2Jhunter2\""], b"no")
    });
    let workspace = Workspace::new().file("BUILD.star", WEB.replace("file://vendor/lib", &server.url("lib.git")));
    let error = workspace.fails(1, &["lock"]);
    assert!(error.contains("cannot be pinned") && error.contains("terminal prompts disabled"), "{error}");
    assert!(error.contains("~/.netrc") && !error.contains('\x1b'), "{error}");
}

#[test]
fn a_redirect_leads_to_no_other_protocol() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    let target = format!("Location: file://{}/.git/info/refs", library.path.display());
    let server = Server::start(move |_, stream| respond(stream, "302 Found", &[&target], b""));
    let error = failure(&server.url("lib.git"), Options::default(), &workspace);
    assert!(error.contains("git ls-remote"), "{error}");
}

#[test]
fn a_silent_server_does_not_hold_the_build() {
    if !is_git_installed() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/lib.git", listener.local_addr().unwrap());
    let workspace = Workspace::new();
    let options = Options { total: Duration::from_secs(1), ..Options::default() };
    let begun = Instant::now();
    let error = failure(&url, options, &workspace);
    assert!(error.contains("within 1 seconds"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_server_that_talks_without_end_is_cut_off() {
    if !is_git_installed() {
        return;
    }
    let server = Server::start(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")?;
        let line = format!("{}\trefs/tags/v1\n", "0".repeat(40)).repeat(1000);
        while stream.write_all(line.as_bytes()).is_ok() {}
        stream.read(&mut [0]).map(drop)
    });
    let workspace = Workspace::new();
    let options = Options { total: Duration::from_secs(5), size: 1 << 20, ..Options::default() };
    let begun = Instant::now();
    failure(&server.url("lib.git"), options, &workspace);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_commit_that_is_too_large_is_refused() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    library.write("zeros", vec![0; 4 << 20]);
    library.commit("large");
    library.git(&["tag", "--force", "v1"]);
    let options = Options { size: 1 << 20, ..Options::default() };
    let error = failure("file://vendor/lib", options, &workspace);
    assert!(error.contains("the files of the commit are larger than 1048576 bytes"), "{error}");
}
