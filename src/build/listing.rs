//! Files and commits that are fetched, and what is in archives, without and with the bytes of their files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use crate::action::Action;
use crate::action::key::Preimage;
use crate::action::record::StepResult;
use crate::archive::read::{Limits, Spool, decompress, is_zip, read_tar, read_zip};
use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::digest::{DiffId, Digest};
use crate::entry::{Content, Entry, Kind, Origin};
use crate::git::Pin;
use crate::path::{ImagePath, WorkspacePath};
use crate::source::SourceFile;
use crate::store::Store;
use crate::target::{Archive, ArchiveSource, Fetch, Git};

use super::cache::{unreadable, unwritable};
use super::execute::{Context, Executor};
use super::output::{Done, Output};
use super::schedule::How;

impl Executor<'_> {
    /// `Fetch`. The store has a file under its digest, so that is where it is looked for.
    pub(super) fn fetch(
        &self,
        action: &Action,
        fetch: &Spanned<Fetch>,
        sha256: &Digest,
    ) -> Result<(Done, How), Diagnostic> {
        let Context { workspace, store, client, .. } = *self.context;
        let Spanned { value, span } = fetch;
        let get = || client.fetch(value, sha256, workspace, store).map_err(Diagnostic::from).at(span.as_ref());
        self.fetched(action, sha256, get)
    }

    /// `Git`. As `Fetch`, for the tar of a commit.
    pub(super) fn git(&self, action: &Action, git: &Spanned<Git>, pin: &Pin) -> Result<(Done, How), Diagnostic> {
        let Context { workspace, store, client, .. } = *self.context;
        let Spanned { value, span } = git;
        let get = || client.commit(&value.remote(), pin, workspace, store).map_err(Diagnostic::from).at(span.as_ref());
        self.fetched(action, &pin.sha256, get)
    }

    fn fetched(
        &self,
        action: &Action,
        sha256: &Digest,
        get: impl Fn() -> Result<Content, Diagnostic>,
    ) -> Result<(Done, How), Diagnostic> {
        let preimage = Preimage::fetch(*sha256);
        let get = || self.cache.timed(&get);
        let find = || self.context.store.contains(sha256).map(|_| get()).transpose();
        let ((content, micros), miss) = self.found_or_made(action, &preimage, None, find, get)?;
        let result = StepResult { digest: content.digest, size: content.size, diff_id: None, micros };
        Ok(self.done(action, Output::Content(content), preimage, Some(result), miss))
    }

    /// `List`. What an archive holds is known by its digest, once it was read.
    pub(super) fn list(
        &self,
        action: &Action,
        archive: &Spanned<Archive>,
        fetched: Option<&Content>,
    ) -> Result<(Done, How), Diagnostic> {
        let content = match (&archive.value.src.value, fetched) {
            (ArchiveSource::Path(path), _) => {
                let span = archive.value.src.span.as_ref().map(|span| span.narrowed_to(path.as_str()));
                self.hash(&archive.value.package.join(path)).at(span.as_ref()).at(archive.span.as_ref())?
            }
            (ArchiveSource::Fetch(_) | ArchiveSource::Git(_), Some(content)) => content.clone(),
            (ArchiveSource::Fetch(_) | ArchiveSource::Git(_), None) => {
                unreachable!("the plan fetches what a layer names")
            }
        };
        let preimage = Preimage::archive(content.digest);
        let find = || {
            let found: Option<(StepResult, Vec<String>)> = self.cache.find(&preimage)?;
            let Some((result, warnings)) = found else { return Ok(None) };
            let listing = Listing::find(&preimage, warnings, &content, self.context.store)?;
            Ok(listing.map(|listing| (result, listing)))
        };
        let make = || {
            let read = || Listing::read(&content, self.context.store);
            let (listing, micros) = self.cache.timed(read).at(archive.span.as_ref())?;
            let result = StepResult { digest: content.digest, size: content.size, diff_id: None, micros };
            listing.keep(&preimage, self.context.store)?;
            self.cache.put(&preimage, (result, &listing.warnings), Vec::new())?;
            Ok((result, listing))
        };
        let ((result, listing), miss) = self.found_or_made(action, &preimage, None, find, make)?;
        listing.warnings.iter().for_each(|text| self.context.progress.warned(text));
        Ok(self.done(action, Output::Listing(listing.into()), preimage, Some(result), miss))
    }

    /// A file of the workspace as a content that can be opened.
    pub(super) fn hash(&self, path: &WorkspacePath) -> Result<Content, Diagnostic> {
        let path = ImagePath::parse(path.as_str()).map_err(|error| Diagnostic::spec(error.to_string()))?;
        match self.context.workspace.hash_all(&[SourceFile::named(path)], &self.digests)?.pop() {
            Some(Kind::File { content }) => Ok(content),
            _ => unreachable!("a regular file is hashed to one"),
        }
    }
}

