//! Debian's `docker-registry` 2.8 on a free port of 127.0.0.1: plain, with passwords, with TLS and with tokens.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tempfile::TempDir;

use crate::server::Listener;
use crate::server::tokens::{Grant, TokenServer};
use crate::tool;

/// How a registry wants to be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Plain,
    /// `htpasswd`, with bcrypt.
    Basic,
    /// A certificate of an authority that nobody knows.
    Tls,
    /// Signed tokens from a server of the tests' own.
    Token,
}

impl Flavour {
    pub const ALL: [Flavour; 4] = [Flavour::Plain, Flavour::Basic, Flavour::Tls, Flavour::Token];
}

pub const USER: &str = "me";
/// With what must be quoted in a form and in JSON.
pub const PASSWORD: &str = "canary \"p&ss=w%rd\" \\ +é";

/// A running registry, which is killed when this is dropped.
pub struct Distribution {
    process: Child,
    directory: TempDir,
    flavour: Flavour,
    host: String,
    tokens: Option<Listener>,
}

impl Distribution {
    /// Starts an empty one, and returns when it listens.
    pub fn start(flavour: Flavour) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let mut http = json!({"addr": "127.0.0.1:0", "secret": "of the tests"});
        let (mut auth, mut tokens) = (json!({}), None);
        match flavour {
            Flavour::Plain => {}
            Flavour::Basic => {
                tool("htpasswd", &["-cbB", "-C", "4", &at("htpasswd"), USER, PASSWORD]);
                auth = json!({"htpasswd": {"realm": "tests", "path": at("htpasswd")}});
            }
            Flavour::Tls => {
                certificate_authority(directory.path());
                http["tls"] = json!({"certificate": at("server.crt"), "key": at("server.key")});
            }
            Flavour::Token => {
                let listener = token_server(directory.path());
                let realm = format!("http://{}/token", listener.host());
                let bundle = at("tokens.crt");
                auth = json!({"token": {"realm": realm, "service": "registry", "issuer": "tests", "rootcertbundle": bundle}});
                tokens = Some(listener);
            }
        }
        let storage = json!({"filesystem": {"rootdirectory": at("storage")}, "delete": {"enabled": true}});
        let log = json!({"level": "info", "accesslog": {"disabled": true}});
        // YAML is a superset of JSON.
        let mut config = json!({"version": "0.1", "log": log, "storage": storage, "http": http});
        if flavour == Flavour::Basic || flavour == Flavour::Token {
            config["auth"] = auth;
        }
        std::fs::write(at("config.yml"), config.to_string()).unwrap();
        let mut process = Command::new("docker-registry")
            .args(["serve", &at("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("docker-registry is needed ({error}); install Debian's package `docker-registry`")
            });
        let host = listening(&mut process);
        Distribution { process, directory, flavour, host, tokens }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The certificate of the authority, of [`Flavour::Tls`].
    pub fn authority(&self) -> Option<PathBuf> {
        (self.flavour == Flavour::Tls).then(|| self.directory.path().join("authority/ca.crt"))
    }

    /// The server of tokens, of [`Flavour::Token`].
    pub fn tokens(&self) -> &Listener {
        self.tokens.as_ref().expect("only Flavour::Token has a token server")
    }

    /// A file of credentials, as Docker writes it, for this registry at `host`: its own, or that of a proxy.
    pub fn credentials(&self, host: &str) -> PathBuf {
        let path = self.directory.path().join(format!("credentials for {host}.json"));
        let auths = match self.is_guarded() {
            true => json!({host: {"auth": STANDARD.encode(format!("{USER}:{PASSWORD}"))}}),
            false => json!({}),
        };
        std::fs::write(&path, json!({"auths": auths}).to_string()).unwrap();
        path
    }

    /// Whether it wants a name and a password.
    pub fn is_guarded(&self) -> bool {
        matches!(self.flavour, Flavour::Basic | Flavour::Token)
    }

    /// `skopeo copy`, where one of the two is in this registry.
    pub fn skopeo_copy(&self, options: &[&str], from: &str, to: &str) -> String {
        let side = if from.starts_with("docker://") { "src-" } else { "dest-" };
        self.skopeo(&[&["--insecure-policy", "copy"], options].concat(), side, &[from, to])
    }

    /// `skopeo inspect` of an image in this registry.
    pub fn skopeo_inspect(&self, image: &str) -> String {
        self.skopeo(&["inspect"], "", &[image])
    }

    /// skopeo with what it needs for this registry.
    fn skopeo(&self, command: &[&str], side: &str, places: &[&str]) -> String {
        let option = |name: &str, value: &str| format!("--{side}{name}={value}");
        let access = match self.flavour {
            Flavour::Tls => option("cert-dir", &self.directory.path().join("authority").display().to_string()),
            _ => option("tls-verify", "false"),
        };
        let user = option("creds", &format!("{USER}:{PASSWORD}"));
        let user = if self.is_guarded() { vec![user.as_str()] } else { Vec::new() };
        tool("skopeo", &[command, &[access.as_str()], &user, places].concat())
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        // It may have ended by itself, which its own test has noticed.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Where the registry listens, which it says in its log. The rest of the log is read, so that it can go on.
fn listening(process: &mut Child) -> String {
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut seen = String::new();
    for line in log.by_ref() {
        let line = line.unwrap();
        if let Some((_, rest)) = line.split_once("listening on ") {
            let end = rest.find(|c: char| !c.is_ascii_digit() && !".:".contains(c)).unwrap_or(rest.len());
            let host = rest[..end].to_owned();
            thread::spawn(move || log.count());
            return host;
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    panic!("docker-registry ended before it listened:\n{seen}");
}

/// `authority/ca.crt`, and a certificate of it for 127.0.0.1: `server.crt` and `server.key`.
fn certificate_authority(directory: &Path) {
    let at = |name: &str| directory.join(name).display().to_string();
    std::fs::create_dir(at("authority")).unwrap();
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let (key, authority) = (at("ca.key"), at("authority/ca.crt"));
    openssl(&[&new[..], &["-keyout", &key, "-out", &authority, "-subj", "/CN=authority of the tests"]].concat());
    let (server_key, server) = (at("server.key"), at("server.crt"));
    let signed = ["-CA", &authority, "-CAkey", &key, "-keyout", &server_key, "-out", &server, "-subj", "/CN=registry"];
    let leaf =
        ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"];
    openssl(&[&new[..], &signed, &leaf, &["-addext", "extendedKeyUsage=serverAuth"]].concat());
}

fn openssl(arguments: &[&str]) {
    tool("openssl", arguments);
}

/// A server of tokens as docker-registry takes them: a JWT (RFC 7519) with the certificate of its key in `x5c`, which is
/// `tokens.crt`.
fn token_server(directory: &Path) -> Listener {
    let at = |name: &str| directory.join(name).display().to_string();
    let (key, certificate) = (at("tokens.key"), at("tokens.crt"));
    let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens of the tests"];
    openssl(&[&new[..], &["-keyout", &key, "-out", &certificate]].concat());
    let certificate = STANDARD.encode(CertificateDer::from_pem_file(certificate).unwrap());
    let key = any_supported_type(&PrivateKeyDer::from_pem_file(key).unwrap()).unwrap();
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).unwrap();
    let server = TokenServer {
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
        anonymous_pull: false,
        service: "registry".to_owned(),
        lifetime: Duration::from_secs(300),
        mint: Box::new(move |grants| {
            let access: Vec<_> = grants
                .iter()
                .map(|Grant { repository, actions }| json!({"type": "repository", "name": repository, "actions": actions}))
                .collect();
            let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
            // From 1970 to 2100: no clock is needed.
            let (start, end) = (0, 4_102_444_800_u64);
            let claims = json!({
                "iss": "tests", "sub": USER, "aud": "registry", "jti": "1",
                "iat": start, "nbf": start, "exp": end, "access": access,
            });
            let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
            let signature = signer.sign(signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }),
    };
    server.start(None)
}
