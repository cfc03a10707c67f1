//! `ocify update`: pinned names get the digest that they stand for now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, nearest};
use crate::git::{RemoteRef, RepositoryUrl};
use crate::oci::Reference;
use crate::path::WorkspacePath;
use crate::source::Lock;
use crate::target::Fetch;
use crate::tomlspec;

use super::locked::{self, Locked};
use super::pin_change::Shown;
use super::registries::{Supplied, supplied};
use super::resolver::{self, Resolver};
use super::{dockerfile, environment, pin_change, print};

/// Move pins of ocify.lock to what their names stand for now, and show what changed
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify update
  ocify update python:3.12-slim
  ocify update -f Dockerfile
  ocify update --locked")]
pub(super) struct Arguments {
    /// Names of images and URLs of files and repositories, as the specs have them; of a repository also `URL#REF`; by default
    /// all that are pinned
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Move pins of the lock beside this Dockerfile
    #[arg(short, long, value_name = "DOCKERFILE")]
    file: Option<PathBuf>,
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
    let (workspace, here) = match &arguments.file {
        Some(file) => (dockerfile::home(file, Path::new("."))?, WorkspacePath::root()),
        None => environment::workspace()?,
    };
    let before = Lock::load(&workspace)?;
    let (settings, _) = tomlspec::load(&workspace)?;
    let Chosen { images, files, commits } = Chosen::of(&arguments.names, &before, &here)?;

    let Supplied { registry, store, .. } = supplied(environment, &settings, arguments.offline)?;
    let client = environment::fetcher(arguments.offline);
    let resolver = Resolver { registry: &*registry, client: &client, workspace: &workspace, store: &store };
    let images: Vec<Reference> = images.into_iter().collect();
    let files: Vec<String> = files.into_iter().collect();
    let pins = resolver::each(&images, |name| resolver.image(name))?;
    let digests = resolver::each(&files, |name| resolver.file(&pinned_file(name)))?;
    let commits: Vec<RemoteRef> = commits.into_iter().collect();
    let commit_pins = resolver::each(&commits, |name| resolver.commit(name, before.commits.get(name)))?;

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
    for (name, pin) in commits.into_iter().zip(commit_pins) {
        let old = &before.commits[&name];
        if pin != *old {
            // Of a tag that was made anew for the same commit, the tag.
            let is_tag = pin.commit == old.commit;
            let [from, to] = [old, &pin].map(|pin| pin.tag.as_ref().filter(|_| is_tag).unwrap_or(&pin.commit));
            lines.push(format!("{name} {from} -> {to}"));
            text.push_str(&pin_change::commit(&name, [old, &pin], &store));
        }
        lock.commits.insert(name, pin);
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
    commits: BTreeSet<RemoteRef>,
}

impl Chosen {
    fn of(texts: &[String], lock: &Lock, here: &WorkspacePath) -> Result<Self, Diagnostic> {
        if texts.is_empty() {
            let (images, files) = (lock.images.keys().cloned().collect(), lock.fetches.keys().cloned().collect());
            return Ok(Chosen { images, files, commits: lock.commits.keys().cloned().collect() });
        }
        let mut chosen = Chosen::default();
        for text in texts {
            // As it is in the lock, or as a spec of this package has it.
            let file = Fetch { package: here.clone(), ..pinned_file(text) }.lock_name();
            let file = [Some(text.clone()), file].into_iter().flatten().find(|name| lock.fetches.contains_key(name));
            let image = text.parse::<Reference>().map(|name| name.canonical());
            let commits: Vec<&RemoteRef> = lock.commits.keys().filter(|remote| is_named(remote, text, here)).collect();
            if !commits.is_empty() {
                chosen.commits.extend(commits.into_iter().cloned());
                continue;
            }
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

/// True if `text` is the URL of the ref's repository, with the ref's name or without, as it is in the lock or as a spec of this
/// package has it.
fn is_named(remote: &RemoteRef, text: &str, here: &WorkspacePath) -> bool {
    let (url, name) = text.split_once('#').map_or((text, None), |(url, name)| (url, Some(name)));
    let Ok(url) = url.parse::<RepositoryUrl>() else { return false };
    name.is_none_or(|name| name == remote.name.as_str()) && (remote.url == url || remote.url == url.in_package(here))
}

fn unknown(name: &str, lock: &Lock) -> Diagnostic {
    let images = lock.images.keys().map(Reference::to_string);
    let commits = lock.commits.keys().map(RemoteRef::to_string);
    let known: Vec<String> = images.chain(lock.fetches.keys().cloned()).chain(commits).collect();
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
