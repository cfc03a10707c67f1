//! Registries. Every server is a thread of the test on 127.0.0.1.

mod access;
mod conformance;
mod hostile;
mod lists;
mod login;
mod place;
mod pull;
mod push;
pub mod server;
mod settings;
