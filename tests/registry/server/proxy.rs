//! A proxy in front of any registry that speaks plain HTTP, so that faults can befall one that is not ours.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;

use super::http::{Listener, Service};
use super::message::{Request, Response};

/// Passes requests on with their `Host`, so that what the registry says of itself leads through the proxy again.
pub struct Proxy {
    upstream: String,
    /// The registry answers requests without authorization with a challenge.
    guarded: bool,
}

impl Proxy {
    /// In front of the registry at `upstream`, a `host:port`.
    pub fn start(upstream: &str) -> Listener {
        let mut proxy = Proxy { upstream: upstream.to_owned(), guarded: false };
        let ping = Request { method: "GET".to_owned(), target: "/v2/".to_owned(), ..Request::default() };
        proxy.guarded = proxy.answer(&ping).unwrap().status == 401;
        Listener::start(None, |_| proxy)
    }
}

impl Service for Proxy {
    fn refuses(&self, request: &Request) -> bool {
        self.guarded && request.header("authorization").is_none()
    }

    fn answer(&self, request: &Request) -> io::Result<Response> {
        let mut upstream = TcpStream::connect(&self.upstream)?;
        upstream.set_nodelay(true)?;
        let (mut head, mut length) = (format!("{} {} HTTP/1.1\r\n", request.method, request.target), None);
        for (name, value) in &request.headers {
            match name.to_ascii_lowercase().as_str() {
                "connection" | "expect" | "transfer-encoding" => {}
                // More than the body, when a fault has cut it: then the registry waits for the rest in vain.
                "content-length" => length = Some(value.clone()),
                _ => head.push_str(&format!("{name}: {value}\r\n")),
            }
        }
        let length = length.unwrap_or_else(|| request.body.len().to_string());
        if request.header("host").is_none() {
            head.push_str(&format!("Host: {}\r\n", self.upstream));
        }
        write!(upstream, "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
        upstream.write_all(&request.body)?;
        if length != request.body.len().to_string() {
            upstream.shutdown(std::net::Shutdown::Write)?;
        }
        let mut answer = Response::read(&mut BufReader::new(upstream), &request.method)?;
        answer.headers.retain(|(name, _)| !["connection", "transfer-encoding"].contains(&&*name.to_ascii_lowercase()));
        Ok(answer)
    }
}
