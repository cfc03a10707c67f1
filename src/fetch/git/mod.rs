//! The files of a commit, as a canonical tar: docs/design/git.md.
//!
//! `program` runs git, `repository` has it bring a commit into a scratch repository and list what is in it, `objects` reads
//! the files out of it. Nothing is ever checked out. `git_dir` makes a `.git` of what was read, with `pack` and `checksum`.

mod checksum;
mod error;
mod git_dir;
mod objects;
mod pack;
mod program;
mod repository;
mod tree;

use std::time::Instant;

use crate::archive::write::{Encoding, encode};
use crate::digest::Digest;
use crate::entry::Content;
use crate::format::Compression;
use crate::git::{ObjectId, Pin, RemoteRef, RepositoryUrl};
use crate::source::Workspace;
use crate::store::{Store, StoreError};

pub use error::GitError;
pub use program::VARIABLES;

use super::client::{Client, stored};
use program::Program;
use repository::{Found, Repository};

impl Client {
    /// Makes sure that the store has the tar of the pinned commit, and returns its content, which is read from there. Nobody
    /// is asked for what the store has.
    ///
    /// # Errors
    /// git is missing or fails; the repository has no such commit; the commit holds what a tar does not, or not what is
    /// pinned; the store cannot be used.
    pub fn commit(
        &self,
        remote: &RemoteRef,
        pin: &Pin,
        workspace: &Workspace,
        store: &Store,
    ) -> Result<Content, GitError> {
        if let Some(content) = stored(&pin.sha256, store)? {
            return Ok(content);
        }
        let repository = self.repository(remote, workspace, store, Some(&pin.commit))?;
        repository.fetch(&pin.commit, pin.tag.as_ref())?;
        self.archive(&repository, &pin.commit, pin.tag.as_ref(), Some(&pin.sha256), store)?;
        stored(&pin.sha256, store)?.ok_or(GitError::Vanished { digest: pin.sha256 })
    }

    /// Finds out which commit a ref stands for now, brings its tar into the store, and returns both; where it is the one that is
    /// `known`, nothing is brought.
    ///
    /// # Errors
    /// As [`Client::commit`]; there is no such ref, or a tag and a branch of this name.
    pub fn discover_commit(
        &self,
        remote: &RemoteRef,
        known: Option<&Pin>,
        workspace: &Workspace,
        store: &Store,
    ) -> Result<Pin, GitError> {
        let mut repository = self.repository(remote, workspace, store, None)?;
        let Found { id: commit, tag, .. } = repository.resolve()?;
        let tag = tag.filter(|_| remote.keep_git_dir);
        if let Some(known) = known.filter(|pin| pin.commit == commit && pin.tag == tag) {
            return Ok(known.clone());
        }
        repository.init(&commit)?;
        repository.fetch(&commit, tag.as_ref())?;
        let sha256 = self.archive(&repository, &commit, tag.as_ref(), None, store)?;
        Ok(Pin { commit, tag, sha256 })
    }

    /// A scratch repository for a commit of `remote`, with nothing in it yet.
    fn repository<'a>(
        &'a self,
        remote: &'a RemoteRef,
        workspace: &Workspace,
        store: &Store,
        commit: Option<&ObjectId>,
    ) -> Result<Repository<'a>, GitError> {
        if let (RepositoryUrl::Remote(_), true) = (&remote.url, self.options.offline) {
            return Err(GitError::Offline { remote: remote.clone() });
        }
        let place = repository::place(&remote.url, workspace)?;
        let program = Program {
            directory: store.workplace()?,
            variables: &self.git_variables,
            deadline: Instant::now() + self.options.total,
            options: &self.options,
        };
        let mut repository = Repository { remote, place, program };
        commit.iter().try_for_each(|commit| repository.init(commit))?;
        Ok(repository)
    }

    /// Writes the tar of a commit's files into the store, if it is the one that is expected.
    fn archive(
        &self,
        repository: &Repository,
        commit: &ObjectId,
        tag: Option<&ObjectId>,
        expected: Option<&Digest>,
        store: &Store,
    ) -> Result<Digest, GitError> {
        let entries = repository.entries(commit, tag, store)?;
        let mut ingest = store.ingest()?;
        encode(&entries, &Encoding { compression: Compression::None }, &mut ingest)
            .map_err(|source| GitError::Encode { commit: commit.clone(), source: Box::new(source) })?;
        let Some(expected) = expected else { return Ok(ingest.commit()?.0) };
        match ingest.commit_expecting(expected, None) {
            Ok(_) => Ok(*expected),
            Err(StoreError::WrongDigest { expected, found }) => {
                Err(GitError::WrongDigest { commit: commit.clone(), expected, found })
            }
            Err(error) => Err(error.into()),
        }
    }
}
