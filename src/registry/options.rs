//! How patient the client is, and in which pieces it sends.

use crate::http;

/// Bounds on what a registry can make us do, and sizes of uploads.
#[derive(Clone, Debug)]
pub struct Options {
    pub http: http::Options,
    /// The largest blob, in bytes, that is sent in one request. Such an upload begins anew when it is cut.
    pub whole: u64,
    /// Bytes of a larger blob in one request; more where the registry asks for more.
    pub chunk: u64,
}

impl Default for Options {
    fn default() -> Self {
        // Proxies in front of registries commonly refuse requests of more than 100 MB.
        Options { http: http::Options::default(), whole: 64 << 20, chunk: 64 << 20 }
    }
}
