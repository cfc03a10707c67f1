//! Registries: a client of the distribution API (distribution-spec 1.1), without trust in what it is told.
//!
//! - A [`Client`] is asked for manifests and blobs. Blobs go into the store and come from it as streams; of each thing
//!   that a registry sends, the largest size is known before it is read.
//! - [`Hosts`] says how a registry is reached, [`Credentials`] where passwords are. They are looked for only when a
//!   registry asks, and sent only to it and to the token server that it names, in the clear only where the user says so.
//! - Every place that a server sends to (redirects, `Location`, `Link`, `realm`) is judged before it is followed.
//!
//! - [`pull`] and [`push`] copy whole images, [`Client`] also brings single layers to a store that lacks them.
//!
//! An exchange is at most three requests: the request, which the registry answers with a challenge; one to the token
//! server; the request again. What was found out so serves the requests after it.

mod blob;
mod challenge;
mod client;
mod credentials;
mod docker_config;
mod error;
mod exchange;
mod helper;
mod hosts;
mod images;
mod manifest;
mod options;
mod pull;
mod push;
mod query;
mod referrers;
mod secret;
mod small_file;
mod supply;
mod tags;
mod token;
mod transfer;
mod upload;

pub use client::Client;
pub use credentials::{Credential, CredentialError, Credentials, FoundCredential};
pub use error::{Denied, Proof, RegistryError, Withheld};
pub use hosts::{HostError, Hosts, registry_name};
pub use manifest::ManifestName;
pub use options::Options;
pub use pull::{Which, pull, pull_documents};
pub use push::push;
pub use secret::Secret;
pub use transfer::{Progress, Transferred};
pub use upload::Uploaded;
