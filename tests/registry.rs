//! Registries. Every server is a thread of the test on 127.0.0.1.

mod conformance;
pub mod server;
