//! How patient clients are.

use std::time::Duration;

/// Bounds on what a server can make us do. The defaults suit the open network; tests use smaller ones.
#[derive(Clone, Debug)]
pub struct Options {
    /// Without network: only what this machine has.
    pub offline: bool,
    /// Whether the proxy variables of the environment are heeded.
    pub proxy_from_environment: bool,
    /// For resolving a name, and for connecting, TLS included.
    pub connect: Duration,
    /// Between two reads of a body, and before the response's head.
    pub idle: Duration,
    /// For one file or document, with its redirects and further attempts.
    pub total: Duration,
    /// Attempts for one file or document.
    pub attempts: u32,
    /// Pause before the second attempt, doubled before each further one, and varied by half.
    pub backoff: Duration,
    /// The longest pause that a server's `Retry-After` is granted.
    pub retry_after: Duration,
    /// The most redirects in a row.
    pub redirects: u32,
    /// The most bytes of a file or a blob.
    pub size: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            offline: false,
            proxy_from_environment: true,
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(3600),
            attempts: 3,
            backoff: Duration::from_millis(500),
            retry_after: Duration::from_secs(10),
            redirects: 5,
            size: 16 << 30,
        }
    }
}
