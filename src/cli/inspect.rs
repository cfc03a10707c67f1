//! `ocify inspect`: manifest and config of an image in the store.

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, nearest};
use crate::digest::Digest;
use crate::image::{self, ImageOrIndex};
use crate::path::WorkspacePath;
use crate::store::Store;
use crate::target::Label;

use super::{environment, print};

/// Show an image or index of the store as JSON: digest, manifest and config.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify inspect //examples/hello
  ocify inspect sha256:... --config
  ocify inspect example.com/web:1.4 --check")]
pub(super) struct Arguments {
    /// A name as `ocify images` lists it, a label, or a digest
    #[arg(value_name = "IMAGE")]
    name: String,
    /// Print only the config, byte for byte
    #[arg(long, conflicts_with = "raw")]
    config: bool,
    /// Print only the manifest or index, byte for byte
    #[arg(long)]
    raw: bool,
    /// Compute every digest, size and diff ID anew, and fail with all that is wrong
    #[arg(long)]
    check: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store()?;
    let digest = find(&arguments.name, &store)?;
    if arguments.check {
        check(&digest, &store)?;
    }
    let loaded = image::load(&store, &digest)
        .map_err(|error| Diagnostic::failure(format!("{digest} cannot be read")).caused_by(error))?;
    match &loaded {
        ImageOrIndex::Image(image) if arguments.config => print_bytes(image.config_bytes()),
        ImageOrIndex::Index(_) if arguments.config => Err(Diagnostic::spec("an index has no config")
            .help("`ocify inspect NAME` shows the digests of the images in it")),
        ImageOrIndex::Image(image) if arguments.raw => print_bytes(image.manifest_bytes()),
        ImageOrIndex::Index(index) if arguments.raw => print_bytes(index.bytes()),
        ImageOrIndex::Image(image) => print_json(&json!({
            "digest": digest,
            "manifest": parsed(image.manifest_bytes()),
            "config": parsed(image.config_bytes()),
        })),
        ImageOrIndex::Index(index) => print_json(&json!({ "digest": digest, "index": parsed(index.bytes()) })),
    }
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

/// The digest that `name` stands for.
pub(super) fn find(name: &str, store: &Store) -> Result<Digest, Diagnostic> {
    if let Ok(digest) = name.parse() {
        return Ok(digest);
    }
    let references =
        store.references().map_err(|error| Diagnostic::failure("the store's index cannot be read").caused_by(error))?;
    let listed = match Label::looks_like(name) {
        true => {
            let here = environment::workspace().map_or_else(|_| WorkspacePath::root(), |(_, here)| here);
            Label::parse(name, &here).map_err(|error| Diagnostic::spec(error.to_string()))?.ref_name()
        }
        false => name.to_owned(),
    };
    references.get(&listed).map(|descriptor| descriptor.digest).ok_or_else(|| {
        let error = Diagnostic::spec(format!("the store has no image `{listed}`"));
        error.help(match nearest(&listed, references.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`ocify images` lists what there is, `ocify build` makes more".into(),
        })
    })
}

/// The JSON as a value; it was parsed once when the image was loaded.
fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}

fn print_json(value: &Value) -> Result<(), Diagnostic> {
    print(&format!("{value:#}\n"))
}

fn print_bytes(bytes: &[u8]) -> Result<(), Diagnostic> {
    print(&String::from_utf8_lossy(bytes))
}
