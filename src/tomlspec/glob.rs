//! `srcs = { glob = [...] }` of a `files` layer, replaced by the files that match.

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
    match field(image, "layers").map(|layers| &mut layers.value) {
        Some(Value::List(layers)) => layers.iter_mut().try_for_each(|layer| expand_layer(layer, workspace)),
        _ => Ok(()),
    }
}

fn expand_layer(layer: &mut Spanned<Value>, workspace: &Workspace) -> Result<(), Diagnostic> {
    if let Value::List(nested) = &mut layer.value {
        return nested.iter_mut().try_for_each(|layer| expand_layer(layer, workspace));
    }
    let Some(sources) = field(layer, "files").and_then(|files| field(files, "srcs")) else { return Ok(()) };
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
