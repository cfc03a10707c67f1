//! Files from elsewhere, pinned by digest.
//!
//! What is fetched goes into the store under its digest and nowhere else, so the network can decide whether a build
//! succeeds but never what it makes. A blob that the store has is not fetched again.
//!
//! Two things of the environment reach the transport, and only that: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
//! `NO_PROXY` (also in lower case), and `SSL_CERT_FILE` and `SSL_CERT_DIR`, which replace the system's certificate
//! authorities.

mod client;
mod error;
mod http;
mod location;
mod options;
mod resolver;

pub use client::Client;
pub use error::{Failure, FetchError};
pub use options::Options;
