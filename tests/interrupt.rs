//! Ctrl-C: the command ends soon, by the signal, and leaves nothing temporary behind.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::workspace::Workspace;

/// A workspace whose image takes this binary many seconds to make.
fn slow() -> Workspace {
    let workspace = Workspace::new()
        .file("BUILD.star", "image(name = 'x', layers = [files(srcs = ['src'], dest = '/%d' % n) for n in range(40)])");
    let mut state = 1u64;
    for n in 0..20 {
        let mut text = String::new();
        while text.len() < 4_000_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text.push_str(&format!("{:x} ", state >> 40));
        }
        workspace.write(&format!("src/{n}"), text);
    }
    workspace
}

fn start(workspace: &Workspace, arguments: &[&str]) -> Child {
    workspace.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until `seen` is true.
fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !seen() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} never came");
        sleep(Duration::from_millis(2));
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn interrupt(mut child: Child, signal: &str) -> ExitStatus {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let mut status = None;
    until("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// True if this process ignores a signal, and so does what it starts.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (number - 1)) != 0
}

#[test]
fn a_build_that_is_interrupted_leaves_a_clean_store_that_the_next_one_uses() {
    let workspace = slow();
    let ingest = workspace.store().join("ingest");
    for (signal, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1)] {
        if is_ignored(number) {
            // As under nohup: what ignores a signal hands that down.
            continue;
        }
        let child = start(&workspace, &["build", "//:x"]);
        until("a blob being written", || names(&ingest).iter().any(|name| name.starts_with(".tmp")));
        sleep(Duration::from_millis(50));
        let status = interrupt(child, signal);
        assert_eq!(status.signal(), Some(number), "{signal}: {status}");
        assert_eq!(names(&ingest), Vec::<String>::new(), "{signal}");
        let leases = names(&workspace.store().join("locks"));
        assert!(!leases.iter().any(|name| name.starts_with("lease-")), "{signal}: {leases:?}");
    }
    workspace.write("BUILD.star", "image(name = 'x', layers = [files(srcs = ['src/1'])])");
    workspace.build("//:x");
}

#[test]
fn an_output_that_is_interrupted_is_not_there() {
    let workspace = slow();
    workspace
        .write("BUILD.star", "image(name = 'x', layers = [files(srcs = ['src'], dest = '/%d' % n) for n in range(3)])");
    workspace.build("//:x");
    fs::create_dir(workspace.path("out")).unwrap();
    for output in ["tar:out/x.tar", "oci-archive:out/x.tar", "dir:out/x"] {
        let child = start(&workspace, &["build", "//:x", "-o", output]);
        until(output, || !names(&workspace.path("out")).is_empty());
        let status = interrupt(child, "-INT");
        assert!(status.signal() == Some(2) || status.success(), "{output}: {status}");
        let left = names(&workspace.path("out"));
        // It may have been quicker than the signal.
        assert!(left.is_empty() || left == ["x.tar"] || left == ["x"], "{output}: {left:?}");
        let _ = fs::remove_file(workspace.path("out/x.tar"));
        let _ = fs::remove_dir_all(workspace.path("out/x"));
    }
}

#[test]
fn a_commit_whose_fetch_is_interrupted_leaves_no_git_behind() {
    if !crate::git::repository::is_git_installed() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/lib.git", listener.local_addr().unwrap());
    let spec = format!("image(name = 'x', layers = [archive(src = git(url = '{url}'))])");
    let workspace = Workspace::new().file("BUILD.star", spec);
    let child = start(&workspace, &["lock"]);
    let (mut server, _) = listener.accept().unwrap();
    let status = interrupt(child, "-TERM");
    assert_eq!(status.signal(), Some(15), "{status}");
    assert_eq!(names(&workspace.store().join("ingest")), Vec::<String>::new());
    // The request, and then the end: nobody holds the connection.
    server.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    io::copy(&mut server, &mut io::sink()).expect("git is gone");
}
