//! The TOML frontend: `ocify.toml` to settings and targets.
//!
//! The file holds the workspace's settings and, for simple projects, the images themselves: `[image.NAME]` and
//! `[index.NAME]` are targets of the root package. A layer is a table with one key, the builtin's name; a table
//! `{ glob = [...] }` in place of a layer's `srcs` is what `glob` is in Starlark, a table `{ select = { ... } }` in place of
//! any value what `select` is. Everything else is decoded by
//! [`target::decode`](crate::target::decode), exactly as the Starlark frontend does.

mod glob;
mod select;
mod value;

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::diagnostic::{Diagnostic, SourceText, Spanned, nearest};
use crate::path::WorkspacePath;
use crate::source::{SourceError, Workspace};
use crate::target::{self, Settings, Target, Value};

/// Reads the workspace's `ocify.toml`; without one, the settings are the defaults and there are no targets.
///
/// # Errors
/// As [`parse`], or a file that cannot be read.
pub fn load(workspace: &Workspace) -> Result<(Settings, Vec<Target>), Diagnostic> {
    let path = WorkspacePath::parse(Workspace::SETTINGS).map_err(|error| Diagnostic::spec(error.to_string()))?;
    match workspace.read_spec(&path) {
        Ok(source) => parse(&source, workspace),
        Err(SourceError::NotFound { .. }) => Ok((Settings::default(), Vec::new())),
        Err(error) => Err(source_error(error)),
    }
}

/// Settings and targets of an `ocify.toml`. Targets come in the order written, images before indexes.
///
/// # Errors
/// A syntax error, an unknown key, a value of the wrong type, a glob that matches nothing, or two targets of one name,
/// each at its place.
pub fn parse(source: &Arc<SourceText>, workspace: &Workspace) -> Result<(Settings, Vec<Target>), Diagnostic> {
    let mut document = value::parse(source)?;
    let Value::Map(pairs) = &mut document.value else {
        return Err(Diagnostic::spec("the file is not a table").at(document.span));
    };
    let mut targets = Vec::new();
    for table in ["image", "index"] {
        let Some(at) = pairs.iter().position(|(key, _)| key.value == table) else { continue };
        let (_, named) = pairs.remove(at);
        let Value::Map(named) = named.value else {
            let found = named.value.describe();
            let error = Diagnostic::spec(format!("expected tables `[{table}.NAME]`, found {found}")).at(named.span);
            return Err(error.help(format!("write `[{table}.NAME]`, with a name of your choice")));
        };
        for (name, arguments) in named {
            let target = target(table, name, arguments, workspace)?;
            if let Some(first) = targets.iter().find(|earlier: &&Target| earlier.label == target.label) {
                return Err(target::duplicate(first, &target));
            }
            targets.push(target);
        }
    }
    known_keys(pairs)?;
    Ok((settings(&document)?, targets))
}

fn target(
    table: &str,
    name: Spanned<String>,
    mut arguments: Spanned<Value>,
    workspace: &Workspace,
) -> Result<Target, Diagnostic> {
    let label =
        target::target_name(&name.value, &WorkspacePath::root()).map_err(|error| error.at(name.span.clone()))?;
    if let ("image", Value::Map(fields)) = (table, &mut arguments.value) {
        fields.iter_mut().try_for_each(|(_, value)| select::read(value))?;
        glob::expand(&mut arguments, workspace)?;
    }
    let rule = target::rule(table, arguments, &WorkspacePath::root())?;
    Ok(Target { label, span: name.span, rule })
}

fn settings(document: &Spanned<Value>) -> Result<Settings, Diagnostic> {
    let mut settings: Settings = decode(document)?;
    target::distinct(&settings.platforms)?;
    if let (Some(first), Value::Map(pairs)) = (settings.platforms.first(), &document.value) {
        if let Some((key, _)) = pairs.iter().find(|(key, _)| key.value == "platform") {
            let error = Diagnostic::spec("`platform` and `platforms` are both given").at(key.span.clone());
            return Err(error.help("images that name no platform are for one `platform`, or for several `platforms`"));
        }
        settings.platform = first.value.clone();
    }
    Ok(settings)
}

fn decode<T: DeserializeOwned>(value: &Spanned<Value>) -> Result<T, Diagnostic> {
    target::decode(value, &WorkspacePath::root())
}

/// The settings' own check knows nothing of the tables of targets, so it would not suggest them.
fn known_keys(pairs: &[(Spanned<String>, Spanned<Value>)]) -> Result<(), Diagnostic> {
    let known = target::document_keys();
    for (key, _) in pairs {
        if !known.contains(&key.value) {
            let error = Diagnostic::spec(format!("unknown key `{}`", key.value)).at(key.span.clone());
            return Err(error.label("not a key of `ocify.toml`").help(
                match nearest(&key.value, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are: {}", known.join(", ")),
                },
            ));
        }
    }
    Ok(())
}

fn source_error(error: SourceError) -> Diagnostic {
    let help = error.help();
    help.into_iter().fold(Diagnostic::spec(error.to_string()), Diagnostic::help)
}
