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

    fs::write(root.join("Dockerfile"), dockerfile()).unwrap();
    time("D1 a Dockerfile of 1,000 lines", root, &["lock", "-f", "Dockerfile", "--locked", "--offline", "."], 20.0);

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

/// 1,000 lines: stages of instructions with variables, continuations and heredocs, all of them needed.
fn dockerfile() -> String {
    let mut text = "ARG VERSION=1\nFROM scratch AS s0\n".to_owned();
    for stage in 1..=45 {
        text.push_str(&format!(
            "FROM s{below} AS s{stage}\nARG VERSION TARGETARCH\nENV NAME{stage}=value-${{VERSION:-none}} \\\n    \
             PATH=/opt/{stage}:$PATH\nLABEL stage.{stage}=\"$NAME{stage} of $TARGETARCH\"\nWORKDIR /srv/$VERSION\n\
             # Sources.\nCOPY --chown=1000:1000 --chmod=640 src/{stage}/*.txt ./{stage}/\nCOPY --from=s0 / /s0/\n\
             RUN [\"/bin/make\", \"-C\", \"/srv\", \"all\"]\nCOPY <<EOF /etc/stage{stage}\n\
             version $VERSION\nstage {stage}\nEOF\nEXPOSE 80{stage:02}/tcp\nUSER 1000\nVOLUME /data/{stage}\n\
             USER root\nSTOPSIGNAL SIGTERM\nSHELL [\"/bin/sh\", \"-c\"]\n\
             HEALTHCHECK --interval=5s CMD curl http://localhost\nCMD [\"/srv/run\", \"$VERSION\"]\n",
            below = stage - 1,
        ));
    }
    let lines = text.lines().count();
    assert!((990..=1010).contains(&lines), "{lines} lines");
    text
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
