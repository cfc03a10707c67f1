//! `ocify update`: pinned names get the digest that they stand for now.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, nearest};
use crate::digest::Digest;
use crate::fetch::{self, Client};
use crate::image::{self, Image};
use crate::oci::Reference;
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::source::{ImagePin, Lock};
use crate::target::{Fetch, Settings};
use crate::tomlspec;

use super::locked::{self, Locked};
use super::registries::{Supplied, supplied};
use super::resolver::{self, Resolver};
use super::size::human_size;
use super::{environment, print};

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

    let (mut lock, mut lines, mut text) = (before.clone(), Vec::new(), String::new());
    for (name, pin) in images.into_iter().zip(pins) {
        let old = &before.images[&name];
        if pin != *old {
            lines.push(format!("{name} {} -> {}", old.digest, pin.digest));
            put(&mut text, format_args!("{name}\n  digest: {} -> {}\n", old.digest, pin.digest));
            put_platforms(&mut text, old, &pin);
            put_details(&mut text, &resolver, &name, (old, &pin), &settings);
        }
        lock.images.insert(name, pin);
    }
    for (name, digest) in files.into_iter().zip(digests) {
        let old = before.fetches[&name];
        if digest != old {
            lines.push(format!("{name} {old} -> {digest}"));
            put(&mut text, format_args!("{name}\n  digest: {old} -> {digest}\n"));
            let sizes = [&old, &digest].map(|digest| store.contains(digest).map(human_size));
            put_change(&mut text, "  size", sizes);
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

/// Platforms that are new, gone, or have another image.
fn put_platforms(text: &mut String, old: &ImagePin, new: &ImagePin) {
    let all: BTreeSet<&Platform> = old.platforms.keys().chain(new.platforms.keys()).collect();
    let change = |platform: &Platform| match (old.platforms.get(platform), new.platforms.get(platform)) {
        (None, _) => Some(format!("+{platform}")),
        (_, None) => Some(format!("-{platform}")),
        (Some(old), Some(new)) => (old != new).then(|| platform.to_string()),
    };
    let changes: Vec<String> = all.into_iter().filter_map(change).collect();
    if !changes.is_empty() {
        put(text, format_args!("  platforms: {}\n", changes.join(", ")));
    }
}

/// How the image for the workspace's platform changed, else the first that both have. An image that cannot be had any more
/// is no reason not to move on from it.
fn put_details(
    text: &mut String,
    resolver: &Resolver,
    name: &Reference,
    (old, new): (&ImagePin, &ImagePin),
    settings: &Settings,
) {
    let both = |platform: &&Platform| old.platforms.contains_key(platform) && new.platforms.contains_key(platform);
    let first = || new.platforms.keys().find(both);
    let Some(platform) = Some(&settings.platform).filter(both).or_else(first) else { return };
    let read = |digest: &Digest| image::read_registry(resolver.registry, name, digest, resolver.store).ok();
    let images = [old, new].map(|pin| read(&pin.platforms[platform]));
    let [created, layers, size] = [
        images.each_ref().map(|image| image.as_ref()?.config().created.clone()),
        images.each_ref().map(|image| Some(image.as_ref()?.layers().len().to_string())),
        images.each_ref().map(|image| Some(human_size(compressed(image.as_ref()?)))),
    ];
    put_change(text, &format!("  {platform} created"), created);
    put_change(text, &format!("  {platform} layers"), layers);
    put_change(text, &format!("  {platform} size"), size);
}

/// Bytes of all layers as they are in the registry.
fn compressed(image: &Image) -> u64 {
    image.layers().iter().map(|layer| layer.descriptor.size).sum()
}

fn put_change(text: &mut String, what: &str, [old, new]: [Option<String>; 2]) {
    if old != new {
        let [old, new] = [old, new].map(|value| value.unwrap_or_else(|| "(unknown)".to_owned()));
        put(text, format_args!("{what}: {old} -> {new}\n"));
    }
}

fn put(text: &mut String, part: std::fmt::Arguments) {
    text.write_fmt(part).expect("a string can be written to");
}
