//! `cargo bench --bench footprint`: how long the command takes to start, and how much memory large layers take. Prints a
//! table with what each figure must stay below; a figure above it is marked, not a failure, as machines differ.

use std::fs;
use std::io::{BufWriter, Write};
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

fn main() {
    println!("{:44} {:>12} {:>12}", "what", "measured", "goal");
    let workspace = TempDir::new().unwrap();
    let root = workspace.path();
    fs::write(root.join("ocify.toml"), "").unwrap();

    time("ocify --version", root, &["--version"], Duration::from_millis(10));
    fs::write(root.join("BUILD.star"), "image(name = 'x', cmd = ['/bin/true'])\n").unwrap();
    time("evaluation of one target", root, &["query", "//..."], Duration::from_millis(25));

    fs::write(root.join("BUILD.star"), "image(name = 'x', layers = [files(srcs = ['tree'])])\n").unwrap();
    large_files(&root.join("tree"));
    memory("layer of 1 GiB in 40 files", root, 250);
    fs::remove_dir_all(root.join("tree")).unwrap();
    many_files(&root.join("tree"));
    memory("layer of 200,000 files", root, 600);
}

/// The median of 21 runs, and what it must stay below.
fn time(what: &str, root: &Path, arguments: &[&str], goal: Duration) {
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let start = Instant::now();
            assert!(wait(start_in(root, arguments)).success);
            start.elapsed()
        })
        .collect();
    times.sort();
    let median = times[times.len() / 2];
    row(what, &format!("{:.1} ms", median.as_secs_f64() * 1e3), &format!("{} ms", goal.as_millis()), median > goal);
}

/// The peak memory of a build into an empty store, in MiB, and what it must stay below.
fn memory(what: &str, root: &Path, goal: u64) {
    let start = Instant::now();
    let run = wait(start_in(root, &["build", "//:x", "--quiet", "--store", "store"]));
    let took = start.elapsed().as_secs_f64();
    assert!(run.success);
    fs::remove_dir_all(root.join("store")).unwrap();
    let mebibytes = run.peak_kib / 1024;
    let measured = format!("{mebibytes} MiB");
    row(&format!("{what} ({took:.1} s)"), &measured, &format!("{goal} MiB"), mebibytes > goal);
}

fn row(what: &str, measured: &str, goal: &str, above: bool) {
    println!("{what:44} {measured:>12} {goal:>12}{}", if above { "  above" } else { "" });
}

fn start_in(root: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocify"));
    command.args(arguments).current_dir(root).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

struct Finished {
    success: bool,
    peak_kib: u64,
}

/// Waits for a child and asks the kernel for its peak memory, which the standard library does not.
fn wait(child: Child) -> Finished {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live values of the types that wait4(2) fills; the child is ours and not waited for.
    let pid = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, usage.as_mut_ptr()) };
    assert_eq!(pid, child.id() as libc::pid_t);
    // SAFETY: all-zero bytes are a valid rusage, and the kernel has filled it.
    let usage = unsafe { usage.assume_init() };
    Finished { success: status == 0, peak_kib: usage.ru_maxrss as u64 }
}

/// 24 files of text and 16 that no encoder makes smaller.
fn large_files(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    let mut random = Random(42);
    for number in 0..40 {
        let mut file = BufWriter::new(fs::File::create(directory.join(format!("{number:02}"))).unwrap());
        let mut left = (1 << 30) / 40;
        while left > 0 {
            let line = if number < 24 { random.words() } else { random.bytes() };
            let part = &line[..line.len().min(left)];
            file.write_all(part).unwrap();
            left -= part.len();
        }
    }
}

fn many_files(directory: &Path) {
    let mut random = Random(43);
    for outer in 0..500 {
        let directory = directory.join(format!("{outer:03}"));
        fs::create_dir_all(&directory).unwrap();
        for inner in 0..400 {
            fs::write(directory.join(format!("{inner:03}.txt")), random.words()).unwrap();
        }
    }
}

/// Marsaglia's xorshift64: the same data in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..512).flat_map(|_| self.next().to_le_bytes()).collect()
    }

    fn words(&mut self) -> Vec<u8> {
        const WORDS: [&str; 8] = ["layer ", "image ", "manifest ", "the ", "of ", "digest\n", "reference ", "and "];
        (0..40).flat_map(|_| WORDS[self.next() as usize % WORDS.len()].bytes()).collect()
    }
}
