//! Requests and responses of HTTP/1.1.

use std::io::{self, BufRead, Read, Write};
use std::thread;

use super::fault::What;

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// The path with its query, as it was sent.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An answer. Its length is the body's, unless a header says another.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request line and its headers, or nothing where the client has ended the connection.
    pub fn read_head(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(None);
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::Error::other(format!("not a request line: {line:?}")));
        };
        Ok(Some(Request { method, target, headers: read_headers(stream)?, body: Vec::new() }))
    }

    /// The body of the request whose head was read, at most `limit` bytes of it.
    pub fn read_body(&mut self, stream: &mut impl BufRead, limit: u64) -> io::Result<()> {
        self.body = read_body(stream, &self.headers, Until::Nothing, limit)?;
        Ok(())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Each value that the query, or a form with the same syntax, has for `name`, decoded.
    pub fn query(&self, name: &str) -> Vec<String> {
        parameters(self.target.split_once('?').map_or("", |(_, query)| query), name)
    }

    /// Each value that the body has for `name`, read as `application/x-www-form-urlencoded`.
    pub fn form(&self, name: &str) -> Vec<String> {
        parameters(&String::from_utf8_lossy(&self.body), name)
    }
}

impl Response {
    pub fn new(status: u16) -> Self {
        Response { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An error as the distribution specification has it ("Error Codes").
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Response::new(status).json(&serde_json::json!({"errors": [{"code": code, "message": message}]}))
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = bytes.into();
        self
    }

    #[must_use]
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.header("Content-Type", "application/json").body(value.to_string())
    }

    /// The answer to a request of `method`, up to the end of the connection where it gives no length. One that ends early
    /// is as short as it came.
    pub fn read(stream: &mut impl BufRead, method: &str) -> io::Result<Self> {
        loop {
            let line = read_line(stream)?;
            let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status: u16 = status.ok_or_else(|| io::Error::other(format!("not a status line: {line:?}")))?;
            let headers = read_headers(stream)?;
            if status == 100 {
                continue;
            }
            let body = match method == "HEAD" || status == 204 || status == 304 {
                true => Vec::new(),
                false => read_body(stream, &headers, Until::End, u64::MAX)?,
            };
            return Ok(Response { status, headers, body });
        }
    }

    /// Writes it as the answer to `request` with what goes wrong, and returns whether the connection has to end.
    pub(super) fn write(
        mut self,
        stream: &mut impl Write,
        request: &Request,
        what: Option<&What>,
        sent: &dyn Fn(usize),
    ) -> io::Result<bool> {
        let length = self.body.len();
        match what {
            Some(What::Flip { at }) if length > 0 => self.body[at % length] ^= 1,
            Some(What::Header(name, value)) => self = self.header(name, value),
            Some(What::Length(length)) => self = self.header("Content-Length", &length.to_string()),
            _ => {}
        }
        let endless = matches!(what, Some(What::Endless));
        write!(stream, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status))?;
        if endless {
            self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
            self = self.header("Connection", "close");
        } else if self.status != 204 && find(&self.headers, "content-length").is_none() {
            self = self.header("Content-Length", &length.to_string());
        }
        for (name, value) in &self.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        stream.write_all(b"\r\n")?;
        if request.method == "HEAD" {
            return Ok(matches!(what, Some(What::Cut { .. } | What::Endless)));
        }
        let mut put = |bytes: &[u8]| {
            sent(bytes.len());
            stream.write_all(bytes)?;
            stream.flush()
        };
        match what {
            Some(What::Cut { after }) => {
                let after = usize::try_from(*after).unwrap_or(usize::MAX).min(length);
                put(&self.body[..after])?;
            }
            Some(What::Slow { pause }) => {
                for byte in &self.body {
                    thread::sleep(*pause);
                    put(&[*byte])?;
                }
            }
            Some(What::Endless) => loop {
                put(&[0; 4096])?;
            },
            _ => put(&self.body)?,
        }
        let said = find(&self.headers, "content-length");
        Ok(matches!(what, Some(What::Cut { .. })) || said.is_some_and(|said| said != length.to_string()))
    }
}

/// A line without its end; empty at the end of the connection.
fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(64 << 10).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
}

fn read_headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => return Ok(headers),
        }
    }
}

/// What a body is that says neither its length nor that it comes in chunks.
#[derive(PartialEq)]
enum Until {
    /// There is none: a request. A body that ends early is an error.
    Nothing,
    /// It goes on to the end of the connection: an answer. A body that ends early is what it is.
    End,
}

fn read_body(stream: &mut impl BufRead, headers: &[(String, String)], until: Until, limit: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if find(headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = read_line(stream)?;
            let size = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.map_err(|_| io::Error::other(format!("not the size of a chunk: {line:?}")))?;
            let wanted = size.min(limit - body.len() as u64);
            read_exactly(stream, wanted, &mut body)?;
            if wanted < size {
                return Ok(body);
            }
            read_line(stream)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = find(headers, "content-length").and_then(|value| value.parse::<u64>().ok());
    match until {
        Until::Nothing => read_exactly(stream, length.unwrap_or(0).min(limit), &mut body)?,
        Until::End => drop(stream.take(length.unwrap_or(u64::MAX).min(limit)).read_to_end(&mut body)?),
    }
    Ok(body)
}

fn read_exactly(stream: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    match stream.take(length).read_to_end(body)? as u64 == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn parameters(text: &str, name: &str) -> Vec<String> {
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(key, _)| decode(key) == name).map(|(_, value)| decode(value)).collect()
}

/// Percent-encoding, and `+` for a space.
fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).unwrap_or(0) as u8;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()) << 4 | hex(bytes.next()),
            byte => byte,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
