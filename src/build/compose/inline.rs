//! `write`, `dir` and `symlink`: single entries that stand in the spec.

use crate::diagnostic::Diagnostic;
use crate::entry::{Content, Entry, Kind, Metadata};
use crate::path::ImagePath;
use crate::target::{Dir, Owner, Symlink, Write};
use crate::tree::Changeset;

use super::owner::Owners;
use super::{Composition, insert};

pub(super) fn write(write: &Write, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let content = Content::inline(write.content.as_bytes());
    single(&write.path, write.mode.0, write.owner.as_ref(), Kind::File { content }, composition)
}

pub(super) fn dir(dir: &Dir, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let below = &composition.below.tree;
    let mut metadata = Metadata::root_owned(0o755, composition.epoch);
    let mut path = dir.path.clone();
    if let Ok(found) = below.resolve(&path)
        && let Some(node) = below.get(&found).filter(|node| node.kind.is_directory())
    {
        metadata = Metadata { mtime: composition.epoch, ..node.metadata.clone() };
        path = found;
    }
    if let Some(mode) = dir.mode {
        metadata.mode = mode.0;
    }
    if let Some(owner) = &dir.owner {
        (metadata.uid, metadata.gid) = Owners::of(composition).resolve(owner)?;
    }
    let mut changes = Changeset::new();
    insert(&mut changes, Entry { path, metadata, kind: Kind::Directory })?;
    Ok(changes)
}

pub(super) fn symlink(link: &Symlink, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let target = link.target.as_bytes();
    if target.is_empty() || target.contains(&0) || target.len() > ImagePath::MAX_LEN {
        return Err(Diagnostic::spec("the target of a symbolic link has 1 to 4096 bytes and no NUL"));
    }
    single(&link.path, 0o777, link.owner.as_ref(), Kind::Symlink { target: target.into() }, composition)
}

fn single(
    path: &ImagePath,
    mode: u32,
    owner: Option<&Owner>,
    kind: Kind,
    composition: &Composition,
) -> Result<Changeset, Diagnostic> {
    if path.is_root() {
        return Err(Diagnostic::spec(format!("the image's root cannot be a {}", kind.name())));
    }
    let mut metadata = Metadata::root_owned(mode, composition.epoch);
    if let Some(owner) = owner {
        (metadata.uid, metadata.gid) = Owners::of(composition).resolve(owner)?;
    }
    let mut changes = Changeset::new();
    insert(&mut changes, Entry { path: path.clone(), metadata, kind })?;
    Ok(changes)
}
