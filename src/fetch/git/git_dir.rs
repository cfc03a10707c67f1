//! The `.git` beside the files of a commit. No byte of it is git's own, so it is the same on every machine:
//!
//! ```text
//! .git/
//!   HEAD                     the commit, on no branch
//!   config                   the format, and the URL as the remote `origin`
//!   index                    the files; nothing of a disk, so git looks at each once
//!   objects/pack/            the commit with its trees and files, and its tag, whole
//!   refs/heads/ refs/tags/   the branch or tag that was named
//!   shallow                  the commit, if it has others before it
//! ```

use std::collections::BTreeMap;
use std::fs;

use crate::entry::{Content, Entry, Kind as EntryKind, Metadata};
use crate::git::{ObjectId, RemoteRef, RepositoryUrl};
use crate::path::ImagePath;

use super::checksum::sealed;
use super::error::GitError;
use super::objects::Object;
use super::pack::{self, Pack};
use super::tree::{File, Kind};

/// A commit of a repository, with what is kept of it.
pub(super) struct Kept<'a> {
    pub(super) remote: &'a RemoteRef,
    pub(super) commit: &'a ObjectId,
    /// What the tag is that was named, if it was one.
    pub(super) tag: Option<&'a ObjectId>,
    pub(super) files: &'a BTreeMap<ImagePath, File>,
    /// All of the commit's, and the commit itself; the tag's.
    pub(super) objects: &'a BTreeMap<ObjectId, Object>,
}

impl Kept<'_> {
    /// The entries below `.git`; the pack is written to `spool`, an empty file.
    ///
    /// # Errors
    /// The commit has files of this name; an object cannot be read.
    pub(super) fn entries(&self, spool: fs::File) -> Result<Vec<Entry>, GitError> {
        let unusable = |reason: &str| GitError::Unusable { commit: self.commit.clone(), reason: reason.to_owned() };
        if self.files.keys().any(|path| path.components().next() == Some(b".git".as_slice())) {
            return Err(unusable("it has a `.git` of its own"));
        }
        let is_known = |commit: &ObjectId| self.objects.contains_key(commit);
        let commit = self.objects.get(self.commit).ok_or_else(|| unusable("it is missing"))?;
        let parents = commit.named("parent").map_err(|source| GitError::Output { source })?;
        let Pack { name, pack, index } =
            pack::write(self.objects, self.commit, spool).map_err(|source| GitError::Spool { source })?;
        let text = |text: String| Content::inline(text.into_bytes());
        let mut files = vec![
            ("HEAD".to_owned(), 0o644, text(format!("{}\n", self.commit))),
            ("config".to_owned(), 0o644, text(self.config())),
            ("index".to_owned(), 0o644, Content::inline(self.index())),
            (format!("objects/pack/{name}.idx"), 0o444, index),
            (format!("objects/pack/{name}.pack"), 0o444, pack),
        ];
        if !parents.iter().all(is_known) {
            files.push(("shallow".to_owned(), 0o644, text(format!("{}\n", self.commit))));
        }
        if let Some(name) = self.reference() {
            files.push((name, 0o644, text(format!("{}\n", self.tag.unwrap_or(self.commit)))));
        }
        // Without `refs` it is no repository.
        let directories =
            ["refs", "refs/heads", "refs/tags"].map(|name| (name.to_owned(), 0o755, EntryKind::Directory));
        let files = files.into_iter().map(|(name, mode, content)| (name, mode, EntryKind::File { content }));
        let entry = |(name, mode, kind): (String, u32, EntryKind)| {
            let path = ImagePath::parse(format!(".git/{name}")).map_err(|error| unusable(&error.to_string()))?;
            Ok(Entry { path, metadata: Metadata::root_owned(mode, 0), kind })
        };
        directories.into_iter().chain(files).map(entry).collect()
    }

    fn config(&self) -> String {
        let (version, extensions) = match self.commit.object_format() {
            "sha1" => (0, String::new()),
            format => (1, format!("[extensions]\n\tobjectFormat = {format}\n")),
        };
        let mut text = format!("[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n");
        text.push_str("\tlogallrefupdates = true\n");
        text.push_str(&extensions);
        // One of the workspace is nowhere in an image.
        if let RepositoryUrl::Remote(url) = &self.remote.url {
            let url = url.replace('\\', "\\\\").replace('"', "\\\"");
            text.push_str(&format!(
                "[remote \"origin\"]\n\turl = \"{url}\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
            ));
        }
        text
    }

    /// The whole name of the branch or tag that was named, if one was.
    fn reference(&self) -> Option<String> {
        let name = self.remote.name.as_str();
        match self.tag {
            _ if name == "HEAD" || self.remote.commit().is_some() => None,
            _ if name.starts_with("refs/") => Some(name.to_owned()),
            Some(_) => Some(format!("refs/tags/{name}")),
            None => Some(format!("refs/heads/{name}")),
        }
    }

    /// The index (gitformat-index, version 2), as `git read-tree` leaves it: times, sizes and inodes are 0, which no file has, so
    /// git compares the contents before it calls a file changed.
    fn index(&self) -> Vec<u8> {
        const LONGEST: usize = 0xfff;
        let mut bytes = [b"DIRC".as_slice(), &2_u32.to_be_bytes(), &(self.files.len() as u32).to_be_bytes()].concat();
        for (path, File { kind, id }) in self.files {
            let mode: u32 = match kind {
                Kind::Regular { executable: false } => 0o100644,
                Kind::Regular { executable: true } => 0o100755,
                Kind::Symlink => 0o120000,
            };
            let start = bytes.len();
            // Two times of two words, device and inode; then owner, group and size.
            bytes.extend([0; 24]);
            bytes.extend(mode.to_be_bytes());
            bytes.extend([0; 12]);
            bytes.extend(id.bytes());
            bytes.extend((path.as_bytes().len().min(LONGEST) as u16).to_be_bytes());
            bytes.extend(path.as_bytes());
            let length = bytes.len() - start;
            bytes.resize(start + (length / 8 + 1) * 8, 0);
        }
        sealed(bytes, self.commit)
    }
}
