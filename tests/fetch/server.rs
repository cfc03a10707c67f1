//! A small HTTP/1.1 server, with and without TLS.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

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
        let tls = (scheme == "https").then(crate::certificate::server_config);
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
