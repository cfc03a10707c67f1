//! The evaluated spec: plain data without behaviour, the same whether it was written in Starlark or in TOML.
//!
//! Each builtin is one struct here. Its fields are the keyword arguments of the Starlark function and the keys of the
//! TOML table, and their doc comments are the reference documentation and the JSON Schema, so none of these can drift.

mod base;
mod builtin;
mod chmod;
mod decode;
mod directory;
mod field;
mod field_names;
mod from_node;
mod git;
mod image;
mod label;
mod layer;
mod mount;
mod network;
mod place;
mod reference;
mod rule;
mod run;
mod schema;
mod scrub;
mod select;
mod settings;
mod source;
mod title;
mod value;

pub use base::{Base, DockerArchive, OciArchive, OciLayout, OciReference};
pub use builtin::{duplicate, empty_glob, node, positional, rule, take_name, target_name};
pub use chmod::Chmod;
pub use decode::decode;
pub use directory::NamedDirectory;
pub use field::{FieldError, Id, Mode, Owner};
pub use git::Git;
pub use image::{Healthcheck, HistoryEntry, ImageSpec, IndexSpec};
pub use label::{Label, LabelError, Pattern};
pub use layer::{Accounts, Archive, Copy, Dir, Files, Group, LayerSpec, Symlink, User, Write};
pub use mount::{
    BindMount, CacheMount, Mount, MountSource, PlacedMount, SecretMount, Sharing, SshMount, TmpfsMount, mount_target,
};
pub use network::Network;
pub use place::{Place, PlaceSource};
pub use reference::reference;
pub use rule::{Rule, SelectedImage, Target, distinct};
pub use run::{Command, Run};
pub use schema::{document_keys, schema};
pub use scrub::{Scrub, Scrubber};
pub use select::{Select, Sum};
pub use settings::{RegistrySettings, Settings};
pub use source::{ArchiveSource, Fetch, FileSource, Glob, Sources};
pub use value::{Node, Value};
