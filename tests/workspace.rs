//! A workspace in a temporary directory and the `ocify` command in it, so that a test reads as a story.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A workspace with a store of its own.
pub struct Workspace {
    directory: TempDir,
}

/// What a command left behind.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Workspace {
    /// An empty workspace.
    pub fn new() -> Self {
        let workspace = Workspace { directory: tempfile::tempdir().unwrap() };
        workspace.file("ocify.toml", "")
    }

    /// With a file, its directories made as needed.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// With a file that its owner may execute.
    pub fn executable(self, path: &str, content: &str) -> Self {
        self.write(path, content);
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// With a symbolic link.
    pub fn link(self, path: &str, target: &str) -> Self {
        std::os::unix::fs::symlink(target, self.path(path)).unwrap();
        self
    }

    /// Writes a file in the middle of a story.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Where a path of the workspace is on disk.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// The workspace's directory.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("workspace")
    }

    /// The store's directory.
    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// A command line of `ocify` in the workspace, not run yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocify"));
        command.args(arguments).current_dir(self.root()).env("OCIFY_STORE", self.store());
        // Whoever runs the tests may be logged in somewhere, behind a proxy, or a service.
        command.env("HOME", self.directory.path()).env("NO_PROXY", "127.0.0.1");
        for name in ["CI", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs `ocify` in the workspace.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::from(self.command(arguments).output().unwrap())
    }

    /// Runs `ocify`, which must succeed, and returns its stdout.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "ocify {arguments:?} failed:\n{}{}", run.stdout, run.stderr);
        run.stdout
    }

    /// Builds one target, which must succeed, and returns its digest.
    #[track_caller]
    pub fn build(&self, target: &str) -> String {
        digest(&self.ok(&["build", target]))
    }

    /// Runs `ocify`, which must end with `code`, and returns its stderr.
    #[track_caller]
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, code, "ocify {arguments:?}:\n{}{}", run.stdout, run.stderr);
        assert_eq!(run.stdout, "", "a failed command prints no data");
        run.stderr
    }

    /// Builds one target and reads its files back: path, mode, owner and content or link.
    #[track_caller]
    pub fn tree(&self, target: &str) -> Vec<String> {
        let tar = self.path("tree.tar");
        self.ok(&["build", target, "-o", &format!("tar:{}", tar.display())]);
        list(&tar)
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Run {
            code: output.status.code().expect("ocify was not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The digest in a line `//label sha256:...`.
#[track_caller]
pub fn digest(line: &str) -> String {
    line.split_whitespace().nth(1).unwrap_or_else(|| panic!("no digest in {line:?}")).to_owned()
}

/// The entries of a tar file, a line each: `path mode uid:gid content`.
pub fn list(tar: &Path) -> Vec<String> {
    use std::io::Read;

    let mut archive = tar::Archive::new(fs::File::open(tar).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = String::new();
        match entry.link_name_bytes() {
            Some(target) => content = format!("-> {}", String::from_utf8_lossy(&target)),
            None => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                content.push_str(&String::from_utf8_lossy(&bytes).replace('\n', "|"));
            }
        }
        let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        format!("{path} {mode:04o} {uid}:{gid} {content}").trim_end().to_owned()
    });
    entries.collect()
}
