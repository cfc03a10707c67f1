//! The reference of the spec language, a page rendered from the structs' own documentation.

use std::fmt::Write as _;

use schemars::JsonSchema;
use schemars::generate::SchemaGenerator;
use serde::Deserialize;
use serde_json::Value as Json;

use super::builtin::positional;
use super::field_names::field_names;
use super::{
    Accounts, Archive, BindMount, CacheMount, Copy, Dir, DockerArchive, Fetch, Files, Git, Glob, Group, Healthcheck,
    HistoryEntry, ImageSpec, IndexSpec, OciArchive, OciLayout, OciReference, RegistrySettings, Run, SecretMount,
    Settings, SshMount, Symlink, TmpfsMount, User, Write,
};

/// The page, as Markdown.
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    section::<Settings>(&mut page, "##", "Settings", None);
    section::<RegistrySettings>(&mut page, "###", "`registry` of the settings", None);
    page.push_str("\n## Targets\n");
    section::<ImageSpec>(&mut page, "###", "`image`", Some("image"));
    section::<Healthcheck>(&mut page, "####", "`healthcheck` of an image", None);
    section::<HistoryEntry>(&mut page, "####", "`history` of an image", None);
    section::<IndexSpec>(&mut page, "###", "`index`", Some("index"));
    page.push_str("\n## Bases\n");
    page.push_str(SCRATCH);
    section::<OciReference>(&mut page, "###", "`oci`", Some("oci"));
    page.push_str(NAME);
    section::<OciLayout>(&mut page, "###", "`oci_layout`", Some("oci_layout"));
    section::<OciArchive>(&mut page, "###", "`oci_archive`", Some("oci_archive"));
    section::<DockerArchive>(&mut page, "###", "`docker_archive`", Some("docker_archive"));
    page.push_str("\n## Layers\n");
    section::<Files>(&mut page, "###", "`files`", Some("files"));
    section::<Write>(&mut page, "###", "`write`", Some("write"));
    section::<Dir>(&mut page, "###", "`dir`", Some("dir"));
    section::<Symlink>(&mut page, "###", "`symlink`", Some("symlink"));
    section::<Accounts>(&mut page, "###", "`accounts`", Some("accounts"));
    section::<User>(&mut page, "####", "`users` of accounts", None);
    section::<Group>(&mut page, "####", "`groups` of accounts", None);
    section::<Archive>(&mut page, "###", "`archive`", Some("archive"));
    section::<Copy>(&mut page, "###", "`copy`", Some("copy"));
    section::<Run>(&mut page, "###", "`run`", Some("run"));
    page.push_str(MOUNTS);
    section::<BindMount>(&mut page, "###", "`bind`", Some("bind"));
    section::<CacheMount>(&mut page, "###", "`cache`", Some("cache"));
    section::<TmpfsMount>(&mut page, "###", "`tmpfs`", Some("tmpfs"));
    section::<SecretMount>(&mut page, "###", "`secret`", Some("secret"));
    section::<SshMount>(&mut page, "###", "`ssh`", Some("ssh"));
    page.push_str("\n## Sources\n");
    section::<Fetch>(&mut page, "###", "`fetch`", Some("fetch"));
    section::<Git>(&mut page, "###", "`git`", Some("git"));
    section::<Glob>(&mut page, "###", "`glob` in TOML", None);
    page.push_str(SELECT);
    page.push_str(STARLARK);
    page
}

const HEAD: &str = "\
<!-- Generated from the builtins' documentation; `OCIFY_BLESS=1 cargo test reference` writes it anew. -->

# The spec language

A workspace is a directory with `ocify.toml`, a package a directory in it with `BUILD.star`. Both files say the same
things: each builtin below is a function in `BUILD.star`, with the fields as keyword arguments, and a table in
`ocify.toml`, with the fields as keys. An unknown key is an error.

In TOML, `[image.NAME]` and `[index.NAME]` are targets of the workspace's root package. A layer, a base and a source are
a table with one key, the builtin's name:

```toml
[image.web]
base = { oci_layout = { path = \"base\", digest = \"sha256:...\" } }
layers = [
    { files = { srcs = { glob = [\"site/**\"] }, strip_prefix = \"site\", dest = \"/srv\" } },
    { write = { path = \"/etc/motd\", content = \"hello\\n\" } },
]
```

