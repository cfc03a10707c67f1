//! `srcs = { glob = [...] }` of a `files` layer, replaced by the files that match.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Spanned};
use crate::path::WorkspacePath;
use crate::source::Workspace;
use crate::target::{self, Glob, Value};

use super::{decode, source_error};

/// Replaces each glob in the layers of an image by the list of files that it matches, sorted bytewise.
///
/// # Errors
/// A glob that is malformed, or matches nothing without `allow_empty`.
pub fn expand(image: &mut Spanned<Value>, workspace: &Workspace) -> Result<(), Diagnostic> {
    each(field(image, "layers"), &mut |layer| {
        expand_layer(layer, workspace)?;
        each(field(layer, "run"), &mut |run| {
            each(field(run, "mounts"), &mut |mount| {
                for kind in ["bind", "cache"] {
                    each(field(mount, kind), &mut |mount| {
                        each(field(mount, "src"), &mut |layer| expand_layer(layer, workspace))
                    })?;
                }
                Ok(())
            })?;
            match field(run, "inputs") {
                Some(Spanned { value: Value::Map(inputs), .. }) => inputs
                    .iter_mut()
                    .try_for_each(|(_, layer)| each(Some(layer), &mut |layer| expand_layer(layer, workspace))),
                _ => Ok(()),
            }
        })
    })
}

fn expand_layer(layer: &mut Spanned<Value>, workspace: &Workspace) -> Result<(), Diagnostic> {
    each(field(layer, "files"), &mut |files| match field(files, "srcs") {
        // A glob is all of the sources, not one of several; what is selected among several can be one.
        Some(Spanned { value: Value::List(sources), .. }) => {
            let selected = sources.iter_mut().filter(|source| matches!(source.value, Value::Select(_)));
            selected
                .into_iter()
                .try_for_each(|source| each(Some(source), &mut |value| expand_sources(value, workspace)))
        }
        sources => each(sources, &mut |sources| expand_sources(sources, workspace)),
    })
}

/// Does something to what a value may be, on any platform, and to each item if that is a list.
fn each(
    value: Option<&mut Spanned<Value>>,
    change: &mut dyn FnMut(&mut Spanned<Value>) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
    match value {
        None => Ok(()),
        Some(Spanned { value: Value::List(items), .. }) => {
            items.iter_mut().try_for_each(|item| each(Some(item), change))
        }
        Some(Spanned { value: Value::Select(select), .. }) => {
            let mut values = Arc::make_mut(select).values_mut();
            values.try_for_each(|value| each(Some(value), change))
        }
        Some(value) => change(value),
    }
}

fn expand_sources(sources: &mut Spanned<Value>, workspace: &Workspace) -> Result<(), Diagnostic> {
    if field(sources, "glob").is_none() {
        return Ok(());
    }
    let Glob { glob, exclude, allow_empty } = decode(sources)?;
    let package = WorkspacePath::root();
    let span = sources.span.clone();
    let found = workspace.glob(&package, &glob, &exclude).map_err(|error| source_error(error).at(span.clone()))?;
    if found.is_empty() && !allow_empty {
        return Err(target::empty_glob(&glob, &exclude, &package).at(span));
    }
    let files = found.into_iter().map(|file| Spanned { value: Value::String(file), span: span.clone() });
    sources.value = Value::List(files.collect());
    Ok(())
}

fn field<'a>(table: &'a mut Spanned<Value>, name: &str) -> Option<&'a mut Spanned<Value>> {
    match &mut table.value {
        Value::Map(pairs) => pairs.iter_mut().find(|(key, _)| key.value == name).map(|(_, value)| value),
        _ => None,
    }
}
