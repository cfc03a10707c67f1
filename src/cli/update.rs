//! `ocify update`: pinned names get the digest that they stand for now.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, nearest};
use crate::fetch::{self, Client};
use crate::oci::Reference;
use crate::path::WorkspacePath;
use crate::source::Lock;
use crate::target::Fetch;
use crate::tomlspec;

use super::locked::{self, Locked};
use super::pin_change::Shown;
use super::registries::{Supplied, supplied};
use super::resolver::{self, Resolver};
use super::{environment, pin_change, print};

/// Move pins of ocify.lock to what their names stand for now, and show what changed
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify update
  ocify update python:3.12-slim
  ocify update --locked")]
pub(super) struct Arguments {
    /// Names of images and URLs of files, as the specs have them; by default all that are pinned
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Compare the Debian packages of the images, also where that takes bringing their layers
    #[arg(long)]
    packages: bool,
    #[command(flatten)]
    locked: Locked,
    /// Do not use the network
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let (workspace, here) = environment::workspace()?;
    let before = Lock::load(&workspace)?;
    let (settings, _) = tomlspec::load(&workspace)?;
    let Chosen { images, files } = Chosen::of(&arguments.names, &before, &here)?;

    let Supplied { registry, store, .. } = supplied(environment, &settings, arguments.offline)?;
    let client = Client::new(fetch::Options { offline: arguments.offline, ..fetch::Options::default() });
    let resolver = Resolver { registry: &*registry, client: &client, workspace: &workspace, store: &store };
    let images: Vec<Reference> = images.into_iter().collect();
    let files: Vec<String> = files.into_iter().collect();
    let pins = resolver::each(&images, |name| resolver.image(name))?;
    let digests = resolver::each(&files, |name| resolver.file(&pinned_file(name)))?;

    let shown = Shown { registry: &*registry, store: &store, settings: &settings, packages: arguments.packages };
    let (mut lock, mut lines, mut text) = (before.clone(), Vec::new(), String::new());
    for (name, pin) in images.into_iter().zip(pins) {
        let old = &before.images[&name];
        if pin != *old {
            lines.push(format!("{name} {} -> {}", old.digest, pin.digest));
            text.push_str(&pin_change::image(&name, (old, &pin), &shown)?);
        }
        lock.images.insert(name, pin);
    }
    for (name, digest) in files.into_iter().zip(digests) {
        let old = before.fetches[&name];
        if digest != old {
            lines.push(format!("{name} {old} -> {digest}"));
            text.push_str(&pin_change::file(&name, [&old, &digest], &store));
        }
        lock.fetches.insert(name, digest);
    }
    if lines.is_empty() {
        eprintln!("{} is as it was", Lock::FILE);
        return Ok(());
    }
    arguments.locked.allow(&lines, "ocify update")?;
    locked::write(&lock, &workspace)?;
    print(&text)
}

/// The pins that are looked at.
#[derive(Default)]
struct Chosen {
    images: BTreeSet<Reference>,
    files: BTreeSet<String>,
}

impl Chosen {
    fn of(texts: &[String], lock: &Lock, here: &WorkspacePath) -> Result<Self, Diagnostic> {
        if texts.is_empty() {
            let (images, files) = (lock.images.keys().cloned().collect(), lock.fetches.keys().cloned().collect());
            return Ok(Chosen { images, files });
        }
        let mut chosen = Chosen::default();
        for text in texts {
            // As it is in the lock, or as a spec of this package has it.
            let file = Fetch { package: here.clone(), ..pinned_file(text) }.lock_name();
            let file = [Some(text.clone()), file].into_iter().flatten().find(|name| lock.fetches.contains_key(name));
            let image = text.parse::<Reference>().map(|name| name.canonical());
            match (file, image) {
                (Some(name), _) => drop(chosen.files.insert(name)),
                (None, Ok(name)) if lock.images.contains_key(&name) => drop(chosen.images.insert(name)),
                (None, image) => {
                    let whole = image.map_or_else(|_| text.clone(), |name| name.to_string());
                    return Err(unknown(&whole, lock));
                }
            }
        }
        Ok(chosen)
    }
}

fn unknown(name: &str, lock: &Lock) -> Diagnostic {
    let known: Vec<String> = lock.images.keys().map(Reference::to_string).chain(lock.fetches.keys().cloned()).collect();
    let error = Diagnostic::spec(format!("`{name}` is not in {}", Lock::FILE));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("`ocify lock` pins what the specs name; `ocify update` without names moves all"),
    }
}

/// The file that the lock has under `name`.
fn pinned_file(name: &str) -> Fetch {
    let (package, urls) = (WorkspacePath::root(), vec![name.to_owned()]);
    Fetch { package, urls, sha256: None, name: None, executable: false }
}
