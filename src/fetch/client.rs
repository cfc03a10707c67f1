//! Fetching one file: the store, then each of its places in order.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
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
    agent: OnceLock<Agent>,
    /// What git may know of the environment.
    pub(super) git_variables: Vec<(String, OsString)>,
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
        Client { options, agent: OnceLock::new(), git_variables: Vec::new() }
    }

    /// With variables of the environment for git: of those in [`GIT_VARIABLES`](super::GIT_VARIABLES), the ones that are set.
    pub fn with_git_variables(self, git_variables: Vec<(String, OsString)>) -> Self {
        Client { git_variables, ..self }
    }

    /// Made when it is needed: it reads the certificate authorities.
    pub(super) fn agent(&self) -> &Agent {
        self.agent.get_or_init(|| http::agent(&self.options, RootCerts::PlatformVerifier))
    }

    /// Makes sure that the store has the file, whose SHA-256 is `digest`, and returns its content, which is read from there.
    /// Nobody is asked for a file that the store has; a damaged one counts as a miss. URLs are tried in their order until
    /// one has given the right bytes.
    ///
    /// # Errors
    /// A URL is malformed, also if it would not have been needed; no URL gave the file; the store cannot be used.
    pub fn fetch(
        &self,
        fetch: &Fetch,
        digest: &Digest,
        workspace: &Workspace,
        store: &Store,
    ) -> Result<Content, FetchError> {
        let locations = locations(fetch)?;
        if let Some(content) = stored(digest, store)? {
            return Ok(content);
        }
        match self.bring(&locations, Some(digest), workspace, store)? {
            Ok(_) => stored(digest, store)?.ok_or(FetchError::Vanished { digest: *digest }),
            Err(failures) => Err(FetchError::Failed { digest: *digest, failures }),
        }
    }

    /// Brings the file into the store, whatever it is, and returns its SHA-256: that of the first URL that gives one.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub fn discover(&self, fetch: &Fetch, workspace: &Workspace, store: &Store) -> Result<Digest, FetchError> {
        let found = self.bring(&locations(fetch)?, None, workspace, store)?;
        found.map_err(|failures| FetchError::Nowhere { name: fetch.title(), failures })
    }

    /// The digest of what the first of the places gave that gave what is expected; else why each did not.
    fn bring(
        &self,
        locations: &[(&str, Location)],
        expected: Option<&Digest>,
        workspace: &Workspace,
        store: &Store,
    ) -> Result<Result<Digest, Vec<(String, Failure)>>, FetchError> {
        let mut failures = Vec::new();
        for (url, location) in locations {
            let result = match location {
                Location::Http(_) if self.options.offline => Err(Stop::Url(Failure::Offline)),
                Location::Http(uri) => self.download(uri, expected, store),
                Location::File(path) => self.read_file(path, expected, workspace, store),
            };
            match result {
                Ok(digest) => return Ok(Ok(digest)),
                Err(Stop::Attempt(refusal)) => failures.push((shown(url), Failure::Http(refusal.failure))),
                Err(Stop::Url(failure)) => failures.push((shown(url), failure)),
                Err(Stop::Fetch(error)) => return Err(error),
            }
        }
        Ok(Err(failures))
    }

    fn read_file(
        &self,
        path: &WorkspacePath,
        expected: Option<&Digest>,
        workspace: &Workspace,
        store: &Store,
    ) -> Result<Digest, Stop> {
        let file = workspace.open_file(path).map_err(|error| Stop::Url(Failure::Source(error)))?;
        let read = |error| Stop::Url(Failure::Unreadable(error));
        let deadline = Instant::now() + self.options.total;
        commit(self.copy(file, store, deadline, read)?, expected)
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

/// The places of a file, none of them malformed, each with its URL.
fn locations(fetch: &Fetch) -> Result<Vec<(&str, Location)>, FetchError> {
    let location = |url: &'_ String| Location::parse(url, &fetch.package);
    let locations = fetch.urls.iter().map(|url| Ok((url.as_str(), location(url)?)));
    let locations = locations.collect::<Result<Vec<_>, FetchError>>()?;
    if locations.is_empty() { Err(FetchError::NoUrls) } else { Ok(locations) }
}

/// Makes the bytes part of the store if they are those that are expected; of what is not known, any are.
pub(super) fn commit(ingest: Ingest, expected: Option<&Digest>) -> Result<Digest, Stop> {
    let Some(digest) = expected else { return Ok(ingest.commit()?.0) };
    match ingest.commit_expecting(digest, None) {
        Ok(_) => Ok(*digest),
        Err(StoreError::WrongDigest { expected, found }) => Err(Stop::Url(Failure::WrongDigest { expected, found })),
        Err(error) => Err(error.into()),
    }
}

/// The content of a blob, verified, and stamped so that a later change of the file is noticed.
pub(super) fn stored(digest: &Digest, store: &Store) -> Result<Option<Content>, StoreError> {
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
        Err(error) => Err(error),
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
