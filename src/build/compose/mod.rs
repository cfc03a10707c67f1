//! What a layer holds: each builtin to the entries that it adds, before any byte of the layer is written.

mod accounts;
mod context;
mod copy;
mod extract;
mod files;
mod inline;
pub(super) mod owner;
mod pattern;
mod place;
mod placement;
mod select;

use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::entry::{Content, Entry};
use crate::source::{StatCache, Workspace};
use crate::store::Store;
use crate::target::LayerSpec;
use crate::tree::Changeset;

use super::filesystem::FileSystem;
use super::listing::Listing;
use super::schedule::Progress;

/// What a layer is composed from.
pub(super) struct Composition<'a> {
    pub(super) workspace: &'a Workspace,
    /// The digests of the workspace's files, as far as they are known.
    pub(super) digests: &'a StatCache,
    pub(super) store: &'a Store,
    /// Who is told what is odd.
    pub(super) progress: &'a dyn Progress,
    /// Seconds since 1970: the time of what is made here, and the latest time of what is taken from elsewhere.
    pub(super) epoch: i64,
    /// What lies below the layer.
    pub(super) below: &'a FileSystem,
    /// What a `copy` takes from.
    pub(super) from: &'a FileSystem,
    /// What is in the archive of an `archive`.
    pub(super) listing: Option<&'a Listing>,
    /// The fetched files of the layer, in the order of [`LayerSpec::fetches`].
    pub(super) fetched: Vec<&'a Content>,
}

/// The entries of a layer, with the directories that lead to them.
///
/// # Errors
/// A missing file, a name that is not in `/etc/passwd`, an archive that cannot be read, and the like, at the place of
/// the builtin's call.
pub(super) fn compose(layer: &Spanned<LayerSpec>, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let composed = match &layer.value {
        LayerSpec::Files(files) => files::compose(files, composition),
        LayerSpec::Write(write) => inline::write(write, composition),
        LayerSpec::Dir(dir) => inline::dir(dir, composition),
        LayerSpec::Symlink(link) => inline::symlink(link, composition),
        LayerSpec::Accounts(accounts) => accounts::compose(accounts, composition),
        LayerSpec::Archive(archive) => extract::compose(archive, composition),
        LayerSpec::Place(place) => place::compose(place, composition),
        LayerSpec::Copy(copy) => copy::compose(copy, composition),
        LayerSpec::Run(_) => unreachable!("the plan runs commands"),
    };
    composed.and_then(|changes| complete(changes, composition)).at(layer.span.as_ref())
}

/// The layer that holds these entries.
fn layer_of(entries: Vec<Entry>) -> Result<Changeset, Diagnostic> {
    let mut changes = Changeset::new();
    entries.into_iter().try_for_each(|entry| insert(&mut changes, entry))?;
    Ok(changes)
}

/// Adds an entry to a layer.
fn insert(changes: &mut Changeset, entry: Entry) -> Result<(), Diagnostic> {
    changes.insert(entry).map_err(|error| Diagnostic::spec("the layer contradicts itself").caused_by(error))
}

/// Moves entries below a symbolic link of the image to where it leads, and adds missing parents.
fn complete(changes: Changeset, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let tree = &composition.below.tree;
    let placed = changes.redirect(tree).and_then(|mut changes| {
        changes.add_parents(tree, composition.epoch)?;
        Ok(changes)
    });
    placed.map_err(|error| Diagnostic::failure("the layer does not fit on the image below it").caused_by(error))
}
