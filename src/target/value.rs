//! The value of an argument before it is decoded: what a Starlark call and a TOML table have in common.

use std::sync::Arc;

use serde::ser::{Serialize, Serializer};

use crate::diagnostic::Spanned;

use super::base::Base;
use super::git::Git;
use super::layer::LayerSpec;
use super::mount::Mount;
use super::select::{Call, Select, Sum};
use super::source::Fetch;

/// A value as the user wrote it, each part with its place.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Starlark's `None`: as if the argument were not there.
    None,
    Bool(bool),
    Int(i64),
    String(String),
    List(Vec<Spanned<Value>>),
    /// In the order written.
    Map(Vec<(Spanned<String>, Spanned<Value>)>),
    /// What another builtin returned, with the place of its call.
    Node(Box<Spanned<Node>>),
    /// One of several, depending on the platform.
    Select(Arc<Select>),
    /// Two that are added once they are chosen.
    Sum(Arc<Sum>),
}

/// What a builtin returns, to be given to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Base(Base),
    Layer(LayerSpec),
    Mount(Mount),
    Fetch(Fetch),
    Git(Git),
    /// What another builtin will return once its arguments are chosen.
    Call(Arc<Call>),
}

impl Node {
    /// The name of the builtin that made it.
    pub fn builtin(&self) -> &'static str {
        match self {
            Node::Base(Base::Scratch) => "scratch",
            Node::Base(Base::Oci(_)) => "oci",
            Node::Base(Base::OciLayout(_)) => "oci_layout",
            Node::Base(Base::OciArchive(_)) => "oci_archive",
            Node::Base(Base::DockerArchive(_)) => "docker_archive",
            Node::Base(Base::Target(_)) => "image",
            Node::Layer(LayerSpec::Files(_)) => "files",
            Node::Layer(LayerSpec::Write(_)) => "write",
            Node::Layer(LayerSpec::Dir(_)) => "dir",
            Node::Layer(LayerSpec::Symlink(_)) => "symlink",
            Node::Layer(LayerSpec::Accounts(_)) => "accounts",
            Node::Layer(LayerSpec::Archive(_)) => "archive",
            Node::Layer(LayerSpec::Copy(_)) => "copy",
            Node::Layer(LayerSpec::Run(_)) => "run",
            Node::Layer(LayerSpec::Place(_)) => "place",
            Node::Mount(Mount::Bind(_)) => "bind",
            Node::Mount(Mount::Cache(_)) => "cache",
            Node::Mount(Mount::Tmpfs(_)) => "tmpfs",
            Node::Mount(Mount::Secret(_)) => "secret",
            Node::Mount(Mount::Ssh(_)) => "ssh",
            Node::Fetch(_) => "fetch",
            Node::Git(_) => "git",
            Node::Call(call) => call.builtin,
        }
    }
}

impl Value {
    /// What the value is, for messages.
    pub fn describe(&self) -> String {
        match self {
            Value::None => "None".into(),
            Value::Bool(b) => format!("the boolean `{b}`"),
            Value::Int(i) => format!("the number `{i}`"),
            Value::String(s) => format!("the string `{s}`"),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
            Value::Node(node) => format!("the value of `{}(...)`", node.value.builtin()),
            Value::Select(_) | Value::Sum(_) => "a `select`".into(),
        }
    }
}

/// As the value is written in TOML.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::None => serializer.serialize_none(),
            Value::Bool(truth) => truth.serialize(serializer),
            Value::Int(number) => number.serialize(serializer),
            Value::String(text) => text.serialize(serializer),
            Value::List(items) => items.serialize(serializer),
            Value::Map(pairs) => serializer.collect_map(pairs.iter().map(|(key, value)| (&key.value, value))),
            Value::Node(node) => node.serialize(serializer),
            Value::Select(select) => serializer.collect_map([("select", select.as_ref())]),
            Value::Sum(sum) => serializer.collect_map([("sum", sum.as_ref())]),
        }
    }
}

/// As the call is written in TOML.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Base(base) => base.serialize(serializer),
            Node::Layer(layer) => layer.serialize(serializer),
            Node::Mount(mount) => mount.serialize(serializer),
            Node::Fetch(fetch) => serializer.collect_map([("fetch", fetch)]),
            Node::Git(git) => serializer.collect_map([("git", git)]),
            Node::Call(call) => serializer.collect_map([(call.builtin, &call.arguments)]),
        }
    }
}
