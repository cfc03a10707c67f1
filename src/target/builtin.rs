//! The builtins by name, for both frontends.

use std::sync::Arc;

use serde::Deserialize;

use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::path::WorkspacePath;

use super::decode::decode;
use super::mount::Mount;
use super::rule::Rule;
use super::select::Call;
use super::value::{Node, Value};
use super::{Base, Label, LayerSpec, Target};

/// The keywords that positional arguments of a builtin stand for, in order.
pub fn positional(builtin: &str) -> &'static [&'static str] {
    match builtin {
        "oci" => &["reference"],
        "oci_layout" => &["path", "digest"],
        "oci_archive" | "docker_archive" | "dir" => &["path"],
        "copy" => &["image", "srcs"],
        "run" => &["command"],
        "bind" => &["src", "target"],
        "cache" | "tmpfs" => &["target"],
        "secret" | "ssh" => &["id"],
        "write" => &["path", "content"],
        "symlink" => &["path", "target"],
        "select" => &["values"],
        _ => &[],
    }
}

/// What a builtin that registers no target returns for its arguments. Arguments that depend on the platform are decoded
/// when it is known.
///
/// # Errors
/// As [`decode`]; or an unknown builtin, which frontends don't let through.
pub fn node(builtin: &'static str, arguments: Spanned<Value>, package: &WorkspacePath) -> Result<Node, Diagnostic> {
    if arguments.value.is_selected() {
        return Ok(Node::Call(Arc::new(Call::new(builtin, arguments, package)?)));
    }
    let arguments = &arguments;
    Ok(match builtin {
        "scratch" => {
            let Nothing {} = decode(arguments, package)?;
            Node::Base(Base::Scratch)
        }
        "oci" => Node::Base(Base::Oci(decode(arguments, package)?)),
        "oci_layout" => Node::Base(Base::OciLayout(decode(arguments, package)?)),
        "oci_archive" => Node::Base(Base::OciArchive(decode(arguments, package)?)),
        "docker_archive" => Node::Base(Base::DockerArchive(decode(arguments, package)?)),
        "files" => Node::Layer(LayerSpec::Files(decode(arguments, package)?)),
        "write" => Node::Layer(LayerSpec::Write(decode(arguments, package)?)),
        "dir" => Node::Layer(LayerSpec::Dir(decode(arguments, package)?)),
        "symlink" => Node::Layer(LayerSpec::Symlink(decode(arguments, package)?)),
        "accounts" => Node::Layer(LayerSpec::Accounts(decode(arguments, package)?)),
        "archive" => Node::Layer(LayerSpec::Archive(decode(arguments, package)?)),
        "copy" => Node::Layer(LayerSpec::Copy(decode(arguments, package)?)),
        "run" => Node::Layer(LayerSpec::Run(decode(arguments, package)?)),
        "bind" => Node::Mount(Mount::Bind(decode(arguments, package)?)),
        "cache" => Node::Mount(Mount::Cache(decode(arguments, package)?)),
        "tmpfs" => Node::Mount(Mount::Tmpfs(decode(arguments, package)?)),
        "secret" => Node::Mount(Mount::Secret(decode(arguments, package)?)),
        "ssh" => Node::Mount(Mount::Ssh(decode(arguments, package)?)),
        "fetch" => Node::Fetch(decode(arguments, package)?),
        "git" => Node::Git(decode(arguments, package)?),
        other => return Err(Diagnostic::spec(format!("there is no builtin `{other}`"))),
    })
}

/// What a builtin that registers a target makes of its arguments without the name.
///
/// # Errors
/// As [`decode`], and as [`Rule::image`].
pub fn rule(builtin: &str, arguments: Spanned<Value>, package: &WorkspacePath) -> Result<Rule, Diagnostic> {
    match builtin {
        "image" => Rule::image(arguments, package),
        _ => Ok(Rule::Index(decode(&arguments, package)?)),
    }
}

/// Takes `name` out of the arguments of a builtin that registers a target.
///
/// # Errors
/// If there is no name, or it is not one.
pub fn take_name(arguments: &mut Spanned<Value>, package: &WorkspacePath) -> Result<Label, Diagnostic> {
    let Value::Map(pairs) = &mut arguments.value else { return Err(missing_name().at(arguments.span.clone())) };
    let Some(at) = pairs.iter().position(|(key, value)| key.value == "name" && !matches!(value.value, Value::None))
    else {
        return Err(missing_name().at(arguments.span.clone()));
    };
    let (_, name) = pairs.remove(at);
    match &name.value {
        Value::String(text) => target_name(text, package).at(name.span.as_ref()),
        other => Err(Diagnostic::spec(format!("expected a name, found {}", other.describe())).at(name.span)),
    }
}

/// The label of the target `name` of a package.
///
/// # Errors
/// If it is not a name.
pub fn target_name(name: &str, package: &WorkspacePath) -> Result<Label, Diagnostic> {
    let error = || {
        let error = Diagnostic::spec(format!("`{name}` is not a name for a target"));
        error.help("a name is made of letters, digits, `.`, `_`, `-` and `+`, such as `web-1.2`")
    };
    Label::parse(&format!(":{name}"), package).map_err(|_| error())
}

/// The error for a second target of the same name.
#[must_use]
pub fn duplicate(first: &Target, second: &Target) -> Diagnostic {
    let error = Diagnostic::spec(format!("there are two targets `{}`", second.label));
    let error = error.at(second.span.clone()).label("the second");
    match &first.span {
        Some(span) => error.help(format!("the first is at {span}; give one of them another name")),
        None => error.help("give one of them another name"),
    }
}

/// The error for a glob that matches no file of `package`.
#[must_use]
pub fn empty_glob(include: &[String], exclude: &[String], package: &WorkspacePath) -> Diagnostic {
    let quoted = |patterns: &[String]| patterns.iter().map(|p| format!("`{p}`")).collect::<Vec<_>>().join(", ");
    let without = if exclude.is_empty() { String::new() } else { format!(" without {}", quoted(exclude)) };
    let place = if package.is_root() { "the workspace's root".into() } else { format!("`{package}`") };
    let error = Diagnostic::spec(format!("no file in {place} matches {}{without}", quoted(include)));
    let allow = "say that it may be empty with `allow_empty`";
    error.label("matches nothing").help(format!("patterns are relative to the package's directory; {allow}"))
}

/// A builtin without arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn missing_name() -> Diagnostic {
    Diagnostic::spec("`name` is missing").label("needs `name`").help("a target is built by its name: `name = \"...\"`")
}
