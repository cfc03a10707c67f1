//! `ocify rmi`: names out of the store, and what nothing needs without them.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::oci::{Descriptor, Reference, Repository};
use crate::registry::ManifestName;
use crate::store::{Kind, Store};

use super::name::{self, Found};
use super::place::Place;
use super::{environment, print, registries};

/// Remove images from the store, or from a registry: by name that name, by digest or ID the only name of the image.
#[derive(clap::Args)]
#[command(
    after_help = "With the last name of an image go the blobs, listings and records that no other image needs. Those
which a running command may be using stay until `ocify prune`. registry:NAME is deleted in its registry,
if that allows it: a tag, or with a digest the image and all of its tags there.

Examples:
  ocify rmi example.com/web:1.3
  ocify rmi 3b1c0a9f22d4 --force
  ocify rmi registry:registry.example.com/shop/web@sha256:..."
)]
pub(super) struct Arguments {
    /// Names as `ocify images` lists them, labels, digests or image IDs, or at least four digits of one
    #[arg(value_name = "IMAGE", required = true)]
    names: Vec<String>,
    /// Remove an image that is given by digest or ID also if it has several names
    #[arg(short, long)]
    force: bool,
    /// Remove names only, and leave the blobs to `ocify prune`
    #[arg(long)]
    no_prune: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let (remote, local): (Vec<_>, Vec<_>) =
        arguments.names.iter().map(|text| (text, place(text))).partition(|(_, place)| place.is_some());
    let store = environment.store_to_look_at()?;
    let references = name::references(&store)?;
    let unnamed = store.unnamed().map_err(name::unreadable)?;
    let mut removal = Removal::default();
    for (text, _) in local {
        removal.add(text, name::find(text, &store)?, &references, &unnamed, arguments.force)?;
    }
    let mut text = delete(remote.into_iter().filter_map(|(_, name)| name).collect(), environment)?;
    store.remove_references(&removal.names, &removal.unnamed).map_err(name::unwritable)?;
    text.extend(removal.names.iter().map(|name| format!("Untagged: {name}\n")));
    if !arguments.no_prune {
        let roots = removal.roots(&references, &unnamed);
        text.push_str(&free(&roots, &store));
    }
    print(&text)
}

/// A name of a registry, if `text` says that it is one.
fn place(text: &str) -> Option<Reference> {
    match text.parse() {
        Ok(Place::Registry(name)) => Some(name),
        _ => None,
    }
}

/// Deletes manifests or tags in their registries.
fn delete(names: Vec<Reference>, environment: &environment::Arguments) -> Result<String, Diagnostic> {
    if names.is_empty() {
        return Ok(String::new());
    }
    let client = registries::client(environment)?;
    let mut text = String::new();
    for name in names {
        client.delete_manifest(&Repository::of(&name), &ManifestName::of(&name))?;
        text.push_str(&format!("Deleted: registry:{name}\n"));
    }
    Ok(text)
}

/// What goes out of index.json.
#[derive(Default)]
struct Removal {
    names: BTreeSet<String>,
    /// Digests of entries without a name.
    unnamed: BTreeSet<Digest>,
}

impl Removal {
    fn add(
        &mut self,
        text: &str,
        found: Found,
        references: &BTreeMap<String, Descriptor>,
        unnamed: &[Descriptor],
        force: bool,
    ) -> Result<(), Diagnostic> {
        let Found { name, digest } = found;
        if let Some(name) = name {
            self.names.insert(name);
            return Ok(());
        }
        let names: Vec<&String> =
            references.iter().filter(|(_, descriptor)| descriptor.digest == digest).map(|(name, _)| name).collect();
        let is_unnamed = unnamed.iter().any(|descriptor| descriptor.digest == digest);
        if names.is_empty() && !is_unnamed {
            return Err(Diagnostic::spec(format!("`{text}` has no name of its own that could be removed")).help(
                "an image of an index goes with the index; what nothing needs any more goes with `ocify prune`",
            ));
        }
        if names.len() > 1 && !force {
            return Err(Diagnostic::spec(format!("`{text}` has several names: {}", name::list(names)))
                .help("name those that shall go, or remove all of them with `--force`"));
        }
        self.names.extend(names.into_iter().cloned());
        self.unnamed.extend(is_unnamed.then_some(digest));
        Ok(())
    }

    /// What the removed entries led to, each under one name.
    fn roots(&self, references: &BTreeMap<String, Descriptor>, unnamed: &[Descriptor]) -> Vec<(String, Descriptor)> {
        let named = references.iter().filter(|(name, _)| self.names.contains(*name));
        let named = named.map(|(name, descriptor)| (name.clone(), descriptor.clone()));
        let unnamed = unnamed.iter().filter(|descriptor| self.unnamed.contains(&descriptor.digest));
        named.chain(unnamed.map(|descriptor| (descriptor.digest.to_string(), descriptor.clone()))).collect()
    }
}

/// Frees what only `roots` needed. The names are gone in any case, so what cannot be removed is a warning.
fn free(roots: &[(String, Descriptor)], store: &Store) -> String {
    match store.remove_unneeded(roots) {
        Ok(pruned) => {
            let blobs = pruned.removed.iter().filter(|file| file.kind == Kind::Blob);
            blobs.map(|file| format!("Deleted: {}\n", file.name)).collect()
        }
        Err(error) => {
            eprintln!("warning: the names are removed, but their blobs are not: {error}");
            String::new()
        }
    }
}
