//! Arguments that are another builtin's value, a text, or a table with the builtin's name.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::path::WorkspacePath;

use super::base::{Base, DockerArchive, OciArchive, OciLayout, OciReference};
use super::decode::{HELP, NODE, package, suggestion, take_node};
use super::git::Git;
use super::label::Label;
use super::layer::{Accounts, Archive, Copy, Dir, Files, LayerSpec, Symlink, Write};
use super::mount::{BindMount, CacheMount, Mount, MountSource, SecretMount, SshMount, TmpfsMount};
use super::run::Run;
use super::source::{ArchiveSource, Fetch, FileSource};
use super::value::Node;

/// A type that another builtin's value, a text, or a table with one key (the builtin's name) can stand for.
trait FromNode: Sized {
    const EXPECTED: &'static str;
    const BUILTINS: &'static [&'static str];

    /// The value as `node`; `None` if the node is something else.
    fn from_node(node: Node) -> Option<Self>;

    /// What to do with the value of another builtin instead.
    fn instead(_builtin: &str) -> Option<&'static str> {
        None
    }

    /// The value that a text stands for.
    fn from_text(text: &str) -> Result<Self, String>;

    /// The value of the table `{builtin = ...}`.
    fn from_table<'de, A: MapAccess<'de>>(builtin: &str, table: &mut A) -> Result<Self, A::Error>;
}

struct NodeVisitor<T>(PhantomData<T>);

impl<'de, T: FromNode> Visitor<'de> for NodeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        let node = take_node();
        let node = node.ok_or_else(|| E::custom(format!("expected {}, found None", T::EXPECTED)))?;
        let builtin = node.builtin();
        T::from_node(node).ok_or_else(|| {
            let message = format!("expected {}, found the value of `{builtin}(...)`", T::EXPECTED);
            E::custom(T::instead(builtin).map_or(message.clone(), |help| format!("{message}{HELP}{help}")))
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(E::custom)
    }

    /// JSON has no nodes, and this is how it says so.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<T, A::Error> {
        let one = || de::Error::custom(format!("expected {}: a table with one key, the builtin's name", T::EXPECTED));
        let builtin = table.next_key_seed(BuiltinName::<T>(PhantomData))?.ok_or_else(one)?;
        let value = T::from_table(&builtin, &mut table)?;
        match table.next_key::<String>()? {
            None => Ok(value),
            Some(_) => Err(one()),
        }
    }
}

/// The key of a table with one key. It is judged where it is read, so that an error has its place.
struct BuiltinName<T>(PhantomData<T>);

impl<'de, T: FromNode> DeserializeSeed<'de> for BuiltinName<T> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let name = String::deserialize(deserializer)?;
        if T::BUILTINS.contains(&name.as_str()) {
            return Ok(name);
        }
        let help = suggestion(&name, T::BUILTINS);
        Err(de::Error::custom(format!("expected {}, found the key `{name}`{HELP}{help}", T::EXPECTED)))
    }
}

macro_rules! deserialize_node {
    ($($type:ty),*) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_newtype_struct(NODE, NodeVisitor(PhantomData))
            }
        })*
    };
}

deserialize_node!(Base, LayerSpec, Mount, MountSource, FileSource, ArchiveSource, Label);

impl FromNode for Base {
    const EXPECTED: &'static str = "an image, its name or a label";
    const BUILTINS: &'static [&'static str] = &["oci", "oci_layout", "oci_archive", "docker_archive"];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Base(base) => Some(base),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "scratch" {
            return Ok(Base::Scratch);
        }
        if Label::looks_like(text) {
            return Label::from_text(text).map(Base::Target);
        }
        OciReference::from_text(text).map(Base::Oci)
    }

    fn from_table<'de, A: MapAccess<'de>>(builtin: &str, table: &mut A) -> Result<Self, A::Error> {
        Ok(match builtin {
            "oci" => Base::Oci(table.next_value::<OciReference>()?),
            "oci_layout" => Base::OciLayout(table.next_value::<OciLayout>()?),
            "oci_archive" => Base::OciArchive(table.next_value::<OciArchive>()?),
            _ => Base::DockerArchive(table.next_value::<DockerArchive>()?),
        })
    }
}

impl FromNode for LayerSpec {
    const EXPECTED: &'static str = "a layer";
    const BUILTINS: &'static [&'static str] =
        &["files", "write", "dir", "symlink", "accounts", "archive", "copy", "run"];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Layer(layer) => Some(layer),
            _ => None,
        }
    }

    fn instead(builtin: &str) -> Option<&'static str> {
        Some(match builtin {
            "fetch" => "give it to `files(srcs = [...])`, or to `archive(src = ...)` to unpack it",
            "git" => "give it to `archive(src = ...)`",
            _ => "to stand on an image, give it as `base`; to take files out of it, use `copy(image = ...)`",
        })
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Err(format!("expected a layer, found the string `{text}`{HELP}for files of the workspace use `files`"))
    }

    fn from_table<'de, A: MapAccess<'de>>(builtin: &str, table: &mut A) -> Result<Self, A::Error> {
        Ok(match builtin {
            "files" => LayerSpec::Files(table.next_value::<Files>()?),
            "write" => LayerSpec::Write(table.next_value::<Write>()?),
            "dir" => LayerSpec::Dir(table.next_value::<Dir>()?),
            "symlink" => LayerSpec::Symlink(table.next_value::<Symlink>()?),
            "accounts" => LayerSpec::Accounts(table.next_value::<Accounts>()?),
            "archive" => LayerSpec::Archive(table.next_value::<Archive>()?),
            "copy" => LayerSpec::Copy(table.next_value::<Copy>()?),
            _ => LayerSpec::Run(table.next_value::<Run>()?),
        })
    }
}

