//! The value of an argument before it is decoded: what a Starlark call and a TOML table have in common.

use crate::diagnostic::Spanned;

use super::base::Base;
use super::layer::LayerSpec;
use super::source::Fetch;

/// A value as the user wrote it, each part with its place.
#[derive(Clone, Debug)]
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
}

/// What a builtin returns, to be given to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Base(Base),
    Layer(LayerSpec),
    Fetch(Fetch),
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
            Node::Fetch(_) => "fetch",
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
        }
    }
}
