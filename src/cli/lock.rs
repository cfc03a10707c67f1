//! `ocify lock`: names that nothing pins get a digest.

use crate::diagnostic::Diagnostic;
use crate::plan::Names;

use super::dockerfile::{Dockerfile, Reading};
use super::locked::{self, Locked};
use super::registries::{Supplied, supplied};
use super::resolver::Resolver;
use super::selection::{Selected, Selection};
use super::unpinned::Unpinned;
use super::{environment, print};

/// Pin the images, files and commits that specs name without a digest, in ocify.lock
///
/// What is pinned already stays as it is; `ocify update` moves it. Without arguments, pins that no spec names are dropped. With
/// `-f`, what the Dockerfile names is pinned in the lock beside it, and no pin is dropped.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify lock
  ocify lock //shop:web
  ocify lock -f Dockerfile
  ocify lock --check")]
#[command(mut_arg("targets", |targets| targets.default_value("//...")))]
#[command(mut_arg("locked", |locked| locked.visible_alias("check")))]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    dockerfile: Dockerfile,
    #[command(flatten)]
    locked: Locked,
    /// Do not use the network
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let Arguments { selection, dockerfile, locked, offline } = arguments;
    if dockerfile.is_given() {
        let reading = Reading { selection, locked, environment, offline: *offline, hermetic: false, tags: &[] };
        return print_lines(&dockerfile.load(&reading)?.pinned);
    }
    let Selected { workspace, lock: before, targets, roots, is_whole, .. } = selection.load()?;
    let names = Names::of(&targets, &roots);
    let unpinned = Unpinned::of(&names, &before);
    let mut changes = if is_whole { locked::stale(&before, &names) } else { Vec::new() };
    let missing = unpinned.lines();
    locked.allow(&[changes.as_slice(), &missing].concat(), "ocify lock")?;
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
        let Supplied { registry, store, .. } = supplied(environment, &targets.settings, *offline)?;
        let client = environment::fetcher(*offline);
        let resolver = Resolver { registry: &*registry, client: &client, workspace: &workspace, store: &store };
        changes.extend(unpinned.pin(&mut lock, &resolver)?);
    }
    locked::write(&lock, &workspace)?;
    print_lines(&changes)
}

fn print_lines(lines: &[String]) -> Result<(), Diagnostic> {
    print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}
