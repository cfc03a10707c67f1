//! A scratch repository with one commit in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::PathBuf;

use crate::archive::read::Limits;
use crate::entry::Entry;
use crate::git::{ObjectId, RemoteRef, RepositoryUrl};
use crate::path::WorkspacePath;
use crate::source::{PathKind, Workspace};
use crate::store::Store;

use super::error::GitError;
use super::git_dir::Kept;
use super::objects::{self, Object};
use super::program::{Program, Reach};
use super::tree;

/// The most bytes that a server may say about refs.
const REFS: u64 = 1 << 20;

/// The most bytes of short answers.
const SHORT: u64 = 64 << 10;

/// The most tags that lead to each other.
const TAGS: usize = 16;

/// A bare repository in a scratch directory.
pub(super) struct Repository<'a> {
    pub(super) remote: &'a RemoteRef,
    /// What git is told as the URL.
    pub(super) place: String,
    pub(super) program: Program<'a>,
}

/// What a ref stands for.
pub(super) struct Found {
    /// The whole name.
    name: String,
    /// Of the commit, also where the ref is an annotated tag.
    pub(super) id: ObjectId,
    /// Of what a tag is: an object of its own, or the commit.
    pub(super) tag: Option<ObjectId>,
}

/// Where git finds a repository: of the workspace, its directory once every link is followed.
///
/// # Errors
/// The directory is outside of the workspace or is not a repository, or borrows from another that may be outside.
pub(super) fn place(url: &RepositoryUrl, workspace: &Workspace) -> Result<String, GitError> {
    let RepositoryUrl::Workspace(path) = url else { return Ok(url.to_string()) };
    let below = |directory: &WorkspacePath, name: &str| {
        let name = WorkspacePath::parse(name).expect("the names below are plain");
        let path = directory.join(&name);
        Ok::<_, GitError>((workspace.kind(&path)?, path))
    };
    let local = |reason: &'static str| GitError::Local { path: path.to_string(), reason };
    let directory = match below(path, ".git")? {
        (None, _) => path.clone(),
        (Some(PathKind::Directory), directory) => directory,
        _ => return Err(local("is a link to a repository, not the repository itself")),
    };
    let (on_disk, head) = (workspace.locate(&directory)?, below(&directory, "HEAD")?.0);
    let directories = [below(&directory, "objects")?.0, below(&directory, "refs")?.0];
    if head != Some(PathKind::File) || directories != [Some(PathKind::Directory); 2] {
        return Err(local("is not a git repository"));
    }
    for name in ["commondir", "objects/info/alternates", "objects/info/http-alternates"] {
        if below(&directory, name)?.0.is_some() {
            return Err(local("shares the objects of another repository"));
        }
    }
    utf8(on_disk).ok_or_else(|| local("has a path on the disk that is not UTF-8"))
}

fn utf8(path: PathBuf) -> Option<String> {
    path.into_os_string().into_string().ok()
}

