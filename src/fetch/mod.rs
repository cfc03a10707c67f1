//! Files and commits from elsewhere, pinned by digest.
//!
//! What is fetched goes into the store under its digest and nowhere else, so the network can decide whether a build
//! succeeds but never what it makes. A blob that the store has is not fetched again.

mod client;
mod download;
mod error;
mod git;
mod location;

pub use client::Client;
pub use error::{Failure, FetchError};
pub use git::{GitError, VARIABLES as GIT_VARIABLES};

pub use crate::http::Options;
