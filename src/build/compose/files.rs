//! `files`: files, links and directories of the workspace.

use std::collections::BTreeSet;

use crate::diagnostic::{At, Diagnostic, Span, Spanned};
use crate::entry::{Content, Entry, Kind, Metadata};
use crate::path::{ImagePath, WorkspacePath};
use crate::source::SourceKind;
use crate::target::{FileSource, Files, Sources};
use crate::tree::Changeset;

use super::owner::Owners;
use super::placement::{Placement, join};
use super::{Composition, insert};

pub(super) fn compose(files: &Files, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let strip_prefix = image_path(&files.strip_prefix)?;
    let placement = Placement { dest: &files.dest, strip_prefix: &strip_prefix };
    let look = Look::new(files, composition)?;
    let mut fetched = composition.fetched.iter();
    let (mut places, mut found, mut ways) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut changes = Changeset::new();

    let mut take = |destination: Option<&str>, source: &Spanned<FileSource>| -> Result<(), Diagnostic> {
        let place = |path: &ImagePath| match destination {
            Some(destination) => placement.of_mapped(destination, path),
            None => placement.of_listed(path),
        };
        match &source.value {
            FileSource::Path(path) => {
                let place = place(&image_path(path)?)?;
                let top = files.package.join(path);
                let collected = composition.workspace.collect(&top).map_err(Diagnostic::from);
                let collected = collected.at(narrow(source.span.as_ref(), path.as_str()).as_ref())?;
                let top = image_path(&top)?;
                if destination.is_none() {
                    let is_below = |above: &ImagePath| *above != files.dest && above.starts_with(&files.dest);
                    ways.extend(place.ancestors().filter(is_below));
                }
                for file in collected {
                    let below = file.path.strip_prefix(&top).expect("collecting stays below where it began");
                    places.push(join(&place, &below)?);
                    found.push(file);
                }
            }
            FileSource::Fetch(fetch) => {
                let name = fetch.file_name().ok_or_else(|| {
                    let error = Diagnostic::spec("the fetched file has no plain name in its URL");
                    error.help("give it one with `name`").at(source.span.clone())
                })?;
                let name = ImagePath::parse(name).map_err(|error| Diagnostic::spec(error.to_string()))?;
                let place = match destination {
                    Some(destination) => placement.of_mapped(destination, &name)?,
                    None => join(&files.dest, &name)?,
                };
                let content = Content::clone(fetched.next().expect("the plan fetches what the layer names"));
                insert(&mut changes, look.file(place, content, fetch.executable))?;
            }
        }
        Ok(())
    };
    match &files.srcs {
        Sources::List(sources) => sources.iter().try_for_each(|source| take(None, source))?,
        Sources::Map(sources) => sources.iter().try_for_each(|(to, source)| take(Some(to), source))?,
    }

    let kinds = composition.workspace.hash_all(&found, composition.digests)?;
    for ((path, file), kind) in places.into_iter().zip(&found).zip(kinds) {
        let entry = match (&file.kind, kind) {
            (SourceKind::File { executable }, Kind::File { content }) => look.file(path, content, *executable),
            (_, Kind::Directory) => look.directory(path),
            (_, kind) => look.entry(path, 0o777, kind),
        };
        ways.remove(&entry.path);
        if !entry.path.is_root() {
            insert(&mut changes, entry)?;
        }
    }
    // A directory that is only on the way to a listed file comes from the sources as well, unless it is there already.
    if files.owner.is_some() || files.dir_mode.is_some() {
        for path in ways.into_iter().filter(|path| composition.below.tree.resolve(path).is_err()) {
            insert(&mut changes, look.directory(path))?;
        }
    }
    Ok(changes)
}

/// What the call says about modes and owners.
struct Look<'a> {
    files: &'a Files,
    composition: &'a Composition<'a>,
    owner: (u32, u32),
}

impl<'a> Look<'a> {
    fn new(files: &'a Files, composition: &'a Composition<'a>) -> Result<Self, Diagnostic> {
        let owners = Owners::of(composition);
        let owner = files.owner.as_ref().map_or(Ok((0, 0)), |owner| owners.resolve(owner))?;
        Ok(Look { files, composition, owner })
    }

    fn entry(&self, path: ImagePath, mode: u32, kind: Kind) -> Entry {
        let mut metadata = Metadata::root_owned(mode, self.composition.epoch);
        (metadata.uid, metadata.gid) = self.owner;
        Entry { path, metadata, kind }
    }

    fn file(&self, path: ImagePath, content: Content, executable: bool) -> Entry {
        let mode = self.files.mode.map_or(if executable { 0o755 } else { 0o644 }, |mode| mode.0);
        self.entry(path, mode, Kind::File { content })
    }

    /// A directory that the image below has too keeps its look, unless the call gives it another: copying a tree that
    /// happens to hold `tmp/` must not turn 1777 into 0755.
    fn directory(&self, path: ImagePath) -> Entry {
        let mut entry = self.entry(path, self.files.dir_mode.map_or(0o755, |mode| mode.0), Kind::Directory);
        if let Some(node) = self.composition.below.tree.get(&entry.path)
            && node.kind.is_directory()
        {
            if self.files.dir_mode.is_none() {
                entry.metadata.mode = node.metadata.mode;
            }
            if self.files.owner.is_none() {
                (entry.metadata.uid, entry.metadata.gid) = (node.metadata.uid, node.metadata.gid);
            }
        }
        entry
    }
}

fn image_path(path: &WorkspacePath) -> Result<ImagePath, Diagnostic> {
    ImagePath::parse(path.as_str()).map_err(|error| Diagnostic::spec(error.to_string()))
}

fn narrow(span: Option<&Span>, word: &str) -> Option<Span> {
    span.map(|span| span.narrowed_to(word))
}
