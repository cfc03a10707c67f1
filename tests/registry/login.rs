//! `ocify login` and `ocify logout`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::place::PASSWORD;
use super::server::{Auth, Options, Server};

struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        Home { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Exit code and stderr, in which the password never is.
    #[track_caller]
    fn run(&self, arguments: &[&str], stdin: &str) -> (i32, String) {
        let mut path = self.path("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocify"));
        command.args(arguments).env_clear().env("HOME", self.directory.path()).env("PATH", path);
        command.current_dir(self.directory.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not want it has gone.
        drop(child.stdin.take().unwrap().write_all(stdin.as_bytes()));
        let output = child.wait_with_output().unwrap();
        assert!(output.stdout.is_empty());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains(PASSWORD), "{stderr}");
        (output.status.code().unwrap(), stderr)
    }

    fn config(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.path(".docker/config.json")).unwrap()).unwrap()
    }
}

#[test]
fn a_password_is_checked_kept_and_forgotten() {
    for auth in [Auth::basic("me", PASSWORD), Auth::token("me", PASSWORD)] {
        let server = Server::start(Options { auth, ..Options::default() });
        let (home, host) = (Home::new(), server.host());
        let (code, stderr) = home.run(&["login", "-u", "me", "--password-stdin", &host], "wrong\n");
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("denies access") && !home.path(".docker").exists(), "{stderr}");

        let (code, stderr) = home.run(&["login", "-u", "me", "--password-stdin", &host], &format!("{PASSWORD}\n"));
        assert_eq!(code, 0, "{stderr}");
        assert!(stderr.contains(".docker/config.json"), "{stderr}");
        assert!(home.config()["auths"][&host]["auth"].is_string());
        let mode = fs::metadata(home.path(".docker/config.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let (code, stderr) = home.run(&["logout", &host], "");
        assert_eq!(code, 0, "{stderr}");
        assert!(stderr.contains("removed"), "{stderr}");
        assert_eq!(home.config()["auths"], serde_json::json!({}));
        assert!(home.run(&["logout", &host], "").1.contains("there were no credentials"));
    }
}

#[test]
fn a_helper_keeps_the_password() {
    let server = Server::start(Options { auth: Auth::basic("me", PASSWORD), ..Options::default() });
    let (home, host) = (Home::new(), server.host());
    let kept = home.path("kept");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat > {0};;\nget) cat {0} 2>/dev/null || {{ echo credentials not found in native \
         keychain; exit 1; }};;\nerase) rm {0};;\nesac\n",
        kept.display()
    );
    write(&home.path("bin/docker-credential-test"), &script, 0o755);
    let config = format!(r#"{{"credHelpers": {{"{host}": "test"}}, "auths": {{"other": {{"auth": "eDp5"}}}}}}"#);
    write(&home.path(".docker/config.json"), &config, 0o600);
    let (code, stderr) = home.run(&["login", "-u", "me", "--password-stdin", &host], PASSWORD);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("docker-credential-test"), "{stderr}");
    let message: serde_json::Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    assert_eq!(message, serde_json::json!({"ServerURL": host, "Username": "me", "Secret": PASSWORD}));
    assert_eq!(fs::read_to_string(home.path(".docker/config.json")).unwrap(), config);
    let (code, stderr) = home.run(&["logout", &host], "");
    assert_eq!((code, kept.exists()), (0, false), "{stderr}");

    // What a helper tells besides what it is asked for is nobody's to see.
    let answer = format!(r#"{{"Username": "me", "Secret": "{PASSWORD}""#);
    for (script, reason) in [
        (format!("echo '{answer}}}' >&2; exit 1"), "may be a secret"),
        (format!("echo '{answer}}}'; exit 1"), "may be a secret"),
        (format!("echo '{answer}'"), "not the JSON"),
        (format!("echo '{answer}, \"ServerURL\": 7}}'"), "not the JSON"),
        ("head -c 10000000 /dev/zero".to_owned(), "not the JSON"),
        ("kill $$".to_owned(), "failed without a word"),
    ] {
        write(&home.path("bin/docker-credential-test"), &format!("#!/bin/sh\n{script}\n"), 0o755);
        let (code, stderr) = home.run(&["pull", &format!("{host}/a")], "");
        let words: Vec<&str> = stderr.split_whitespace().filter(|word| *word != "│").collect();
        assert_eq!(code, 1, "{stderr}");
        assert!(words.join(" ").contains(reason) && stderr.len() < 2000, "{script}: {stderr}");
    }

    write(&home.path("bin/docker-credential-test"), "#!/bin/sh\ncat >&2\nexit 3\n", 0o755);
    let (code, stderr) = home.run(&["login", "-u", "me", "--password-stdin", &host], PASSWORD);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("docker-credential-test"), "{stderr}");
}

