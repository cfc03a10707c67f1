//! Fetching one file: the store, then each of its places in order.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use ureq::Agent;
use ureq::tls::RootCerts;

use crate::digest::Digest;
use crate::entry::{Content, DiskFile, Origin, Stamp};
use crate::http::{self, Options, Refusal, shown};
use crate::path::WorkspacePath;
use crate::source::Workspace;
use crate::store::{Ingest, Store, StoreError};
use crate::target::Fetch;

use super::error::{Failure, FetchError};
use super::location::Location;

/// Fetches files. It keeps connections and the certificate authorities, so one client serves a whole build; threads
/// may share it.
#[derive(Debug)]
pub struct Client {
    pub(super) options: Options,
    pub(super) agent: Agent,
}

/// Why an attempt ended, and what it ends.
#[derive(Debug)]
pub(super) enum Stop {
    /// The attempt; the URL may still serve the file, if the refusal says so.
    Attempt(Refusal),
    /// All attempts with this URL.
    Url(Failure),
    /// The fetch: nothing is to be had from another URL.
    Fetch(FetchError),
}

impl Client {
    /// A client; it opens no connection yet.
    pub fn new(options: Options) -> Self {
        Client { agent: http::agent(&options, RootCerts::PlatformVerifier), options }
    }

    /// Makes sure that the store has the file, and returns its content, which is read from there. Nobody is asked for
    /// a file that the store has; a damaged one counts as a miss. URLs are tried in their order until one has given
    /// the right bytes.
    ///
    /// # Errors
    /// A URL is malformed, also if it would not have been needed; no URL gave the file; the store cannot be used.
    pub fn fetch(&self, fetch: &Fetch, workspace: &Workspace, store: &Store) -> Result<Content, FetchError> {
        let digest = &fetch.sha256;
        let locations = fetch.urls.iter().map(|url| Location::parse(url, &fetch.package));
        let locations = locations.collect::<Result<Vec<_>, _>>()?;
        if locations.is_empty() {
            return Err(FetchError::NoUrls);
        }
        if let Some(content) = stored(digest, store)? {
            return Ok(content);
        }
        let mut failures = Vec::new();
        for (url, location) in fetch.urls.iter().zip(&locations) {
            let result = match location {
                Location::Http(_) if self.options.offline => Err(Stop::Url(Failure::Offline)),
                Location::Http(uri) => self.download(uri, digest, store),
                Location::File(path) => self.read_file(path, digest, workspace, store),
            };
            match result {
                Ok(()) => return stored(digest, store)?.ok_or(FetchError::Vanished { digest: *digest }),
                Err(Stop::Attempt(refusal)) => failures.push((shown(url), Failure::Http(refusal.failure))),
                Err(Stop::Url(failure)) => failures.push((shown(url), failure)),
                Err(Stop::Fetch(error)) => return Err(error),
            }
        }
        Err(FetchError::Failed { digest: *digest, failures })
    }

    fn read_file(
        &self,
        path: &WorkspacePath,
        digest: &Digest,
        workspace: &Workspace,
        store: &Store,
    ) -> Result<(), Stop> {
        let file = workspace.open_file(path).map_err(|error| Stop::Url(Failure::Source(error)))?;
        let read = |error| Stop::Url(Failure::Unreadable(error));
        let deadline = Instant::now() + self.options.total;
        commit(self.copy(file, store, deadline, read)?, digest)
    }

    /// Copies `body` into a new blob, within the limits of size and time. What a failed read means, `read` says.
    pub(super) fn copy(
        &self,
        mut body: impl Read,
        store: &Store,
        deadline: Instant,
        read: impl Fn(io::Error) -> Stop,
    ) -> Result<Ingest, Stop> {
        let mut ingest = store.ingest()?;
        let mut buffer = vec![0; 128 << 10];
        let mut size = 0;
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => return Ok(ingest),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(read(error)),
            };
            size += n as u64;
            if size > self.options.size {
                return Err(Stop::Url(Failure::TooLarge(self.options.size)));
            }
            if Instant::now() > deadline {
                return Err(Refusal::lasting(http::Failure::Timeout("the transfer")).into());
            }
            ingest.write_all(&buffer[..n]).map_err(|source| FetchError::Write { source })?;
        }
    }
}

/// Makes the bytes part of the store if they are those that the spec names.
pub(super) fn commit(ingest: Ingest, digest: &Digest) -> Result<(), Stop> {
    match ingest.commit_expecting(digest, None) {
        Ok(_) => Ok(()),
        Err(StoreError::WrongDigest { expected, found }) => Err(Stop::Url(Failure::WrongDigest { expected, found })),
        Err(error) => Err(error.into()),
    }
}

/// The content of a blob, verified, and stamped so that a later change of the file is noticed.
fn stored(digest: &Digest, store: &Store) -> Result<Option<Content>, FetchError> {
    // Image-spec 1.1, "Image Layout § Blobs".
    let path: PathBuf = store.root().join("blobs/sha256").join(digest.hex());
    let Some(blob) = store.open_blob(digest)? else { return Ok(None) };
    let Ok(before) = fs::symlink_metadata(&path).map(|metadata| Stamp::of(&metadata)) else { return Ok(None) };
    let size = blob.size();
    match blob.finish() {
        Ok(()) => {
            let origin = Origin::Disk(Arc::new(DiskFile::blob(path, before, *digest)));
            Ok(Some(Content { size, digest: *digest, origin }))
        }
        // It is in quarantine now.
        Err(StoreError::DamagedBlob { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Fetch(error.into())
    }
}

impl From<FetchError> for Stop {
    fn from(error: FetchError) -> Self {
        Stop::Fetch(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Attempt(refusal)
    }
}