impl FromNode for Mount {
    const EXPECTED: &'static str = "a mount";
    const BUILTINS: &'static [&'static str] = &["bind", "cache", "tmpfs", "secret", "ssh"];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Mount(mount) => Some(mount),
            _ => None,
        }
    }

    fn instead(_: &str) -> Option<&'static str> {
        Some("to show the command files of a layer or an image, use `bind(src = ..., target = ...)`")
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Err(format!("expected a mount, found the string `{text}`{HELP}such as `cache(\"/root/.cache\")`"))
    }

    fn from_table<'de, A: MapAccess<'de>>(builtin: &str, table: &mut A) -> Result<Self, A::Error> {
        Ok(match builtin {
            "bind" => Mount::Bind(table.next_value::<BindMount>()?),
            "cache" => Mount::Cache(table.next_value::<CacheMount>()?),
            "tmpfs" => Mount::Tmpfs(table.next_value::<TmpfsMount>()?),
            "secret" => Mount::Secret(table.next_value::<SecretMount>()?),
            _ => Mount::Ssh(table.next_value::<SshMount>()?),
        })
    }
}

impl FromNode for MountSource {
    const EXPECTED: &'static str = "a layer, or an image, its name or a label";
    const BUILTINS: &'static [&'static str] = &[
        "files",
        "write",
        "dir",
        "symlink",
        "accounts",
        "archive",
        "copy",
        "oci",
        "oci_layout",
        "oci_archive",
        "docker_archive",
    ];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Layer(LayerSpec::Run(_)) => None,
            Node::Layer(layer) => Some(MountSource::Layer(Box::new(layer))),
            Node::Base(base) => Some(MountSource::Image(base)),
            _ => None,
        }
    }

    fn instead(builtin: &str) -> Option<&'static str> {
        (builtin == "run").then_some("a command runs in an image: make it a layer of one, and give that image")
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Base::from_text(text).map(MountSource::Image)
    }

    fn from_table<'de, A: MapAccess<'de>>(builtin: &str, table: &mut A) -> Result<Self, A::Error> {
        match Base::BUILTINS.contains(&builtin) {
            true => Base::from_table(builtin, table).map(MountSource::Image),
            false => LayerSpec::from_table(builtin, table).map(|layer| MountSource::Layer(Box::new(layer))),
        }
    }
}

impl FromNode for FileSource {
    const EXPECTED: &'static str = "a path or `fetch(...)`";
    const BUILTINS: &'static [&'static str] = &["fetch"];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Fetch(fetch) => Some(FileSource::Fetch(fetch)),
            _ => None,
        }
    }

    fn instead(builtin: &str) -> Option<&'static str> {
        (builtin == "git").then_some("a commit has many files: give it to `archive(src = ...)`")
    }

    fn from_text(text: &str) -> Result<Self, String> {
        WorkspacePath::parse(text).map(FileSource::Path).map_err(|error| error.to_string())
    }

    fn from_table<'de, A: MapAccess<'de>>(_: &str, table: &mut A) -> Result<Self, A::Error> {
        Ok(FileSource::Fetch(table.next_value::<Fetch>()?))
    }
}

impl FromNode for ArchiveSource {
    const EXPECTED: &'static str = "a path, `fetch(...)` or `git(...)`";
    const BUILTINS: &'static [&'static str] = &["fetch", "git"];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Fetch(fetch) => Some(ArchiveSource::Fetch(fetch)),
            Node::Git(git) => Some(ArchiveSource::Git(git)),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        WorkspacePath::parse(text).map(ArchiveSource::Path).map_err(|error| error.to_string())
    }

    fn from_table<'de, A: MapAccess<'de>>(builtin: &str, table: &mut A) -> Result<Self, A::Error> {
        Ok(match builtin {
            "fetch" => ArchiveSource::Fetch(table.next_value::<Fetch>()?),
            _ => ArchiveSource::Git(table.next_value::<Git>()?),
        })
    }
}

impl FromNode for Label {
    const EXPECTED: &'static str = "a target or a label";
    const BUILTINS: &'static [&'static str] = &[];

    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Base(Base::Target(label)) => Some(label),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Label::parse(text, &package()).map_err(|error| {
            let name = text.trim_start_matches('/');
            format!("{error}{HELP}write `:{name}` for a target of this package, `//package:name` for one of another")
        })
    }

    fn from_table<'de, A: MapAccess<'de>>(_: &str, _: &mut A) -> Result<Self, A::Error> {
        Err(de::Error::custom("expected a label"))
    }
}