#[test]
fn what_cannot_be_a_login_is_refused() {
    let home = Home::new();
    for (arguments, stdin, reason) in [
        (&["login", "-u", "me", "localhost:1"][..], "", "no terminal"),
        (&["login", "--password-stdin", "localhost:1"], "x", "--username"),
        (&["login", "-u", "me", "--password-stdin", "https://ghcr.io"], "x", "not a registry"),
        (&["login", "-u", "a:b", "--password-stdin", "localhost:1"], "x", "no `:`"),
        (&["login", "-u", "me", "--password-stdin", "localhost:1"], "\n", "a password has"),
        (&["login", "-u", "me", "-p", "x", "localhost:1"], "", "unexpected argument"),
    ] {
        let (code, stderr) = home.run(arguments, stdin);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(stderr.contains(reason), "{arguments:?}: {stderr}");
    }
    write(&home.path(".config/ocify/config.toml"), "[registry.\"ghcr.io\"]\ninsecur = true\n", 0o644);
    let (code, stderr) = home.run(&["login", "-u", "me", "--password-stdin", "ghcr.io"], "x");
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("insecur") && stderr.contains("config.toml"), "{stderr}");
}

#[test]
fn the_file_of_credentials_keeps_its_place_and_what_else_is_in_it() {
    let server = Server::start(Options { auth: Auth::basic("me", PASSWORD), ..Options::default() });
    let (home, host) = (Home::new(), server.host());
    let login = ["login", "-u", "me", "--password-stdin", &host];
    let others = r#"{"auths": {"other": {"auth": "eDp5", "email": "x"}}, "detachKeys": "ctrl-x", "proxies": {"a": 1}}"#;
    write(&home.path("dotfiles/docker.json"), others, 0o644);
    fs::create_dir(home.path(".docker")).unwrap();
    let link = home.path(".docker/config.json");
    std::os::unix::fs::symlink("../dotfiles/docker.json", &link).unwrap();
    let (code, stderr) = home.run(&login, PASSWORD);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("../dotfiles/docker.json"));
    assert_eq!(fs::metadata(&link).unwrap().permissions().mode() & 0o777, 0o600);
    let mut config = home.config();
    assert!(config["auths"].as_object_mut().unwrap().remove(&host).is_some());
    assert_eq!(config, serde_json::from_str::<serde_json::Value>(others).unwrap());

    // A link to what is not there yet.
    fs::remove_file(home.path("dotfiles/docker.json")).unwrap();
    assert_eq!(home.run(&login, PASSWORD).0, 0);
    assert!(home.config()["auths"][&host].is_object() && fs::read_link(&link).is_ok());
    assert_eq!(fs::read_dir(home.path("dotfiles")).unwrap().count(), 1, "something was left behind");
}

#[test]
fn logins_at_the_same_time_do_not_undo_each_other() {
    let servers: Vec<Server> =
        (0..6).map(|_| Server::start(Options { auth: Auth::basic("me", PASSWORD), ..Options::default() })).collect();
    let home = Home::new();
    std::thread::scope(|scope| {
        for server in &servers {
            let home = &home;
            scope.spawn(move || {
                let (code, stderr) = home.run(&["login", "-u", "me", "--password-stdin", &server.host()], PASSWORD);
                assert_eq!(code, 0, "{stderr}");
            });
        }
    });
    assert_eq!(home.config()["auths"].as_object().unwrap().len(), servers.len());
}

#[test]
fn what_is_no_file_of_credentials_is_neither_waited_for_nor_replaced() {
    let server = Server::start(Options { auth: Auth::basic("me", PASSWORD), ..Options::default() });
    let (home, host) = (Home::new(), server.host());
    fs::create_dir(home.path(".docker")).unwrap();
    let path = home.path(".docker/config.json");
    let huge = || fs::File::create(&path).unwrap().set_len(5 << 20).unwrap();
    let fifo = || assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let directory = || fs::create_dir(&path).unwrap();
    let device = || std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let garbage = || fs::write(&path, format!("{{\"auths\": \"{PASSWORD}\"}}")).unwrap();
    for (make, reason) in [
        (&huge as &dyn Fn(), "larger than"),
        (&fifo, "not a regular file"),
        (&directory, "not a regular file"),
        (&device, "not a regular file"),
        (&garbage, "another type is expected"),
    ] {
        make();
        let before = fs::symlink_metadata(&path).unwrap().file_type();
        for arguments in [&["login", "-u", "me", "--password-stdin", &host][..], &["pull", &format!("{host}/a")]] {
            let (code, stderr) = home.run(arguments, PASSWORD);
            assert_eq!(code, 1, "{stderr}");
            assert!(
                stderr.contains(".docker/config.json") && stderr.replace("\n  │ ", " ").contains(reason),
                "{stderr}"
            );
        }
        assert_eq!(fs::symlink_metadata(&path).unwrap().file_type(), before);
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
