//! Requests written by hand: what is found with them doesn't depend on our client.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use super::message::Response;

/// A connection that is kept.
pub struct Connection(pub BufReader<TcpStream>);

impl Connection {
    pub fn to(host: &str) -> Self {
        let stream = TcpStream::connect(host).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection(BufReader::new(stream))
    }

    /// A request and its answer.
    pub fn send(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Response {
        self.write(method, target, headers, body);
        Response::read(&mut self.0, method).unwrap()
    }

    /// A request; the answer is left to be read.
    pub fn write(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: registry\r\nAccept: */*\r\n");
        for header in headers {
            head.push_str(&format!("{header}\r\n"));
        }
        let stream = self.0.get_mut();
        write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len()).unwrap();
        // A server that hangs up in the middle of a request is what some tests are about.
        drop(stream.write_all(body));
    }

    pub fn get(&mut self, target: &str) -> Response {
        self.send("GET", target, &[], b"")
    }

    /// Everything that comes until the server hangs up.
    pub fn rest(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        drop(self.0.read_to_end(&mut bytes));
        bytes
    }
}

/// A header that must be there.
#[track_caller]
pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let found = response.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map_or_else(|| panic!("no {name} in {response:?}"), |(_, value)| value)
}
