//! Programs that keep credentials: `docker-credential-NAME` (docker-credential-helpers, "Development").

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::credentials::{Credential, CredentialError};
use super::secret::{Secret, one_line};

/// The most of a helper's output that is read, in bytes.
const LARGEST: u64 = 64 << 10;

/// How long a helper may take; some ask a person.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a helper says and is told.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message<S> {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    username: String,
    secret: S,
}

/// The credentials that a helper has for a server; `None` if it has none.
pub(super) fn get(name: &str, server: &str) -> Result<Option<Credential>, CredentialError> {
    let answer = run(name, "get", server.as_bytes())?;
    if !answer.success {
        let said = String::from_utf8_lossy(&answer.stdout);
        if said.contains("credentials not found") || said.contains("no credentials server URL") {
            return Ok(None);
        }
        return Err(failed(name, answer.problem(None)));
    }
    // The parser's own message may quote a value.
    let message: Message<Secret> = serde_json::from_slice(&answer.stdout)
        .map_err(|_| failed(name, "its answer is not the JSON that it should be".into()))?;
    Ok((!message.secret.is_empty()).then(|| Credential::of(message.username, message.secret)))
}

/// Has a helper keep credentials.
pub(super) fn store(name: &str, server: &str, credential: &Credential) -> Result<(), CredentialError> {
    let (username, secret) = credential.parts();
    let message = Message { server_url: server.to_owned(), username: username.to_owned(), secret: secret.reveal() };
    let message = serde_json::to_vec(&message).map_err(|error| failed(name, error.to_string()))?;
    let answer = run(name, "store", &message)?;
    if answer.success { Ok(()) } else { Err(failed(name, answer.problem(Some(secret)))) }
}

/// Has a helper forget the credentials for a server; false if it says that it had none.
pub(super) fn erase(name: &str, server: &str) -> Result<bool, CredentialError> {
    if get(name, server)?.is_none() {
        return Ok(false);
    }
    let answer = run(name, "erase", server.as_bytes())?;
    if answer.success { Ok(true) } else { Err(failed(name, answer.problem(None))) }
}

struct Answer {
    success: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Answer {
    /// What a helper that failed says: on stderr, or as many do on stdout. Where JSON may begin, or the word is of a
    /// secret, it may be one.
    fn problem(&self, secret: Option<&Secret>) -> String {
        let said = if self.stderr.trim_ascii().is_empty() { &self.stdout } else { &self.stderr };
        let said = String::from_utf8_lossy(said);
        if said.contains(['{', '"']) || said.to_ascii_lowercase().contains("secret") {
            return "it failed, and what it says may be a secret".into();
        }
        let said = secret.map_or_else(|| said.clone().into_owned(), |secret| secret.redacted(&said));
        match one_line(&said) {
            line if line.is_empty() => "it failed without a word".into(),
            line => line,
        }
    }
}

/// Runs a helper with `input` on its stdin.
fn run(name: &str, verb: &str, input: &[u8]) -> Result<Answer, CredentialError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(failed(name, "that is not the name of a helper".into()));
    }
    let io_failed = |error: io::Error| failed(name, error.to_string());
    let mut child = Command::new(format!("docker-credential-{name}"))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io_failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_owned();
        // A helper that does not read has its reasons; its exit says which.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let stdout = child.stdout.take().map(in_background);
    let stderr = child.stderr.take().map(in_background);
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().map_err(io_failed)? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(name, format!("it has not answered within {} seconds", PATIENCE.as_secs())));
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    // What a helper started may hold its pipes open.
    let rest = |output: Option<mpsc::Receiver<Vec<u8>>>| {
        output.and_then(|output| output.recv_timeout(Duration::from_secs(5)).ok()).unwrap_or_default()
    };
    Ok(Answer { success: status.success(), stdout: rest(stdout), stderr: rest(stderr) })
}

/// Reads what a process writes, up to the limit; the rest is thrown away, so that the process can end.
fn in_background(mut output: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = output.by_ref().take(LARGEST).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
        let _ = io::copy(&mut output, &mut io::sink());
    });
    receiver
}

fn failed(name: &str, reason: String) -> CredentialError {
    CredentialError::Helper { name: name.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_paths_are_not_run() {
        for name in ["", "../x", "a/b", "a b", "a;b"] {
            let error = get(name, "r.example").unwrap_err();
            assert!(error.to_string().contains("not the name of a helper"), "{error}");
        }
    }

    #[test]
    fn what_a_failed_helper_says_has_no_secret_in_it() {
        let answer =
            |stdout: &[u8], stderr: &[u8]| Answer { success: false, stdout: stdout.into(), stderr: stderr.into() };
        let secret = Secret::new("hunter2");
        let said = answer(b"", b"cannot keep\nhunter2 (aHVudGVyMg==)").problem(Some(&secret));
        assert_eq!(said, "cannot keep ... (...)");
        for (stdout, stderr) in [(r#"{"Secret": "x"}"#, ""), ("", r#"got {"Secret": "x"}"#), ("", "secret: x")] {
            let said = answer(stdout.as_bytes(), stderr.as_bytes()).problem(None);
            assert_eq!(said, "it failed, and what it says may be a secret");
        }
        assert_eq!(answer(b"locked\n", b" ").problem(None), "locked");
    }
}
