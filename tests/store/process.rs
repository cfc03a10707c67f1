//! The child processes of the store's tests: this test binary once more, running one task.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ocify::digest::{DiffId, Digest};
use ocify::entry::{Content, Entry, Kind, Metadata, Origin};
use ocify::path::ImagePath;
use ocify::store::{Store, StoreError};

use super::{big_content, counted_content, descriptor, large_content, publish, publish_many};

const ORDER: &str = "OCIFY_TEST_STORE_CHILD";
const MARK: &str = "@step ";

/// This test binary once more, running [`child`] only.
pub struct Process {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub fn start(root: &Path, task: &str) -> Process {
        Process::spawn(Command::new(std::env::current_exe().unwrap()), root, task)
    }

    /// With a limit of 32 KiB on every file, and the signal that comes with it ignored, as a full disk has none.
    pub fn start_on_full_disk(root: &Path, task: &str) -> Process {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"trap "" XFSZ; ulimit -f 64; exec "$@""#, "sh"]).arg(std::env::current_exe().unwrap());
        Process::spawn(shell, root, task)
    }

    fn spawn(mut command: Command, root: &Path, task: &str) -> Process {
        command.args(["--exact", "store::process::child", "--nocapture", "--test-threads=1"]);
        command.env(ORDER, format!("{task}@{}", root.display()));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Process { process, input, output }
    }

    pub fn wait_for(&mut self, step: &str) {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if line.trim_end().strip_prefix(MARK) == Some(step) {
                return;
            }
            line.clear();
        }
        panic!("the child ended before `{step}`");
    }

    pub fn go_on(&mut self) {
        self.input.write_all(b"\n").unwrap();
    }

    /// Kills with SIGKILL; returns what it had reported meanwhile.
    pub fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let lines = self.output.lines().map(|line| line.unwrap());
        lines.filter_map(|line| line.strip_prefix(MARK).map(str::to_owned)).collect()
    }

    pub fn finish(mut self) {
        drop(self.input);
        let mut output = String::new();
        self.output.read_to_string(&mut output).unwrap();
        assert!(self.process.wait().unwrap().success(), "{output}");
    }
}

/// Not a test of its own: what the child processes of the tests above do.
#[test]
fn child() {
    let Some(order) = std::env::var_os(ORDER).and_then(|order| order.into_string().ok()) else { return };
    let (task, root) = order.split_once('@').unwrap();
    let store = Store::open(root).unwrap();
    let report = |step: &str| println!("\n{MARK}{step}");
    let pause = |step: &str| {
        report(step);
        std::io::stdin().read_line(&mut String::new()).unwrap();
    };
    match task.split_once(' ').unwrap_or((task, "")) {
        ("publish", writer) => publish_many(&store, writer.parse().unwrap()),
        ("steps", _) => {
            let content = big_content();
            let (first, second) = content.split_at(content.len() / 2);
            let mut ingest = store.ingest().unwrap();
            pause("created");
            ingest.write_all(first).unwrap();
            ingest.flush().unwrap();
            pause("half");
            ingest.write_all(second).unwrap();
            pause("whole");
            let (digest, size) = ingest.commit().unwrap();
            pause("committed");
            store.set_references(&[("web".to_owned(), descriptor(digest, size))]).unwrap();
            pause("referenced");
        }
        ("count", _) => {
            for n in 0.. {
                publish(&store, "count", &counted_content(n)).unwrap();
                report(&n.to_string());
            }
        }
        ("large", _) => {
            for n in 0.. {
                publish(&store, "count", &large_content(n)).unwrap();
                report(&n.to_string());
            }
        }
        ("reopen", _) => {
            for n in 0..20 {
                publish(&Store::open(root).unwrap(), "large", &large_content(n)).unwrap();
            }
        }
        ("hold", _) => {
            let lock = std::fs::File::options().write(true).open(store.root().join("locks/index.lock")).unwrap();
            lock.lock().unwrap();
            pause("locked");
        }
        ("lease", hex) => {
            let leased = store.leased().unwrap();
            leased.contains(&Digest::from_hex(hex).unwrap()).unwrap();
            pause("leased");
        }
        ("fill", _) => fill(&store),
        (other, _) => panic!("no task {other}"),
    }
}

/// Files cannot grow beyond 32 KiB here, which is less than the store's buffers.
fn fill(store: &Store) {
    let content = big_content();
    let mut ingest = store.ingest().unwrap();
    let error = ingest.write_all(&content).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    assert!(ingest.commit().is_err(), "half a blob must not be stored, whoever asks");

    let error = store.put_blob(&content[..40_000]).unwrap_err();
    let StoreError::Io { action: "write", path, source } = &error else { panic!("{error:?}") };
    assert!(path.starts_with(store.root().join("blobs")), "{error}");
    assert_eq!(source.kind(), std::io::ErrorKind::FileTooLarge);

    let diff_id = DiffId(Digest::of(b"layer"));
    let entries: Vec<Entry> = (0..1_000).map(|n| file_entry(n, diff_id)).collect();
    assert!(store.put_layer_index(&diff_id, &entries).is_err());
    assert_eq!(store.layer_index(&diff_id).unwrap(), None);
    publish(store, "small", b"fits").unwrap();
}

fn file_entry(n: u64, diff_id: DiffId) -> Entry {
    let content = Content { size: n, digest: diff_id.0, origin: Origin::Layer { diff_id, offset: n * 512 } };
    let path = ImagePath::parse(format!("usr/share/some/package/file-{n:06}.txt")).unwrap();
    Entry { path, metadata: Metadata::root_owned(0o644, 0), kind: Kind::File { content } }
}
