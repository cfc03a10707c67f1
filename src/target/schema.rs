//! JSON Schema of the types that are more than a struct: how a node is written in TOML.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::diagnostic::Spanned;

use super::base::{Base, DockerArchive, OciArchive, OciLayout, OciReference};
use super::field_names::field_names;
use super::layer::{Accounts, Archive, Copy, Dir, Files, LayerSpec, Symlink, Write};
use super::run::Run;
use super::settings::Settings;
use super::source::{Fetch, FileSource, Glob, Sources};
use super::{ImageSpec, IndexSpec};

/// The JSON Schema (draft 2020-12) of `ocify.toml`.
pub fn schema() -> serde_json::Value {
    let schema = SchemaGenerator::default().into_root_schema_for::<Document>();
    schema.to_value()
}

/// The top-level keys of `ocify.toml`, sorted.
pub fn document_keys() -> Vec<String> {
    let mut keys: Vec<String> = field_names::<Settings>().iter().map(|&name| name.to_owned()).collect();
    keys.extend(["image".to_owned(), "index".to_owned()]);
    keys.sort();
    keys
}

/// `ocify.toml`: settings of the workspace, and targets of its root package.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "ocify.toml")]
#[expect(dead_code, reason = "only its schema is used")]
struct Document {
    #[schemars(flatten)]
    settings: Settings,
    /// Images by name.
    #[schemars(default)]
    image: BTreeMap<String, ImageSpec>,
    /// Indexes by name.
    #[schemars(default)]
    index: BTreeMap<String, IndexSpec>,
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

impl JsonSchema for Base {
    fn schema_name() -> Cow<'static, str> {
        "Base".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "\"scratch\", the label of a target, the name of an image in a registry, or a table with the name of a builtin that reads an image.",
            "anyOf": [
                { "type": "string" },
                one_key("oci", generator.subschema_for::<OciReference>()),
                one_key("oci_layout", generator.subschema_for::<OciLayout>()),
                one_key("oci_archive", generator.subschema_for::<OciArchive>()),
                one_key("docker_archive", generator.subschema_for::<DockerArchive>()),
            ],
        })
    }
}

impl JsonSchema for LayerSpec {
    fn schema_name() -> Cow<'static, str> {
        "Layer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A layer: a table with one key, the builtin's name.",
            "anyOf": [
                one_key("files", generator.subschema_for::<Files>()),
                one_key("write", generator.subschema_for::<Write>()),
                one_key("dir", generator.subschema_for::<Dir>()),
                one_key("symlink", generator.subschema_for::<Symlink>()),
                one_key("accounts", generator.subschema_for::<Accounts>()),
                one_key("archive", generator.subschema_for::<Archive>()),
                one_key("copy", generator.subschema_for::<Copy>()),
                one_key("run", generator.subschema_for::<Run>()),
            ],
        })
    }
}

impl JsonSchema for FileSource {
    fn schema_name() -> Cow<'static, str> {
        "FileSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A path relative to the package, or a file from elsewhere.",
            "anyOf": [{ "type": "string" }, one_key("fetch", generator.subschema_for::<Fetch>())],
        })
    }
}

impl JsonSchema for Sources<FileSource> {
    fn schema_name() -> Cow<'static, str> {
        "FileSources".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let glob = generator.subschema_for::<Glob>();
        let source = generator.subschema_for::<FileSource>();
        json_schema!({
            "description": "A list of sources, a map {destination: source}, or a glob.",
            "anyOf": [
                { "type": "array", "items": source },
                glob,
                { "type": "object", "not": { "required": ["glob"] }, "additionalProperties": source },
            ],
        })
    }
}

impl JsonSchema for Sources<String> {
    fn schema_name() -> Cow<'static, str> {
        "Paths".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A list of paths, or a map {destination: path}.",
            "anyOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "additionalProperties": { "type": "string" } },
            ],
        })
    }
}

/// What [`one_or_many`](super::decode::one_or_many) reads.
pub(super) struct OneOrMany;

impl JsonSchema for OneOrMany {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A string or a list of strings.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}

fn one_key(key: &str, value: Schema) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { key: value },
        "required": [key],
        "additionalProperties": false,
    })
}
