//! Where the files of a layer come from.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::diagnostic::Spanned;
use crate::digest::Digest;
use crate::path::WorkspacePath;

use super::decode;
use super::git::Git;
use super::schema::OneOrMany;

/// One file, or a directory with all that is in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FileSource {
    /// A path relative to the package.
    Path(WorkspacePath),
    /// A file from elsewhere.
    Fetch(Fetch),
}

/// An archive, or what can be read as one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ArchiveSource {
    /// A path relative to the package.
    Path(WorkspacePath),
    /// A file from elsewhere.
    Fetch(Fetch),
    /// A commit.
    Git(Git),
}

/// A list of sources, or a map from the path in the image to the source.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Sources<S> {
    /// Each keeps its own path below the destination.
    List(Vec<Spanned<S>>),
    /// Destination and source, in the order written.
    Map(Vec<(String, Spanned<S>)>),
}

/// In TOML, the files of the package that match a pattern, in place of the list of sources: what `glob(include,
/// exclude, allow_empty)` is in Starlark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Glob {
    /// Patterns of the files to take: `*` and `?` within a name, `**` for any directories, `[a-z]`, `{a,b}`.
    #[serde(deserialize_with = "decode::one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub glob: Vec<String>,
    /// Patterns of the files to leave out of these.
    #[serde(default, deserialize_with = "decode::one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub exclude: Vec<String>,
    /// Whether it is fine that no file matches.
    #[serde(default)]
    pub allow_empty: bool,
}

/// A file from the network or from this machine, whose digest is known beforehand: from the spec, or from `ocify.lock`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = url_or_urls)]
pub struct Fetch {
    /// The package in which the call stands.
    #[serde(skip_deserializing, default = "decode::package")]
    #[schemars(skip)]
    pub package: WorkspacePath,
    /// Where to get the file: `https://`, `http://` or `file://` followed by a path relative to the package. The
    /// places are tried in order and must all hold the same bytes. `url = "..."` is short for a list of one.
    #[serde(alias = "url", deserialize_with = "decode::one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub urls: Vec<String>,
    /// SHA-256 of the file, as 64 hexadecimal digits; without it, `ocify.lock` pins the file by its first URL.
    #[serde(default, with = "hex", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub sha256: Option<Digest>,
    /// The file's name; by default the last component of the first URL's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Mode 0755 instead of 0644.
    #[serde(default)]
    pub executable: bool,
}

/// Schemars leaves out a field's other names.
fn url_or_urls(schema: &mut Schema) {
    schema.insert("anyOf".into(), serde_json::json!([{ "required": ["urls"] }, { "required": ["url"] }]));
    schema.remove("required");
    if let Some(properties) = schema.get_mut("properties").and_then(|properties| properties.as_object_mut()) {
        properties.insert("url".into(), serde_json::json!({ "description": "The only URL.", "type": "string" }));
    }
}

impl Fetch {
    /// The first URL, by which a lock knows the file; one of the workspace is named from its root.
    pub fn lock_name(&self) -> Option<String> {
        let url = self.urls.first()?;
        let path = url.strip_prefix("file://").and_then(|path| WorkspacePath::parse(path).ok());
        Some(path.map_or_else(|| url.clone(), |path| format!("file://{}", self.package.join(&path))))
    }

    /// The file's name: `name`, else the last component of the first URL's path; `None` if that is not a plain name.
    pub fn file_name(&self) -> Option<&str> {
        let name = match &self.name {
            Some(name) => name,
            None => {
                let url = self.urls.first()?;
                let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
                let path = rest.split(['?', '#']).next().unwrap_or("");
                match path.rsplit_once('/') {
                    Some((_, name)) => name,
                    // What stands there is a host, but in a path relative to the package.
                    None if scheme == "file" => path,
                    None => "",
                }
            }
        };
        let plain = !matches!(name, "" | "." | "..") && !name.contains(['/', '\\']) && !name.contains(char::is_control);
        plain.then_some(name)
    }
}

/// A digest without its algorithm, as people paste it from a checksum file.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::digest::Digest;

    pub fn serialize<S: Serializer>(digest: &Option<Digest>, serializer: S) -> Result<S::Ok, S::Error> {
        digest.as_ref().map(Digest::hex).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let digest = Digest::from_hex(text.strip_prefix("sha256:").unwrap_or(&text));
        digest.map(Some).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_first_url() {
        let fetch = |url: &str, name: Option<&str>| Fetch {
            package: WorkspacePath::root(),
            urls: vec![url.to_owned(), "https://other.example/other".to_owned()],
            sha256: None,
            name: name.map(str::to_owned),
            executable: false,
        };
        for (url, name) in [
            ("https://a.example/x/tool-1.0.tar.gz?sig=/y#z", "tool-1.0.tar.gz"),
            ("file://tool", "tool"),
            ("file://vendor/tool", "tool"),
        ] {
            assert_eq!(fetch(url, None).file_name(), Some(name));
        }
        assert_eq!(fetch("https://a.example/", Some("x")).file_name(), Some("x"));
        assert_eq!(fetch("https://a.example/", None).lock_name().as_deref(), Some("https://a.example/"));
        let package = WorkspacePath::parse("shop").unwrap();
        let tool = Fetch { package, ..fetch("file://vendor/tool", None) };
        assert_eq!(tool.lock_name().as_deref(), Some("file://shop/vendor/tool"));
        for (url, name) in [
            ("https://a.example", None),
            ("https://a.example/", None),
            ("https://a.example/..", None),
            ("https://a.example/x", Some("../x")),
            ("https://a.example/x", Some("")),
        ] {
            assert_eq!(fetch(url, name).file_name(), None, "{url}");
        }
    }
}