In Starlark, a target has a `name`, and what a builtin returns is given to another:

```python
image(
    name = \"web\",
    base = oci_layout(path = \"base\", digest = \"sha256:...\"),
    layers = [
        files(srcs = glob([\"site/**\"]), strip_prefix = \"site\", dest = \"/srv\"),
        write(path = \"/etc/motd\", content = \"hello\\n\"),
    ],
)
```

A label names a target: `//path:name` from the workspace's root, `:name` in the same package, and `//path` for the
target that is called like its directory. Leaving an argument out and giving `None` are the same.
";

const SCRATCH: &str = "
### `scratch`

Nothing: no layers and an empty config. It has no fields; in TOML it is the string `\"scratch\"`.
";

const NAME: &str = "
A string that is neither `\"scratch\"` nor a label is such a name too: `base = \"python:3.12-slim\"`.
[Bases and the lock](../bases.md) tells how names become digests.
";

const MOUNTS: &str = "
## Mounts

What a `run` sees beside the image. Nothing that is mounted gets into the layer, nor what is made to mount it on. A target is not the
root, and not in `/dev`, `/proc` and `/sys`.
";

const SELECT: &str = "
## Values that depend on the platform

### `select`

A value of an image, of a base, of a layer or of a source that differs between platforms: a map from platforms to values, of
which one is taken for each platform that the image is made for.

```python
image(
    name = \"web\",
    platforms = [\"linux/amd64\", \"linux/arm64\"],
    base = select({\"linux/amd64\": oci_archive(\"amd64.tar\"), \"linux/arm64\": oci_archive(\"arm64.tar\")}),
    layers = [files(srcs = [\"dist/\" + select({\"linux/amd64\": \"x64\", \"linux/arm64\": \"arm\"})], dest = \"/opt\")],
)
```

```toml
[image.web]
platforms = [\"linux/amd64\", \"linux/arm64\"]
base.select = { \"linux/amd64\" = { oci_archive.path = \"amd64.tar\" }, \"linux/arm64\" = { oci_archive.path = \"arm64.tar\" } }
layers = [{ write = { path = \"/etc/cpu\", content = { select = { \"linux/amd64\" = \"x64\", default = \"other\" } } } }]
```

- A key is `os/architecture/variant`, `os/architecture` (whatever the variant), `os` (whatever the architecture), or `default`;
  the one that says most is taken. Other spellings mean the same: `linux/x86_64` is `linux/amd64`. That no key fits is an
  error.
- In Starlark, `+` adds it to a string or a list. Other operators, `format` and conditions don't know the platform yet.
- As an item of a list, it can stand for several items with a list, and for none with `None`.
- `name`, `platform`, `platforms`, `tags` and `media_types` say what the target is as a whole, so they cannot be selected; nor
  can anything of an `index`.
- A call that a value contains is checked when it is made; one that has a `select` in its own arguments, and what is in no call,
  when they are taken, which for the `platforms` that the image names is at once.
";

const STARLARK: &str = "
## Only in Starlark

### `glob(include, exclude = [], allow_empty = False)`

The files of the package that match a pattern of `include` and none of `exclude`, sorted bytewise, as paths relative to
the package. `*` and `?` match within a name, `**` any directories, `[a-z]` a character of a set, `{a,b}` either. Files
of packages further down are not among them. That nothing matches is an error, unless it is allowed.

### `arg(name, default = None)`

The value of a build argument, a string: what `--arg NAME=VALUE` gives, else the default. One that is neither given nor
has a default is an error, and so is one that is given but that no package declares.

### `platform(name = None)`

A platform such as `platform(\"linux/arm64\")`, by default the workspace's. It has the fields `os`, `architecture` and
`variant`, and can be given wherever a platform is named. The platform that an image is made for is another matter: a spec is
evaluated once for all of them, so what depends on that is a `select`.

### `load(module, names...)`

Functions and values of another file: `load(\"//path:file.star\", \"name\")` from the workspace's root, `:file.star` for a
file beside this one, `@std//file.star` for one that comes with ocify. Paths that a function of such a file names are
relative to the package that calls it. A file is evaluated once and then fixed; it cannot register targets itself.

### The language

