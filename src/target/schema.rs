//! JSON Schema of the types that are more than a struct: how a node is written in TOML.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value as Json, json};

use crate::diagnostic::Spanned;

use super::base::{Base, DockerArchive, OciArchive, OciLayout, OciReference};
use super::field_names::field_names;
use super::git::Git;
use super::layer::{Accounts, Archive, Copy, Dir, Files, LayerSpec, Symlink, Write};
use super::mount::{BindMount, CacheMount, Mount, MountSource, SecretMount, SshMount, TmpfsMount};
use super::rule::OF_THE_WHOLE;
use super::run::Run;
use super::settings::Settings;
use super::source::{ArchiveSource, Fetch, FileSource, Glob, Sources};
use super::{ImageSpec, IndexSpec};

/// The JSON Schema (draft 2020-12) of `ocify.toml`.
pub fn schema() -> Json {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<Document>().to_value();
    if let Some(definitions) = schema.get_mut("$defs").and_then(Json::as_object_mut) {
        for (_, definition) in definitions.iter_mut().filter(|(name, _)| !matches!(name.as_str(), "IndexSpec" | "Glob"))
        {
            allow_select_within(definition);
            let fields = definition.get_mut("properties").and_then(Json::as_object_mut);
            for (_, field) in fields.into_iter().flatten().filter(|(name, _)| !OF_THE_WHOLE.contains(&name.as_str())) {
                allow_select(field);
            }
        }
        let select = json!({
            "description": "One of several values, depending on the platform; the keys are platforms, or \"default\".",
            "type": "object",
            "properties": { "select": { "type": "object", "minProperties": 1 } },
            "required": ["select"],
            "additionalProperties": false,
        });
        definitions.insert("Select".into(), select);
    }
    schema
}

/// Lets a select stand for a value, and for each item of a list. Which types its values should have depends on the place, so
/// that is left to the decoder.
fn allow_select(value: &mut Json) {
    let Some(fields) = value.as_object_mut() else { return };
    let mut own = Json::Object(std::mem::take(fields));
    allow_select_within(&mut own);
    let Json::Object(mut own) = own else { return };
    for kept in ["description", "default"] {
        fields.extend(own.remove(kept).map(|text| (kept.to_owned(), text)));
    }
    fields.insert("anyOf".into(), json!([own, { "$ref": "#/$defs/Select" }]));
}

/// The top-level keys of `ocify.toml`, sorted.
pub fn document_keys() -> Vec<String> {
    let mut keys: Vec<String> = field_names::<Settings>().iter().map(|&name| name.to_owned()).collect();
    keys.extend(["image".to_owned(), "index".to_owned()]);
    keys.sort();
    keys
}

/// As [`allow_select`], for the items of a list and the values of a map.
fn allow_select_within(value: &mut Json) {
    for variant in value.get_mut("anyOf").and_then(Json::as_array_mut).into_iter().flatten() {
        allow_select_within(variant);
    }
    for part in ["items", "additionalProperties"] {
        value.get_mut(part).into_iter().for_each(allow_select);
    }
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

impl JsonSchema for Mount {
    fn schema_name() -> Cow<'static, str> {
        "Mount".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A mount of a command: a table with one key, the builtin's name.",
            "anyOf": [
                one_key("bind", generator.subschema_for::<BindMount>()),
                one_key("cache", generator.subschema_for::<CacheMount>()),
                one_key("tmpfs", generator.subschema_for::<TmpfsMount>()),
                one_key("secret", generator.subschema_for::<SecretMount>()),
                one_key("ssh", generator.subschema_for::<SshMount>()),
            ],
        })
    }
}

impl JsonSchema for MountSource {
    fn schema_name() -> Cow<'static, str> {
        "MountSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A layer that no command makes, or an image.",
            "anyOf": [generator.subschema_for::<Base>(), generator.subschema_for::<LayerSpec>()],
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

impl JsonSchema for ArchiveSource {
    fn schema_name() -> Cow<'static, str> {
        "ArchiveSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A path relative to the package, a file from elsewhere, or a commit.",
            "anyOf": [
                { "type": "string" },
                one_key("fetch", generator.subschema_for::<Fetch>()),
                one_key("git", generator.subschema_for::<Git>()),
            ],
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
