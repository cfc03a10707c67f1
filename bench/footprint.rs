//! `cargo bench --bench footprint`: how long the command takes to start, and how much memory large layers take. Prints a
//! table with what each figure must stay below; a figure above it is marked, not a failure, as machines differ.

mod child;
mod random;
mod tree;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::child::Finished;
use crate::random::Random;

fn main() {
    println!("{:44} {:>12} {:>12}", "what", "measured", "goal");
    let workspace = TempDir::new().unwrap();
    let root = workspace.path();
    fs::write(root.join("ocify.toml"), "").unwrap();

    time("ocify --version", root, &["--version"], 10.0);
    fs::write(root.join("BUILD.star"), "image(name = 'x', cmd = ['/bin/true'])\n").unwrap();
    time("evaluation of one target", root, &["query", "//..."], 25.0);

    fs::write(root.join("BUILD.star"), "image(name = 'x', layers = [files(srcs = ['tree'])])\n").unwrap();
    let mut random = Random(42);
    // 24 files of text and 16 that no encoder makes smaller.
    let part = |number| if number < 24 { words(&mut random) } else { random.bytes() };
    tree::large_files(&root.join("tree"), part);
    memory("layer of 1 GiB in 40 files", root, 250);
    fs::remove_dir_all(root.join("tree")).unwrap();
    let mut random = Random(43);
    tree::many_files(&root.join("tree"), 400, || words(&mut random));
    memory("layer of 200,000 files", root, 600);
}

/// The median of 21 runs, and what it must stay below, in milliseconds.
fn time(what: &str, root: &Path, arguments: &[&str], goal: f64) {
    let mut times: Vec<f64> = (0..21).map(|_| ocify(root, arguments).seconds * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    row(what, &format!("{median:.1} ms"), &format!("{goal} ms"), median > goal);
}

/// The peak memory of a build into an empty store, in MiB, and what it must stay below.
fn memory(what: &str, root: &Path, goal: u64) {
    let run = ocify(root, &["build", "//:x", "--quiet", "--store", "store"]);
    fs::remove_dir_all(root.join("store")).unwrap();
    let mebibytes = run.peak_kib / 1024;
    let measured = format!("{mebibytes} MiB");
    row(&format!("{what} ({:.1} s)", run.seconds), &measured, &format!("{goal} MiB"), mebibytes > goal);
}

fn row(what: &str, measured: &str, goal: &str, above: bool) {
    println!("{what:44} {measured:>12} {goal:>12}{}", if above { "  above" } else { "" });
}

fn ocify(root: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocify"));
    let run = child::run(command.args(arguments).current_dir(root).stdin(Stdio::null()).stdout(Stdio::null()));
    assert!(run.success);
    run
}

fn words(random: &mut Random) -> Vec<u8> {
    const WORDS: [&str; 8] = ["layer ", "image ", "manifest ", "the ", "of ", "digest\n", "reference ", "and "];
    (0..40).flat_map(|_| WORDS[random.below(WORDS.len())].bytes()).collect()
}
