//! HTTP and HTTPS as far as all clients share it: patience, redirects, addresses that are refused, and what of a
//! server's failures is worth another attempt.
//!
//! Two things of the environment reach the transport, and only that: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
//! `NO_PROXY` (also in lower case), and `SSL_CERT_FILE` and `SSL_CERT_DIR`, which replace the system's certificate
//! authorities.

mod agent;
mod attempts;
mod failure;
mod options;
mod resolver;
mod url;

pub use agent::{agent, drain, follow};
pub use attempts::Attempts;
pub use failure::{Again, Failure, Refusal, again};
pub use options::Options;
pub use url::{is_hidden, is_loopback, is_same_origin, parse_url, redirected, shown};
