//! JSON Schema of the types that are more than a struct: how a node is written in TOML.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::diagnostic::Spanned;

use super::base::{Base, DockerArchive, OciArchive, OciLayout};
use super::layer::{Accounts, Archive, Copy, Dir, Files, LayerSpec, Symlink, Write};
use super::source::{Fetch, FileSource, Sources};

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
            "description": "\"scratch\", the label of a target, or a table with the name of a builtin that reads an image.",
            "anyOf": [
                { "type": "string" },
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

impl<S: JsonSchema> JsonSchema for Sources<S> {
    fn schema_name() -> Cow<'static, str> {
        format!("Sources_of_{}", S::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let source = generator.subschema_for::<S>();
        json_schema!({
            "description": "A list of sources, a map {destination: source}, or a glob.",
            "anyOf": [
                { "type": "array", "items": source },
                {
                    "type": "object",
                    "properties": {
                        "glob": { "type": "array", "items": { "type": "string" } },
                        "exclude": { "type": "array", "items": { "type": "string" } },
                        "allow_empty": { "type": "boolean" },
                    },
                    "required": ["glob"],
                    "additionalProperties": false,
                },
                { "type": "object", "additionalProperties": source },
            ],
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
