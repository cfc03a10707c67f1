//! `copy`: files of another image or target.

use crate::diagnostic::{At, Diagnostic, Span, Spanned};
use crate::entry::{Entry, Kind, Metadata};
use crate::path::ImagePath;
use crate::target::{Copy, Sources};
use crate::tree::{Below, Changeset, Tree};

use super::placement::{Placement, join};
use super::select::Selection;
use super::{Composition, layer_of};

pub(super) fn compose(copy: &Copy, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let tree = &*composition.from.tree(composition.store)?;
    let placement = Placement { dest: &copy.dest, strip_prefix: &copy.strip_prefix };
    let mut selection = Selection::of(tree);
    let mut take = |destination: Option<&str>, source: &Spanned<String>| -> Result<(), Diagnostic> {
        let (named, found) = find(tree, &source.value)?;
        let place = match destination {
            Some(destination) => placement.of_mapped(destination, &named)?,
            None => placement.of_listed(&named)?,
        };
        for path in tree.below(&found, |_| true).map(|entry| entry.path) {
            let below = path.strip_prefix(&found).expect("an entry below a directory has its path as prefix");
            selection.take(path, join(&place, &below)?);
        }
        // One directory onto another brings what is in it, as `files` does.
        if !(is_directory(tree, &found) && is_directory(composition.below, &place)) {
            selection.take(found, place);
        }
        Ok(())
    };
    let narrowed = |source: &Spanned<String>| source.span.as_ref().map(|span| span.narrowed_to(&source.value));
    if let Some(into) = &copy.into {
        return put_into(into, copy, tree, composition, narrowed);
    }
    match &copy.srcs {
        Sources::List(sources) => {
            sources.iter().try_for_each(|source| take(None, source).at(narrowed(source).as_ref()))?
        }
        Sources::Map(sources) => {
            sources.iter().try_for_each(|(to, source)| take(Some(to), source).at(narrowed(source).as_ref()))?
        }
    }

    layer_of(selection.entries(copy.owner.as_ref(), copy.mode, composition)?)
}

/// The files of a list in one directory, each source in it as a Dockerfile's COPY has it.
fn put_into(
    into: &ImagePath,
    copy: &Copy,
    tree: &Tree,
    composition: &Composition,
    narrowed: impl Fn(&Spanned<String>) -> Option<Span>,
) -> Result<Changeset, Diagnostic> {
    let Sources::List(sources) = &copy.srcs else {
        let error = Diagnostic::spec("`into` is for a list of sources, and `srcs` is a map");
        return Err(error.help("a map says itself where each source goes: take `into` away"));
    };
    if !copy.dest.is_root() || !copy.strip_prefix.is_root() {
        let error = Diagnostic::spec("`into` stands in the place of `dest` and `strip_prefix`");
        return Err(error.help("take these away, or `into`"));
    }
    let mut selection = Selection::of(tree);
    let mut take = |source: &Spanned<String>| -> Result<(), Diagnostic> {
        let (named, found) = find(tree, &source.value)?;
        let missing = |error| Diagnostic::spec(format!("`{named}` leads nowhere")).caused_by(error);
        let found = tree.resolve(&found).map_err(missing)?;
        if !is_directory(tree, &found) {
            let name = named.file_name().unwrap_or_default();
            let place = into.child(name).map_err(|error| Diagnostic::spec(error.to_string()))?;
            selection.take(found, place);
            return Ok(());
        }
        for path in tree.below(&found, |_| true).map(|entry| entry.path) {
            let below = path.strip_prefix(&found).expect("an entry below a directory has its path as prefix");
            selection.take(path, join(into, &below)?);
        }
        Ok(())
    };
    sources.iter().try_for_each(|source| take(source).at(narrowed(source).as_ref()))?;
    let mut entries = selection.entries(copy.owner.as_ref(), copy.mode, composition)?;
    if !is_directory(composition.below, into) {
        let metadata = Metadata::root_owned(0o755, composition.epoch);
        entries.push(Entry { path: into.clone(), metadata, kind: Kind::Directory });
    }
    layer_of(entries)
}

/// True for a directory, links followed.
fn is_directory(tree: &impl Below, path: &ImagePath) -> bool {
    tree.resolve(path).is_ok_and(|path| path.is_root() || tree.get(&path).is_some_and(|node| node.kind.is_directory()))
}

/// The path as the spec names it, and where it really is, links among its parents followed.
fn find(tree: &Tree, text: &str) -> Result<(ImagePath, ImagePath), Diagnostic> {
    let named = ImagePath::parse(text).map_err(|error| Diagnostic::spec(error.to_string()))?;
    let missing = || Diagnostic::spec(format!("`{named}` is not in the image that is copied from"));
    let found = tree.locate(&named).map_err(|error| missing().caused_by(error))?;
    if !found.is_root() && tree.get(&found).is_none() {
        return Err(
            missing().help("paths are those of the image, not of the workspace; `ocify build -o tar:FILE` shows them")
        );
    }
    Ok((named, found))
}
