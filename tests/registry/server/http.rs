//! HTTP/1.1 with keep-alive (RFC 9112), in plain and over TLS, with faults between what is answered and the wire.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::fault::{Fault, What};
use super::message::{Request, Response};

/// What stands behind a [`Listener`].
pub trait Service: Send + Sync + 'static {
    /// Whether the request will be refused for want of authorization: faults leave such answers alone. Asked before the
    /// body is read.
    fn refuses(&self, request: &Request) -> bool;

    /// Answers a request whose body has been read, or as much of it as [`What::CutRequest`] lets through.
    fn answer(&self, request: &Request) -> io::Result<Response>;
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// Bytes of the request's body.
    pub received: u64,
    /// 0 while there is no answer.
    pub status: u16,
    /// Bytes of the answer's body that were handed to the connection.
    pub sent: u64,
    /// Which connection it came over, from 0.
    pub connection: usize,
}

impl Exchange {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    /// `METHOD PATH`, as a story compares them.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A server on a free port of 127.0.0.1. Its threads end with the process.
pub struct Listener {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    exchanges: Mutex<Vec<Exchange>>,
    faults: Mutex<Vec<Fault>>,
}

impl Listener {
    /// Answers with what `service` makes of the server's own `host:port`; with TLS where there is a configuration.
    pub fn start<S: Service>(tls: Option<Arc<rustls::ServerConfig>>, service: impl FnOnce(&str) -> S) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let service = Arc::new(service(&address.to_string()));
        let shared = Arc::new(Shared::default());
        let threads = shared.clone();
        thread::spawn(move || {
            for (connection, tcp) in listener.incoming().enumerate() {
                let (service, shared, tls) = (service.clone(), threads.clone(), tls.clone());
                // A client that hangs up ends its connection's thread with an error, which is nobody's concern.
                thread::spawn(move || {
                    let tcp = tcp?;
                    tcp.set_nodelay(true)?;
                    match tls {
                        None => shared.converse(tcp, connection, &*service),
                        Some(tls) => {
                            let session = rustls::ServerConnection::new(tls).unwrap();
                            let mut stream = rustls::StreamOwned::new(session, tcp);
                            shared.converse(&mut stream, connection, &*service)?;
                            stream.conn.send_close_notify();
                            stream.flush()
                        }
                    }
                });
            }
        });
        Listener { address, shared }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What was asked for so far, in the order in which it arrived.
    pub fn requests(&self) -> Vec<Exchange> {
        held(&self.shared.exchanges).clone()
    }

    /// Forgets what was asked for so far.
    pub fn clear(&self) {
        held(&self.shared.exchanges).clear();
    }

    /// From now on, until it has happened as often as it says. Of several that match a request the first happens.
    pub fn fault(&self, fault: Fault) {
        held(&self.shared.faults).push(fault);
    }

    /// No more faults.
    pub fn heal(&self) {
        held(&self.shared.faults).clear();
    }
}

/// A thread that panicked with the lock has failed its own test; the others go on.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn converse(&self, stream: impl Read + Write, connection: usize, service: &dyn Service) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(mut request) = Request::read_head(&mut stream)? {
            let number = {
                let mut exchanges = held(&self.exchanges);
                exchanges.push(Exchange {
                    method: request.method.clone(),
                    path: request.target.clone(),
                    headers: request.headers.clone(),
                    received: 0,
                    status: 0,
                    sent: 0,
                    connection,
                });
                exchanges.len() - 1
            };
            let log = |change: &dyn Fn(&mut Exchange)| {
                // A test may have cleared the log in between.
                held(&self.exchanges).get_mut(number).into_iter().for_each(change);
            };
            let refused = service.refuses(&request);
            let what = held(&self.faults).iter_mut().find_map(|fault| fault.strikes(&request, refused));
            if request.header("expect").is_some() {
                stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                stream.get_mut().flush()?;
            }
            let limit = match what {
                Some(What::CutRequest { after }) => after,
                _ => u64::MAX,
            };
            request.read_body(&mut stream, limit)?;
            log(&|exchange| exchange.received = request.body.len() as u64);
            let answer = match &what {
                Some(What::Silent) => return silence(&mut stream),
                Some(What::Answer(answer)) => answer.clone(),
                Some(What::Redirect(base)) => {
                    Response::new(307).header("Location", &format!("{base}{}", request.target))
                }
                _ => service.answer(&request)?,
            };
            if let Some(What::CutRequest { .. }) = what {
                return Ok(());
            }
            log(&|exchange| exchange.status = answer.status);
            let sent = |bytes: usize| log(&|exchange| exchange.sent += bytes as u64);
            let end = answer.write(stream.get_mut(), &request, what.as_ref(), &sent)?;
            stream.get_mut().flush()?;
            if end || request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Says nothing until the client hangs up.
fn silence(stream: &mut impl Read) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}
