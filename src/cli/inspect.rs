//! `ocify inspect`: manifest and config of images in the store.

use serde_json::{Map, Value, json};

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::image::{self, Image, ImageIndex, ImageOrIndex};
use crate::oci::ContainerConfig;
use crate::platform::Platform;
use crate::registry::{self, Which};
use crate::store::Store;

use super::place::Place;
use super::template::Format;
use super::{environment, name, print, pull, registries};

/// Show images and indexes of the store or of a registry as JSON: what `docker image inspect` shows, manifest and config.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify inspect //examples/hello
  ocify inspect sha256:... --config
  ocify inspect registry:debian:12 --platform linux/arm64
  ocify inspect example.com/web:1.4 --format '{{.Digest}} {{json .Config.Entrypoint}}'
  ocify inspect example.com/web:1.4 --format '{{index .Config.Labels \"version\"}}'
  ocify inspect example.com/web:1.4 --platform linux/arm64 --check")]
pub(super) struct Arguments {
    /// A name as `ocify images` lists it, a label, a digest or image ID, or at least four digits of one; registry:NAME for an
    /// image of a registry, of which no layer is downloaded
    #[arg(value_name = "IMAGE", required = true)]
    names: Vec<String>,
    /// Print only the config, byte for byte
    #[arg(long, conflicts_with_all = ["raw", "format"])]
    config: bool,
    /// Print only the manifest or index, byte for byte
    #[arg(long, conflicts_with = "format")]
    raw: bool,
    /// Of an index, the image for this platform
    #[arg(long)]
    platform: Option<Platform>,
    /// Print each image by a Go-like template, or as one line of `json`
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<Format>,
    /// Compute every digest, size and diff ID anew, and fail with all that is wrong
    #[arg(long)]
    check: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store()?;
    let find = |text: &String| find(text, environment, &store);
    let found = arguments.names.iter().map(find).collect::<Result<Vec<Digest>, Diagnostic>>()?;
    let mut loaded = Vec::new();
    for (text, digest) in arguments.names.iter().zip(&found) {
        if arguments.check {
            check(digest, &store)?;
        }
        let whole = image::load(&store, digest)
            .map_err(|error| Diagnostic::failure(format!("{digest} cannot be read")).caused_by(error))?;
        loaded.push(match &arguments.platform {
            Some(platform) => name::select(text, &whole, Some(platform))?.clone().into(),
            None => whole,
        });
    }
    if arguments.config || arguments.raw {
        return loaded.iter().try_for_each(|loaded| print_document(loaded, arguments.config));
    }
    let mut values = loaded.iter().map(|loaded| summary(loaded, &store)).collect::<Result<Vec<_>, _>>()?;
    if let Some(text) = arguments.format.as_ref().map(|format| format.render(&values, &[])).transpose()?.flatten() {
        return print(&text);
    }
    match (values.pop(), values.is_empty()) {
        (Some(only), true) => print(&format!("{only:#}\n")),
        (last, _) => {
            values.extend(last);
            print(&format!("{:#}\n", Value::Array(values)))
        }
    }
}

/// The digest of what a name stands for. Of an image in a registry, manifest and config are brought.
fn find(text: &str, environment: &environment::Arguments, store: &Store) -> Result<Digest, Diagnostic> {
    match text.parse() {
        Ok(Place::Registry(name)) => {
            let pulled = registry::pull_documents(&registries::client(environment)?, &name, Which::All, store);
            Ok(pulled.map_err(|error| pull::failed(&name, error))?.digest())
        }
        _ => Ok(name::find(text, store)?.digest),
    }
}

fn print_document(loaded: &ImageOrIndex, config: bool) -> Result<(), Diagnostic> {
    let bytes = match loaded {
        ImageOrIndex::Image(image) if config => image.config_bytes(),
        ImageOrIndex::Index(_) if config => {
            return Err(Diagnostic::spec("an index has no config")
                .help("choose one of its images with `--platform`, as in `--platform linux/amd64`"));
        }
        ImageOrIndex::Image(image) => image.manifest_bytes(),
        ImageOrIndex::Index(index) => index.bytes(),
    };
    print(&String::from_utf8_lossy(bytes))
}

