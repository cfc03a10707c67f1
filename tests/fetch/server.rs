//! A small HTTP/1.1 server, with and without TLS.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A connection as the handler of a [`Server`] sees it.
pub trait Stream: Read + Write {
    /// The server's own address, for a `Location`.
    fn host(&self) -> String;
}

/// An HTTP/1.1 server with one request a connection. Its threads end with the process.
pub struct Server {
    scheme: &'static str,
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(handler: impl Fn(&str, &mut dyn Stream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Server::listen("http", handler)
    }

    pub fn start_tls(handler: impl Fn(&str, &mut dyn Stream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Server::listen("https", handler)
    }

    fn listen(
        scheme: &'static str,
        handler: impl Fn(&str, &mut dyn Stream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (handler, seen) = (Arc::new(handler), requests.clone());
        let tls = (scheme == "https").then(server_config);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (handler, seen, tls) = (handler.clone(), seen.clone(), tls.clone());
                // A client that hangs up ends its connection's thread with an error, which is nobody's concern.
                thread::spawn(move || {
                    let tcp = stream?;
                    match tls {
                        None => serve(Plain(tcp, address), &seen, &*handler),
                        Some(tls) => {
                            let connection = rustls::ServerConnection::new(tls).unwrap();
                            let mut stream = rustls::StreamOwned::new(connection, tcp);
                            serve(Plain(&mut stream, address), &seen, &*handler)?;
                            stream.conn.send_close_notify();
                            stream.flush()
                        }
                    }
                });
            }
        });
        Server { scheme, address, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}/{path}", self.scheme, self.address)
    }

    /// The paths that were asked for so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

struct Plain<S>(S, SocketAddr);

impl<S: Read> Read for Plain<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Plain<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Stream for Plain<S> {
    fn host(&self) -> String {
        self.1.to_string()
    }
}

fn serve(
    mut stream: impl Stream,
    seen: &Mutex<Vec<String>>,
    handler: &dyn Fn(&str, &mut dyn Stream) -> io::Result<()>,
) -> io::Result<()> {
    let mut path = String::new();
    let mut head = BufReader::new(&mut stream).lines();
    while let Some(line) = head.next().transpose()?.filter(|line| !line.is_empty()) {
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        assert!(!line.to_ascii_lowercase().starts_with("authorization"), "{line}");
    }
    seen.lock().unwrap().push(path.clone());
    handler(&path, &mut stream)?;
    stream.flush()
}

pub fn respond(stream: &mut dyn Stream, status: &str, headers: &[&str], body: &[u8]) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len())?;
    for header in headers {
        write!(stream, "{header}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(body)
}

pub fn endless(stream: &mut dyn Stream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    loop {
        stream.write_all(&[0; 4096])?;
    }
}

fn server_config() -> Arc<rustls::ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key: Vec<u8> =
        KEY.as_bytes().chunks(2).map(|hex| u8::from_str_radix(str::from_utf8(hex).unwrap(), 16).unwrap()).collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(key.into());
    Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
}

/// An authority made for these tests, valid from 1975 to 2999; its key was thrown away.
pub const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBUTCB+KADAgECAgEBMAoGCCqGSM49BAMCMB8xHTAbBgNVBAMMFG9jaWZ5IHRl
c3QgYXV0aG9yaXR5MCAXDTc1MDEwMTAwMDAwMFoYDzI5OTkxMjMxMDAwMDAwWjAf
MR0wGwYDVQQDDBRvY2lmeSB0ZXN0IGF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABOTw6RuZ4XJnXwHQp/GsF5G+dzPdNt7no+AQWE9c4bcjO8Ar3soI
wIkPlIsxLaKBBVuYgLyWxi2hzImGnStfaPajIzAhMA8GA1UdEwEB/wQFMAMBAf8w
DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMCA0gAMEUCIAX73A1oDQebWQ/AVRBH
R5uv/JXX0Tc+yWTZHcv5uQikAiEAlcIKalW6eymt1dkcWS3nuB4Ru0Ul8gI7Qvqq
lCMTwW4=
-----END CERTIFICATE-----
";

/// The certificate of that authority for 127.0.0.1.
pub const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBZTCCAQugAwIBAgIBAjAKBggqhkjOPQQDAjAfMR0wGwYDVQQDDBRvY2lmeSB0
ZXN0IGF1dGhvcml0eTAgFw03NTAxMDEwMDAwMDBaGA8yOTk5MTIzMTAwMDAwMFow
FDESMBAGA1UEAwwJMTI3LjAuMC4xMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
WpMA9SefS7IR0jqglUrIKn+QwJCqWzMtCcbKm48yudgwQbuzmje39tKqzbKbsr5d
erwT3dv8L95Y5AjCS16K1qNBMD8wGgYDVR0RBBMwEYcEfwAAAYIJbG9jYWxob3N0
MAwGA1UdEwEB/wQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEwCgYIKoZIzj0EAwID
SAAwRQIgYeuiH4DULN/hBotYaRLGyniURtgnYsc34VKaH38d7oQCIQC/IXmxLUPS
V+XXhSqsL86l9j/Io7zxjYyv71DuXO4dCQ==
-----END CERTIFICATE-----
";

/// The certificate's key, PKCS #8 in hexadecimal digits. It protects nothing.
const KEY: &str = "\
308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420c7c94e154662b1ed417913c22b31\
785cdae0f4bc6ec7ceb9075919a8fb955e56a144034200045a9300f5279f4bb211d23aa0954ac82a7f90c090aa5b332d09c6\
ca9b8f32b9d83041bbb39a37b7f6d2aacdb29bb2be5d7abc13dddbfc2fde58e408c24b5e8ad6";
