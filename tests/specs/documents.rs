//! The schema and the reference, which are made from the structs, against what is accepted and committed.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Spec, check_file};

#[test]
fn the_reference_is_up_to_date() {
    check_file("docs/reference/spec.md", &ocify::target::reference());
}

#[test]
fn the_schema_is_the_same_every_time() {
    assert_eq!(ocify::target::schema().to_string(), ocify::target::schema().to_string());
}

/// The keys that an unknown one is told of, for the table in which it stands.
fn accepted(toml: &str) -> BTreeSet<String> {
    let error = Spec::toml(toml).toml_error();
    let text = error.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, known) = text.split_once("known are: ").unwrap_or_else(|| panic!("no list in {error}"));
    known.split(", ").map(str::to_owned).collect()
}

/// The keys that the schema has for a definition, or for the file.
fn described(definition: Option<&str>) -> BTreeSet<String> {
    let schema = ocify::target::schema();
    let table = definition.map_or(&schema, |name| &schema["$defs"][name]);
    assert_eq!(table["additionalProperties"], Json::Bool(false), "{definition:?} allows unknown keys");
    table["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_schema_has_the_keys_that_are_accepted() {
    let layer = |layer: &str| format!("[[image.x.layers]]\n{layer} = {{ qqqqqqqqqqqqqqqq = 1 }}");
    for (definition, toml) in [
        (None, "qqqqqqqqqqqqqqqq = 1".to_owned()),
        (Some("ImageSpec"), "image.x.qqqqqqqqqqqqqqqq = 1".to_owned()),
        (Some("IndexSpec"), "index.x.qqqqqqqqqqqqqqqq = 1".to_owned()),
        (Some("Healthcheck"), "image.x.healthcheck.qqqqqqqqqqqqqqqq = 1".to_owned()),
        (Some("HistoryEntry"), "image.x.history = [{ qqqqqqqqqqqqqqqq = 1 }]".to_owned()),
        (Some("OciLayout"), "image.x.base.oci_layout.qqqqqqqqqqqqqqqq = 1".to_owned()),
        (Some("OciArchive"), "image.x.base.oci_archive.qqqqqqqqqqqqqqqq = 1".to_owned()),
        (Some("DockerArchive"), "image.x.base.docker_archive.qqqqqqqqqqqqqqqq = 1".to_owned()),
        (Some("Files"), layer("files")),
        (Some("Write"), layer("write")),
        (Some("Dir"), layer("dir")),
        (Some("Symlink"), layer("symlink")),
        (Some("Accounts"), layer("accounts")),
        (Some("Archive"), layer("archive")),
        (Some("Copy"), layer("copy")),
        (Some("Run"), layer("run")),
        (Some("User"), "image.x.layers = [{ accounts = { users = [{ qqqqqqqqqqqqqqqq = 1 }] } }]".to_owned()),
        (Some("Group"), "image.x.layers = [{ accounts = { groups = [{ qqqqqqqqqqqqqqqq = 1 }] } }]".to_owned()),
        (Some("Fetch"), "image.x.layers = [{ archive.src.fetch.qqqqqqqqqqqqqqqq = 1 }]".to_owned()),
        (Some("Glob"), "image.x.layers = [{ files.srcs = { glob = [], qqqqqqqqqqqqqqqq = 1 } }]".to_owned()),
    ] {
        assert_eq!(accepted(&toml), described(definition), "{definition:?}");
    }
}

#[test]
fn the_schema_requires_what_is_required() {
    let schema = ocify::target::schema();
    for (definition, required) in [
        ("Files", Json::from(vec!["srcs"])),
        ("Write", Json::from(vec!["path", "content"])),
        ("OciLayout", Json::from(vec!["path", "digest"])),
        ("ImageSpec", Json::Null),
    ] {
        assert_eq!(schema["$defs"][definition]["required"], required, "{definition}");
    }
    let missing = |toml: &str| Spec::toml(toml).toml_error();
    assert!(missing("image.x.layers = [{ write = { path = \"/a\" } }]").contains("`content` is missing"));
    assert!(missing("image.x.base.oci_layout.path = \"a\"").contains("`digest` is missing"));
}

#[test]
fn the_schema_knows_every_layer() {
    let schema = ocify::target::schema();
    let variants = schema["$defs"]["Layer"]["anyOf"].as_array().unwrap();
    let known = variants.iter().flat_map(|variant| variant["properties"].as_object().unwrap().keys().cloned());
    assert_eq!(known.collect::<BTreeSet<_>>(), accepted("image.x.layers = [{ qqqqqqqqqqqqqqqq = 1 }]"));
}

#[test]
fn the_schema_lets_a_select_stand_where_one_can() {
    let schema = ocify::target::schema();
    let select = serde_json::json!({"$ref": "#/$defs/Select"});
    let allowed = |definition: &str, field: &str| {
        let field = &schema["$defs"][definition]["properties"][field];
        field["anyOf"].as_array().is_some_and(|variants| variants.contains(&select))
    };
    assert!(schema["$defs"]["Select"].is_object());
    for (definition, field) in [("ImageSpec", "base"), ("ImageSpec", "env"), ("Files", "srcs"), ("Fetch", "urls")] {
        assert!(allowed(definition, field), "{definition}.{field}");
    }
    let sources = &schema["$defs"]["FileSources"]["anyOf"][0]["items"]["anyOf"];
    assert!(sources.as_array().unwrap().contains(&select), "{sources}");
    for (definition, field) in [("ImageSpec", "platforms"), ("ImageSpec", "tags"), ("IndexSpec", "images")] {
        assert!(!allowed(definition, field), "{definition}.{field}");
    }
}