[Starlark](https://github.com/bazelbuild/starlark/blob/master/spec.md) with `struct`, `json`, `map`, `filter`,
`partial`, `print` (to stderr), f-strings with names in them, `lambda`, keyword-only arguments, statements at the top
level, and type annotations, which are not checked. Evaluation sees no clock, environment or network, and has limits: a
million steps a file, 64 MiB of values (16 MiB in a loaded file), four million bytes or items in one text or list, 500
calls within calls.
";

fn section<T: JsonSchema + for<'de> Deserialize<'de>>(
    page: &mut String,
    level: &str,
    title: &str,
    builtin: Option<&str>,
) {
    let mut generator = SchemaGenerator::default();
    let schema = T::json_schema(&mut generator);
    let description = |schema: &Json| text(schema, "description").split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = |line: &str| {
        page.push_str(line);
        page.push('\n');
    };
    line("");
    line(&format!("{level} {title}"));
    line("");
    line(&description(schema.as_value()));
    if let Some(names @ [_, ..]) = builtin.map(positional) {
        line("");
        line(&format!("Without their names, in this order: {}.", quoted(names).join(", ")));
    }
    line("");
    line("| field | type | default | |");
    line("|---|---|---|---|");
    if let Some("image" | "index") = builtin {
        line("| `name` | string | required | The target's name; in TOML, the name of the table. |");
    }
    let required: Vec<&str> =
        schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    let properties = schema.get("properties").and_then(Json::as_object);
    let fields = field_names::<T>().iter().filter_map(|name| Some((*name, properties?.get(*name)?)));
    for (name, property) in fields {
        let mut default = String::new();
        match property.get("default") {
            _ if required.contains(&name) => default.push_str("required"),
            None | Some(Json::Null) => {}
            Some(value) => write!(default, "`{value}`").expect("a string can be written to"),
        }
        line(&format!(
            "| `{name}` | {} | {default} | {} |",
            type_name(property),
            description(property).replace('|', "\\|")
        ));
    }
}

/// The type of a field in words.
fn type_name(schema: &Json) -> String {
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        return defined(reference.rsplit('/').next().unwrap_or(reference)).to_owned();
    }
    if let Some(variants) = schema.get("anyOf").and_then(Json::as_array) {
        let variants = variants.iter().filter(|variant| text(variant, "type") != "null");
        return variants.map(type_name).collect::<Vec<_>>().join(" or ");
    }
    let of = |schema: &Json| match schema.get("type") {
        Some(Json::Array(types)) => {
            types.iter().filter_map(Json::as_str).find(|name| *name != "null").map(str::to_owned)
        }
        _ => Some(text(schema, "type").to_owned()),
    };
    match of(schema).as_deref() {
        Some("array") => format!("list of {}", plural(&type_name(&schema["items"]))),
        Some("object") => format!("map to {}", plural(&type_name(&schema["additionalProperties"]))),
        Some(name) => name.to_owned(),
        None => String::new(),
    }
}

/// What a type that has a name of its own is called on the page.
fn defined(name: &str) -> &str {
    match name {
        "Base" => "base",
        "Layer" => "layer",
        "FileSource" => "source",
        "ArchiveSource" => "source",
        "FileSources" => "list of sources, or map to sources",
        "Paths" => "list of strings, or map to strings",
        "OneOrMany" => "string or list of strings",
        "Owner" => "owner",
        "Mode" => "mode",
        "Compression" => "`\"gzip\"`, `\"zstd\"` or `\"none\"`",
        "MediaTypes" => "`\"oci\"` or `\"docker\"`",
        "Healthcheck" => "[healthcheck](#healthcheck-of-an-image)",
        "HistoryEntry" => "[history entry](#history-of-an-image)",
        "Mount" => "[mount](#mounts)",
        "MountSource" => "layer or base",
        "Sharing" => "`\"shared\"`, `\"private\"` or `\"locked\"`",
        "User" => "[user](#users-of-accounts)",
        "Group" => "[group](#groups-of-accounts)",
        other => other,
    }
}

fn plural(name: &str) -> String {
    match name {
        "[history entry](#history-of-an-image)" => "[history entries](#history-of-an-image)".into(),
        name => match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((word, link)) => format!("[{word}s]{link}"),
            None => format!("{name}s"),
        },
    }
}

fn quoted(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}

fn text<'a>(schema: &'a Json, key: &str) -> &'a str {
    schema.get(key).and_then(Json::as_str).unwrap_or("")
}
