//! How much room the store takes, what for, and for whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::oci::Descriptor;

use super::inventory::{Kind, inventory};
use super::reachable::{Reachable, Unreadable};
use super::step_cache::StepCacheUsage;
use super::{Store, StoreError};

/// What is in the store. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// One for each of [`Kind::ALL`].
    pub kinds: Vec<KindUsage>,
    /// By name.
    pub references: Vec<ReferenceUsage>,
    /// What steps share from one run to the next. Prune leaves it, unless it is asked to.
    pub caches: Vec<StepCacheUsage>,
    /// Because of these, what is reclaimable is not known: prune would refuse.
    pub unreadable: Vec<Unreadable>,
}

/// The files of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindUsage {
    pub kind: Kind,
    pub count: usize,
    pub size: u64,
    /// What prune would free of it, if no process uses it.
    pub reclaimable: u64,
}

/// The blobs that a reference needs and the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceUsage {
    pub name: String,
    pub digest: Digest,
    pub size: u64,
    /// Bytes that no other reference needs: what becomes reclaimable if this one is removed.
    pub unique: u64,
}

impl Store {
    /// How much room the store takes.
    ///
    /// # Errors
    /// Directories or index.json cannot be read.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let files = inventory(self)?;
        let reachable = Reachable::from(self)?;
        let kinds = Kind::ALL.map(|kind| {
            let of_kind = || files.iter().filter(|file| file.kind == kind);
            let unneeded = of_kind().filter(|file| !file.is_needed(&reachable));
            KindUsage {
                kind,
                count: of_kind().count(),
                size: of_kind().map(|file| file.size).sum(),
                reclaimable: unneeded.map(|file| file.size).sum(),
            }
        });
        let sizes: BTreeMap<Digest, u64> =
            files.iter().filter(|file| file.kind == Kind::Blob).map(|file| (file.name, file.size)).collect();
        let references = references(self.roots()?, &reachable, &sizes);
        Ok(Usage {
            kinds: kinds.into(),
            references,
            caches: self.step_caches()?,
            unreadable: reachable.unreadable().to_vec(),
        })
    }
}

fn references(
    roots: Vec<(String, Descriptor)>,
    reachable: &Reachable,
    sizes: &BTreeMap<Digest, u64>,
) -> Vec<ReferenceUsage> {
    let needed: Vec<BTreeSet<Digest>> =
        roots.iter().map(|(_, descriptor)| reachable.below(&descriptor.digest)).collect();
    let mut users: BTreeMap<&Digest, usize> = BTreeMap::new();
    for digest in needed.iter().flatten() {
        *users.entry(digest).or_default() += 1;
    }
    let usage = |((name, descriptor), needed): (&(String, Descriptor), &BTreeSet<Digest>)| {
        let size = |digest: &Digest| sizes.get(digest).copied().unwrap_or_default();
        let unique = needed.iter().filter(|digest| users.get(digest) == Some(&1));
        ReferenceUsage {
            name: name.clone(),
            digest: descriptor.digest,
            size: needed.iter().map(size).sum(),
            unique: unique.map(size).sum(),
        }
    };
    let mut references: Vec<ReferenceUsage> = roots.iter().zip(&needed).map(usage).collect();
    references.sort_by(|a, b| a.name.cmp(&b.name));
    references
}
