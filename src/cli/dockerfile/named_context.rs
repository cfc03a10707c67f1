//! `--build-context`: directories and images in the place of stages and images.

use std::fs;
use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::dockerfile::{NamedContext, NamedContexts};
use crate::image::{Wanted, read_layout};
use crate::path::WorkspacePath;
use crate::source::Workspace;
use crate::store::Store;
use crate::target::{NamedDirectory, OciLayout, OciReference};

use super::text;

/// What the names stand for.
///
/// # Errors
/// A name that is given twice; a directory or layout that is not there; something that is neither and no image.
pub(super) fn named_contexts(given: &[(String, String)], store: &Store) -> Result<NamedContexts, Diagnostic> {
    let mut contexts = NamedContexts::default();
    for (name, value) in given {
        let context = named_context(name, value, store)?;
        if contexts.insert(name, context).is_some() {
            let error = Diagnostic::spec(format!("two contexts have the name `{name}`"));
            return Err(error.help("take one `--build-context` away"));
        }
    }
    Ok(contexts)
}

fn named_context(name: &str, value: &str, store: &Store) -> Result<NamedContext, Diagnostic> {
    let wrong = |help: &str| {
        let error = Diagnostic::spec(format!("`{value}` cannot be the context `{name}`"));
        error.help(help.to_owned())
    };
    if let Some(image) = value.strip_prefix("docker-image://") {
        return OciReference::parse(image).map(NamedContext::Registry);
    }
    if let Some(layout) = value.strip_prefix("oci-layout://") {
        return layout_of(name, layout, store).map(NamedContext::Layout);
    }
    if value.contains("://") || value.starts_with("git@") {
        return Err(wrong("it is a directory, `oci-layout://DIR:TAG` or `docker-image://NAME`"));
    }
    let workspace = Workspace::at(value).map_err(|error| {
        wrong("it is a directory, `oci-layout://DIR:TAG` or `docker-image://NAME`").caused_by(error)
    })?;
    let directory = NamedDirectory { name: name.to_owned(), root: workspace.root().to_owned() };
    Ok(NamedContext::Directory { directory, ignore: text::ignore_of(&workspace)? })
}

/// The image that `DIR`, `DIR:TAG` or `DIR@DIGEST` names; it is in the store afterwards.
fn layout_of(name: &str, text: &str, store: &Store) -> Result<OciLayout, Diagnostic> {
    let unreadable = || Diagnostic::failure(format!("no image can be read from {text}"));
    let (place, digest) = text.split_once('@').map_or((text, None), |(place, digest)| (place, Some(digest)));
    let (path, tag) = match place.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (place, None),
    };
    let root = fs::canonicalize(Path::new(path)).map_err(|error| unreadable().caused_by(error))?;
    let digest = match digest {
        Some(digest) => {
            digest.parse().map_err(|error| Diagnostic::spec(format!("`{digest}` is no digest")).caused_by(error))?
        }
        None => {
            let wanted = tag.map_or(Wanted::Only, Wanted::Named);
            let listed = read_layout(&root, wanted, store).map_err(|error| unreadable().caused_by(error))?;
            let listed = listed.into_iter().next().ok_or_else(|| unreadable().help("it lists none"))?;
            listed.what.digest()
        }
    };
    let directory = Some(NamedDirectory { name: name.to_owned(), root });
    Ok(OciLayout { package: WorkspacePath::root(), directory, path: WorkspacePath::root(), digest })
}
