//! `ocify lock`: names that nothing pins get a digest.

use crate::diagnostic::{At, Diagnostic, Span, Spanned};
use crate::git::RemoteRef;
use crate::oci::Reference;
use crate::plan::Names;
use crate::source::{ImagePin, Lock};
use crate::target::{Fetch, Git};

use super::locked::{self, Locked};
use super::registries::{Supplied, supplied};
use super::resolver::{self, Resolver};
use super::selection::{Selected, Selection};
use super::{environment, print};

/// Pin the images, files and commits that specs name without a digest, in ocify.lock
///
/// What is pinned already stays as it is; `ocify update` moves it. Without arguments, pins that no spec names are dropped.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify lock
  ocify lock //shop:web
  ocify lock --check")]
#[command(mut_arg("targets", |targets| targets.default_value("//...")))]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    locked: Locked,
    /// Do not use the network
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let Selected { workspace, lock: before, targets, roots, is_whole } = arguments.selection.load()?;
    let names = Names::of(&targets, &roots);
    let Unpinned { images, files, commits } = Unpinned::of(&names, &before);
    let mut changes = if is_whole { locked::stale(&before, &names) } else { Vec::new() };
    let added = images.iter().map(|(name, _)| name.to_string()).chain(files.iter().map(|(name, _)| (*name).clone()));
    let added = added.chain(commits.iter().map(|(name, _)| name.to_string()));
    let missing: Vec<String> = added.map(|name| format!("+ {name}")).collect();
    arguments.locked.allow(&[changes.as_slice(), &missing].concat(), "ocify lock")?;
    if changes.is_empty() && missing.is_empty() {
        return Ok(());
    }

    let mut lock = before;
    if is_whole {
        lock.images.retain(|name, _| names.images.contains_key(name));
        lock.fetches.retain(|name, _| names.fetches.contains_key(name));
        lock.commits.retain(|name, _| names.commits.contains_key(name));
    }
    if !missing.is_empty() {
        let Supplied { registry, store, .. } = supplied(environment, &targets.settings, arguments.offline)?;
        let client = environment::fetcher(arguments.offline);
        let resolver = Resolver { registry: &*registry, client: &client, workspace: &workspace, store: &store };
        let pins = resolver::each(&images, |(name, span)| resolver.image(name).at(span.as_ref()))?;
        let digests = resolver::each(&files, |(_, fetch)| resolver.file(&fetch.value).at(fetch.span.as_ref()))?;
        let commit_pins = resolver::each(&commits, |(name, git)| resolver.commit(name).at(git.span.as_ref()))?;
        for ((name, _), pin) in images.into_iter().zip(pins) {
            changes.push(line(name, &pin));
            lock.images.insert(name.clone(), pin);
        }
        for ((name, _), digest) in files.into_iter().zip(digests) {
            changes.push(format!("+ {name} {digest}"));
            lock.fetches.insert(name.clone(), digest);
        }
        for ((name, _), pin) in commits.into_iter().zip(commit_pins) {
            changes.push(format!("+ {name} {} {}", pin.commit, pin.sha256));
            lock.commits.insert(name.clone(), pin);
        }
    }
    locked::write(&lock, &workspace)?;
    print(&changes.iter().map(|change| format!("{change}\n")).collect::<String>())
}

/// The names that the lock does not have.
struct Unpinned<'a> {
    images: Vec<(&'a Reference, &'a Option<Span>)>,
    files: Vec<(&'a String, &'a Spanned<Fetch>)>,
    commits: Vec<(&'a RemoteRef, &'a Spanned<Git>)>,
}

impl<'a> Unpinned<'a> {
    fn of(names: &'a Names, lock: &Lock) -> Self {
        let images = names.images.iter().filter(|(name, _)| !lock.images.contains_key(*name));
        let files = names.fetches.iter().filter(|(name, _)| !lock.fetches.contains_key(*name));
        let commits = names.commits.iter().filter(|(name, _)| !lock.commits.contains_key(*name));
        Unpinned { images: images.collect(), files: files.collect(), commits: commits.collect() }
    }
}

fn line(name: &Reference, ImagePin { digest, platforms }: &ImagePin) -> String {
    let platforms: Vec<String> = platforms.keys().map(ToString::to_string).collect();
    format!("+ {name} {digest} {}", platforms.join(","))
}
