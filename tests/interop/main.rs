//! What we write, other tools read, and the other way round: skopeo, umoci, podman, buildah and docker-registry of the
//! machine.
//!
//! Not part of `cargo test`, which needs only Rust and a C compiler: `cargo test --test interop`. A missing tool is a
//! failure, not a test left out.

mod agreement;
mod bases;
mod busybox;
#[path = "../dockerfile/case.rs"]
#[allow(dead_code, reason = "the stories here build with other builders")]
mod case;
#[path = "../certificate.rs"]
#[allow(dead_code, reason = "the registries here have certificates of their own")]
mod certificate;
mod client;
#[path = "../dockerfile/corpus/mod.rs"]
mod corpus;
mod distribution;
mod dockerfiles;
mod foreign;
mod images;
mod imports;
mod journey;
mod packages;
#[path = "../sandbox/program.rs"]
#[allow(dead_code, reason = "the stories here use a part of it")]
mod program;
#[path = "../dockerfile/real.rs"]
mod real;
mod registries;
#[path = "../registry/server/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the stories here use the faults and the token server")]
mod server;
#[path = "../workspace.rs"]
#[allow(dead_code, reason = "the stories here use a part of the builder")]
mod workspace;

use std::path::PathBuf;
use std::process::Command;

use workspace::Workspace;

/// Runs a tool, which must be there and succeed, and returns its stdout.
#[track_caller]
fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("{program} is needed for this test ({error}); install Debian's package `{program}`")
    });
    assert!(
        output.status.success(),
        "{program} {arguments:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Debian's busybox, which needs no libraries.
fn busybox() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("busybox")).find(|path| path.exists());
    found.expect("busybox is needed for this test; install Debian's package `busybox-static`")
}

/// A policy that takes unsigned images, for machines without one.
fn policy(workspace: &Workspace) -> String {
    workspace.write("policy.json", r#"{"default": [{"type": "insecureAcceptAnything"}]}"#);
    workspace.path("policy.json").display().to_string()
}