/// The entries of an archive, and what is odd about it. A listing that comes from the store has contents of
/// [`Origin::Archive`].
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    pub(super) warnings: Vec<String>,
}

impl Listing {
    /// Reads `archive`, a content that can be opened; the contents of its files are set aside in a temporary file.
    pub(super) fn read(archive: &Content, store: &Store) -> Result<Self, Diagnostic> {
        let file = archive.open();
        Listing::read_file(
            file.map_err(|error| Diagnostic::failure("the archive cannot be read").caused_by(error))?,
            store,
        )
    }

    /// As [`Listing::read`], from an open file.
    pub(super) fn read_file(file: File, store: &Store) -> Result<Self, Diagnostic> {
        let limits = Limits::default();
        let spool = store.spool().map_err(|e| Diagnostic::failure("no temporary file").caused_by(e))?;
        let mut spool = Spool::new(spool);
        let unreadable = || Diagnostic::failure("the archive cannot be read");
        if is_zip(&file).map_err(|error| unreadable().caused_by(error))? {
            let entries = read_zip(&file, &limits, &mut spool).map_err(|error| unreadable().caused_by(error))?;
            return Ok(Listing { entries, warnings: Vec::new() });
        }
        let tar = decompress(BufReader::with_capacity(1 << 16, file), &limits)
            .and_then(|stream| read_tar(stream, &limits, Some(&mut spool)))
            .map_err(|error| unreadable().caused_by(error))?;
        Ok(Listing { entries: tar.entries, warnings: tar.warnings })
    }

    /// Keeps the entries as the store keeps those of a layer, under the name of the action's key: that form is written and
    /// read without a second copy of them in memory.
    fn keep(&self, preimage: &Preimage, store: &Store) -> Result<(), Diagnostic> {
        let name = index_name(preimage);
        let mut entries = self.entries.clone();
        for content in entries.iter_mut().filter_map(content) {
            content.origin = Origin::Layer { diff_id: name, offset: 0 };
        }
        store.put_layer_index(&name, &entries).map_err(unwritable)
    }

    /// The listing of `archive`, if the store has it.
    fn find(
        preimage: &Preimage,
        warnings: Vec<String>,
        archive: &Content,
        store: &Store,
    ) -> Result<Option<Self>, Diagnostic> {
        let Some(mut entries) = store.layer_index(&index_name(preimage)).map_err(unreadable)? else { return Ok(None) };
        let archive = Arc::new(archive.clone());
        for content in entries.iter_mut().filter_map(content) {
            content.origin = match content.size {
                0 => Origin::Inline(Arc::from([])),
                _ => Origin::Archive(archive.clone()),
            };
        }
        Ok(Some(Listing { entries, warnings }))
    }
}

/// No layer has this diff ID.
fn index_name(preimage: &Preimage) -> DiffId {
    DiffId(preimage.key().0)
}

/// Makes contents readable that lie in archives: each archive is read once, and its files are set aside in a temporary
/// file. Contents that lie elsewhere stay as they are.
pub(super) fn make_readable(contents: &mut [&mut Content], store: &Store) -> Result<(), Diagnostic> {
    let archive_of = |content: &Content| match &content.origin {
        Origin::Archive(archive) => Some(archive.clone()),
        _ => None,
    };
    let archives: BTreeMap<Digest, Arc<Content>> =
        contents.iter().filter_map(|content| archive_of(content)).map(|archive| (archive.digest, archive)).collect();
    for (digest, archive) in archives {
        let mut files = Listing::read(&archive, store)?.entries;
        let files: BTreeMap<Digest, Origin> =
            files.iter_mut().filter_map(content).map(|content| (content.digest, content.origin.clone())).collect();
        for content in contents.iter_mut().filter(|content| archive_of(content).is_some_and(|it| it.digest == digest)) {
            let origin = files.get(&content.digest).ok_or_else(|| {
                Diagnostic::failure("the archive no longer holds what it held")
                    .help("build again: it was being changed")
            })?;
            content.origin = origin.clone();
        }
    }
    Ok(())
}

/// The content of a file.
pub(super) fn content(entry: &mut Entry) -> Option<&mut Content> {
    match &mut entry.kind {
        Kind::File { content } => Some(content),
        _ => None,
    }
}
