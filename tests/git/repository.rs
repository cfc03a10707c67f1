//! A repository made by the program git, always with the same commits.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fetch::server::{Server, respond};

/// True if there is a git to test with. In CI there has to be one.
pub fn is_git_installed() -> bool {
    let installed = Command::new("git").arg("--version").output().is_ok_and(|output| output.status.success());
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(installed || !is_ci, "these tests need the program git");
    if !installed {
        eprintln!("without git this test tests nothing");
    }
    installed
}

/// A repository with a working tree.
pub struct Repository {
    pub path: PathBuf,
}

impl Repository {
    pub fn new(path: PathBuf) -> Self {
        Repository::of_format(path, "sha1")
    }

    pub fn of_format(path: PathBuf, format: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        let repository = Repository { path };
        repository.git(&["init", "--quiet", "--initial-branch=main", "--template=", "--object-format", format]);
        repository
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Commits all that is there and returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.id("HEAD")
    }

    /// A copy in `bare`, and a server of its files that knows nothing of git, with the copy as `lib.git`.
    pub fn served(&self, bare: PathBuf) -> (Repository, Server) {
        self.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
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

    pub fn id(&self, name: &str) -> String {
        self.git(&["rev-parse", name])
    }

    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_reading(arguments, b"")
    }

    #[track_caller]
    pub fn git_reading(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut child = git(&self.path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// git without anybody's settings, at one moment of one person's life.
fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(directory);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").args(["-c", "core.safecrlf=false"]);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.com");
        command.env(format!("GIT_{who}_DATE"), "1700000000 +0000");
    }
    command
}
