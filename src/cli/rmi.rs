//! `ocify rmi`: names out of the store, and what nothing needs without them.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::oci::Descriptor;
use crate::store::{Kind, Store};

use super::name::{self, Found};
use super::{environment, print};

/// Remove images from the store: by name that name, by digest or ID the only name of the image.
#[derive(clap::Args)]
#[command(
    after_help = "With the last name of an image go the blobs, listings and records that no other image needs. Those
which a running command may be using stay until `ocify prune`.

Examples:
  ocify rmi example.com/web:1.3
  ocify rmi 3b1c0a9f22d4 --force"
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
    let store = environment.store_to_look_at()?;
    let references = name::references(&store)?;
    let unnamed = store.unnamed().map_err(name::unreadable)?;
    let mut removal = Removal::default();
    for text in &arguments.names {
        removal.add(text, name::find(text, &store)?, &references, &unnamed, arguments.force)?;
    }
    store.remove_references(&removal.names, &removal.unnamed).map_err(name::unwritable)?;
    let mut text: String = removal.names.iter().map(|name| format!("Untagged: {name}\n")).collect();
    if !arguments.no_prune {
        let roots = removal.roots(&references, &unnamed);
        text.push_str(&free(&roots, &store));
    }
    print(&text)
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
