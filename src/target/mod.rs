//! The evaluated spec: plain data without behaviour, the same whether it was written in Starlark or in TOML.
//!
//! Each builtin is one struct here. Its fields are the keyword arguments of the Starlark function and the keys of the
//! TOML table, and their doc comments are the reference documentation and the JSON Schema, so none of these can drift.

mod base;
mod builtin;
mod decode;
mod field;
mod field_names;
mod from_node;
mod image;
mod label;
mod layer;
mod reference;
mod run;
mod schema;
mod settings;
mod source;
mod title;
mod value;

pub use base::{Base, DockerArchive, OciArchive, OciLayout, OciReference};
pub use builtin::{duplicate, empty_glob, node, positional, take_name, target_name};
pub use decode::decode;
pub use field::{FieldError, Id, Mode, Owner};
pub use image::{Healthcheck, HistoryEntry, ImageSpec, IndexSpec};
pub use label::{Label, LabelError, Pattern};
pub use layer::{Accounts, Archive, Copy, Dir, Files, Group, LayerSpec, Symlink, User, Write};
pub use reference::reference;
pub use run::{Command, Run};
pub use schema::{document_keys, schema};
pub use settings::{RegistrySettings, Settings};
pub use source::{Fetch, FileSource, Glob, Sources};
pub use value::{Node, Value};

use serde::Serialize;

use crate::diagnostic::Span;

/// One named thing that can be built.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    pub label: Label,
    #[serde(skip)]
    pub span: Option<Span>,
    #[serde(flatten)]
    pub rule: Rule,
}

/// What a target is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    Image(Box<ImageSpec>),
    Index(IndexSpec),
}

impl Target {
    /// The targets that this one names directly, in the order of their appearance and each once.
    pub fn dependencies(&self) -> Vec<Label> {
        let mut labels = Vec::new();
        let mut add = |label: &Label| {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        };
        match &self.rule {
            Rule::Image(image) => {
                let copied = image.layers.iter().filter_map(|layer| match &layer.value {
                    LayerSpec::Copy(copy) => Some(&copy.image),
                    _ => None,
                });
                for base in image.base.iter().chain(copied) {
                    if let Base::Target(label) = &base.value {
                        add(label);
                    }
                }
            }
            Rule::Index(index) => index.images.iter().for_each(|image| add(&image.value)),
        }
        labels
    }
}