impl Repository<'_> {
    /// Makes the repository, in the format that has such names.
    pub(super) fn init(&mut self, commit: &ObjectId) -> Result<(), GitError> {
        let format = format!("--object-format={}", commit.object_format());
        let arguments = ["init", "--quiet", "--bare", "--template=", &format];
        self.program.run(&arguments, Reach::Nothing, SHORT).map(drop)
    }

    /// What the ref stands for now. Nobody is asked for a commit that is named by its ID.
    ///
    /// # Errors
    /// There is none of this name, or a tag and a branch.
    pub(super) fn resolve(&self) -> Result<Found, GitError> {
        if let Some(id) = self.remote.commit() {
            return Ok(Found { name: id.to_string(), id, tag: None });
        }
        let elsewhere = self.remote.name.elsewhere();
        let mut names = self.remote.name.whole_names();
        names.extend(elsewhere.clone());
        let peeled: Vec<String> = names.iter().map(|name| format!("{name}^{{}}")).collect();
        let mut arguments = vec!["ls-remote", "--quiet", self.upload_pack(), "--", &self.place];
        arguments.extend(names.iter().chain(&peeled).map(String::as_str));
        let answer = self.program.run(&arguments, self.reach(), REFS)?;
        let answer = String::from_utf8_lossy(&answer);
        let id_of = |name: &str| {
            // The patterns match the ends of names.
            let mut lines = answer.lines().filter_map(|line| line.split_once('\t'));
            lines.find(|(_, other)| *other == name).and_then(|(id, _)| id.parse::<ObjectId>().ok())
        };
        let found = names.iter().zip(&peeled).filter_map(|(name, peeled)| {
            let named = id_of(name);
            let id = id_of(peeled).or_else(|| named.clone())?;
            Some(Found { name: name.clone(), id, tag: named.filter(|_| name.starts_with("refs/tags/")) })
        });
        let mut found: Vec<Found> = found.collect();
        if found.len() > 1 {
            found.retain(|found| Some(&found.name) != elsewhere.as_ref());
        }
        match (found.pop(), found.is_empty()) {
            (Some(found), true) => Ok(found),
            (None, _) => Err(GitError::NoRef { remote: self.remote.clone() }),
            (Some(_), false) => Err(GitError::Ambiguous { remote: self.remote.clone() }),
        }
    }

    /// Brings the commit, the tag that leads to it if one is asked for, and as little else as the server allows.
    ///
    /// # Errors
    /// The server cannot be asked, or has no such commit; what it sends is malformed; it is no commit.
    pub(super) fn fetch(&self, commit: &ObjectId, tag: Option<&ObjectId>) -> Result<(), GitError> {
        let wanted = tag.unwrap_or(commit);
        match self.fetch_refspecs(&[wanted.as_str()], true) {
            Ok(()) => {}
            // Many servers give only what a ref leads to.
            Err(GitError::Failed { .. }) if self.remote.commit().is_some() => self.fetch_all(commit)?,
            Err(GitError::Failed { .. }) => self.fetch_by_ref(commit, tag)?,
            Err(error) => return Err(error),
        }
        match self.kind(commit)?.as_str() {
            "commit" => Ok(()),
            kind => Err(GitError::NotACommit { id: commit.clone(), kind: kind.to_owned() }),
        }
    }

    /// Brings all that branches and tags lead to: nobody says which of them leads to the commit.
    fn fetch_all(&self, commit: &ObjectId) -> Result<(), GitError> {
        self.fetch_refspecs(&["refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"], false)?;
        self.kind(commit).map(drop).map_err(|error| match error {
            GitError::Failed { .. } => GitError::NoCommit { remote: self.remote.clone(), commit: commit.clone() },
            error => error,
        })
    }

    fn fetch_by_ref(&self, commit: &ObjectId, tag: Option<&ObjectId>) -> Result<(), GitError> {
        let gone = || GitError::Gone { remote: self.remote.clone(), commit: commit.clone() };
        let found = match self.resolve() {
            Err(GitError::NoRef { .. }) => return Err(gone()),
            found => found?,
        };
        let is_there = found.id == *commit && (tag.is_none() || tag == found.tag.as_ref());
        if is_there && self.fetch_refspecs(&[&found.name], true).is_ok() {
            return Ok(());
        }
        // With its history: the ref went on, or the server is one that gives files only.
        self.fetch_refspecs(&[&found.name], false)?;
        self.kind(tag.unwrap_or(commit)).map(drop).map_err(|error| match error {
            GitError::Failed { .. } => gone(),
            error => error,
        })
    }

    fn fetch_refspecs(&self, refspecs: &[&str], is_shallow: bool) -> Result<(), GitError> {
        let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        arguments.extend(is_shallow.then_some("--depth=1"));
        arguments.extend([self.upload_pack(), "--", &self.place]);
        arguments.extend(refspecs);
        self.program.run(&arguments, self.reach(), SHORT).map(drop)
    }

    fn kind(&self, id: &ObjectId) -> Result<String, GitError> {
        let kind = self.program.run(&["cat-file", "-t", id.as_str()], Reach::Nothing, SHORT)?;
        Ok(String::from_utf8_lossy(&kind).trim().to_owned())
    }

    /// The files of a commit, sorted by path, with their contents set aside, and its `.git` if that is kept.
    ///
    /// # Errors
    /// It has a submodule, a name that no tar may have, or more than is read of an archive; `tag` does not lead to it.
    pub(super) fn entries(
        &self,
        commit: &ObjectId,
        tag: Option<&ObjectId>,
        store: &Store,
    ) -> Result<Vec<Entry>, GitError> {
        let limits = Limits::default();
        let list = ["ls-tree", "-r", "-z", "--full-tree", commit.as_str()];
        let read = |output: &mut dyn BufRead| tree::read(output, commit, &limits);
        let files = self.program.stream(&list, Reach::Nothing, b"", read)?;
        let mut objects = self.objects(files.values().map(|file| file.id.clone()).collect(), store)?;
        let mut entries = tree::entries(&files, &objects, commit)?;
        if self.remote.keep_git_dir {
            objects.append(&mut self.objects_above(commit, tag, store)?);
            let kept = Kept { remote: self.remote, commit, tag, files: &files, objects: &objects };
            entries.extend(kept.entries(store.spool()?)?);
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        }
        Ok(entries)
    }

    /// The commit, its directories, and the tags that lead to it.
    fn objects_above(
        &self,
        commit: &ObjectId,
        tag: Option<&ObjectId>,
        store: &Store,
    ) -> Result<BTreeMap<ObjectId, Object>, GitError> {
        let unusable = |reason: &str| GitError::Unusable { commit: commit.clone(), reason: reason.to_owned() };
        let named = |object: &Object, key| object.named(key).map_err(|source| GitError::Output { source });
        let mut found = BTreeMap::new();
        let mut next = tag.unwrap_or(commit).clone();
        for _ in 0..TAGS {
            found.append(&mut self.objects([next.clone()].into(), store)?);
            if next == *commit {
                break;
            }
            let behind = named(&found[&next], "object")?.into_iter().next();
            next = behind.ok_or_else(|| unusable("its tag does not lead to it"))?;
        }
        let Some(object) = found.get(commit) else { return Err(unusable("its tag does not lead to it")) };
        let root = named(object, "tree")?;
        let limits = Limits::default();
        let list = ["ls-tree", "-r", "-d", "-z", "--full-tree", commit.as_str()];
        let read = |output: &mut dyn BufRead| tree::directories(output, commit, &limits);
        let mut directories = self.program.stream(&list, Reach::Nothing, b"", read)?;
        directories.extend(root);
        found.append(&mut self.objects(directories, store)?);
        Ok(found)
    }

    fn objects(&self, ids: BTreeSet<ObjectId>, store: &Store) -> Result<BTreeMap<ObjectId, Object>, GitError> {
        let limit = self.program.options.size.min(Limits::default().bytes);
        let read = |output: &mut dyn BufRead| objects::read(output, &ids, store.spool()?, limit);
        let wanted = objects::wanted(&ids);
        self.program.stream(&["cat-file", "--batch"], Reach::Nothing, wanted.as_bytes(), read)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::Scheme(self.remote.url.scheme())
    }

    /// A directory is served as it is: git would also look for a repository in others whose names are similar.
    fn upload_pack(&self) -> &'static str {
        match self.remote.url {
            RepositoryUrl::Workspace(_) => "--upload-pack=git-upload-pack --strict",
            RepositoryUrl::Remote(_) => "--upload-pack=git-upload-pack",
        }
    }
}