/// Validates the image or index; the first problem leads, the others follow it.
fn check(digest: &Digest, store: &Store) -> Result<(), Diagnostic> {
    let problems = image::validate(store, digest).into_iter();
    let mut problems = problems.map(|problem| Diagnostic::failure(problem.to_string()));
    match problems.next() {
        None => Ok(()),
        Some(first) => Err(first.and(problems).help("build or copy the image again; damaged blobs are in quarantine")),
    }
}

/// What is shown of an image or index: fields with capitals as Docker calls them, and the documents.
fn summary(loaded: &ImageOrIndex, store: &Store) -> Result<Value, Diagnostic> {
    let digest = loaded.digest();
    let references = name::references(store)?;
    let names: Vec<&String> =
        references.iter().filter(|(_, descriptor)| descriptor.digest == digest).map(|(name, _)| name).collect();
    Ok(match loaded {
        ImageOrIndex::Image(image) => of_image(image, &names),
        ImageOrIndex::Index(index) => of_index(index, &names),
    })
}

fn of_image(image: &Image, names: &[&String]) -> Value {
    let config = image.config();
    json!({
        "Id": image.id(),
        "Digest": image.digest(),
        "RepoTags": names,
        "MediaType": image.descriptor().media_type,
        "Created": config.created,
        "Author": config.author.as_deref().unwrap_or_default(),
        "Architecture": config.architecture,
        "Variant": config.variant.as_deref().unwrap_or_default(),
        "Os": config.os,
        "OsVersion": config.os_version.as_deref().unwrap_or_default(),
        "Platform": image.platform(),
        "Size": size(&image.clone().into()),
        "Annotations": image.manifest().annotations,
        "Config": container(&config.config),
        "RootFS": { "Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids },
        "Layers": image.layers().iter().map(|layer| json!({
            "Digest": layer.descriptor.digest,
            "DiffID": layer.diff_id,
            "Size": layer.descriptor.size,
            "MediaType": layer.descriptor.media_type,
        })).collect::<Vec<_>>(),
        "digest": image.digest(),
        "manifest": parsed(image.manifest_bytes()),
        "config": parsed(image.config_bytes()),
    })
}

fn of_index(index: &ImageIndex, names: &[&String]) -> Value {
    let manifests = index.index().manifests.iter().map(|entry| {
        json!({
            "Digest": entry.digest,
            "Size": entry.size,
            "MediaType": entry.media_type,
            "Platform": entry.platform.as_ref().map(|platform| platform.platform()),
            "Annotations": entry.annotations,
        })
    });
    json!({
        "Id": index.digest(),
        "Digest": index.digest(),
        "RepoTags": names,
        "MediaType": index.descriptor().media_type,
        "Size": size(&index.clone().into()),
        "Annotations": index.index().annotations,
        "Manifests": manifests.collect::<Vec<_>>(),
        "digest": index.digest(),
        "index": parsed(index.bytes()),
    })
}

/// The config with all of its fields, so that a template finds those that this image lacks empty.
fn container(config: &ContainerConfig) -> Value {
    let mut fields = json!({
        "User": "", "ExposedPorts": {}, "Env": [], "Entrypoint": null, "Cmd": null, "Volumes": {}, "WorkingDir": "",
        "Labels": {}, "StopSignal": null, "Healthcheck": null, "Shell": null, "OnBuild": null,
    });
    if let (Value::Object(fields), Ok(Value::Object(own))) = (&mut fields, serde_json::to_value(config)) {
        fields.extend::<Map<String, Value>>(own);
    }
    fields
}

/// Bytes of all blobs together, as they are stored.
fn size(loaded: &ImageOrIndex) -> u64 {
    image::blobs(loaded).values().sum()
}

/// The JSON as a value; it was parsed once when the image was loaded.
fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}
