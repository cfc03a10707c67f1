//! The builds that the present one is compared with, to say why something has to be made again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::action::key::Inputs;
use crate::action::record::{BuildRecord, StepRecord};
use crate::action::{Part, Step, StepTarget};
use crate::diagnostic::Diagnostic;
use crate::digest::{CacheKey, Digest};
use crate::entry::Entry;
use crate::image::Image;
use crate::oci::canonical_json;
use crate::source::Workspace;
use crate::store::{ActionRecord, Store, StoreError};
use crate::target::Label;

use super::cache::{unreadable, unwritable};

/// Earlier builds.
pub(super) enum Baseline<'a> {
    /// The last build of each target in this workspace.
    Last(LastBuilds<'a>),
    /// These, whatever came after them.
    Given(&'a [BuildRecord]),
}

impl Baseline<'_> {
    /// What `step` was.
    pub(super) fn find(&self, step: &Step) -> Result<Option<StepRecord>, Diagnostic> {
        let at_its_place = |record: &&StepRecord| record.step.part.is_at_place_of(&step.part);
        match self {
            Baseline::Last(last) => {
                let build = last.get(&step.target)?;
                Ok(build.and_then(|build| build.steps.iter().find(at_its_place).cloned()))
            }
            Baseline::Given(builds) => {
                let build = builds.iter().find(|build| build.target() == step.target);
                Ok(build.and_then(|build| build.steps.iter().find(at_its_place).cloned()))
            }
        }
    }
}

/// The last build of each target, as the store remembers it. It reaches no output.
pub(super) struct LastBuilds<'a> {
    store: &'a Store,
    /// SHA-256 of the workspace's name: one store may serve several workspaces with the same labels.
    workspace: Digest,
    digests: OnceLock<Table>,
    /// Those that were looked at.
    builds: Mutex<BTreeMap<StepTarget, Option<Arc<BuildRecord>>>>,
}

/// The digest of each target's last build, by the target's text form; of one with several platforms for each of them.
type Table = BTreeMap<String, Digest>;

impl<'a> LastBuilds<'a> {
    pub(super) fn new(store: &'a Store, workspace: &Workspace) -> Self {
        let workspace = Digest::of(workspace.name().as_os_str().as_encoded_bytes());
        LastBuilds { store, workspace, digests: OnceLock::new(), builds: Mutex::default() }
    }

    /// The last build of `target`.
    pub(super) fn get(&self, target: &StepTarget) -> Result<Option<Arc<BuildRecord>>, Diagnostic> {
        let mut builds = self.builds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = builds.get(target) {
            return Ok(known.clone());
        }
        let build = match self.table()?.get(&target.to_string()) {
            Some(digest) => read(self.store, &target.label, digest)?.map(Arc::new),
            None => None,
        };
        Ok(builds.entry(target.clone()).or_insert(build).clone())
    }

    /// True if the last build of `target` gave this digest.
    pub(super) fn was(&self, target: &StepTarget, digest: &Digest) -> Result<bool, Diagnostic> {
        Ok(self.table()?.get(&target.to_string()) == Some(digest))
    }

    /// Remembers these as the last builds of their targets. A store that cannot be written loses only explanations.
    pub(super) fn remember(&self, builds: &[BuildRecord]) -> Result<(), Diagnostic> {
        if builds.is_empty() {
            return Ok(());
        }
        match self.write(builds) {
            Err(StoreError::ReadOnly { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(unwritable(error)),
        }
    }

    fn write(&self, builds: &[BuildRecord]) -> Result<(), StoreError> {
        for build in builds {
            let record =
                ActionRecord { preimage: (), result: build, outputs: vec![build.digest], documents: Vec::new() };
            self.store.put_action(&key(&build.target, &build.digest), &record)?;
        }
        let _claim = self.store.claim(&self.table_key(), || ())?;
        let mut table = self.read_table()?;
        table.extend(builds.iter().map(|build| (build.target().to_string(), build.digest)));
        let outputs = table.values().copied().collect();
        self.store.put_action(
            &self.table_key(),
            &ActionRecord { preimage: (), result: table, outputs, documents: Vec::new() },
        )
    }

    fn table(&self) -> Result<&Table, Diagnostic> {
        if let Some(table) = self.digests.get() {
            return Ok(table);
        }
        let table = self.read_table().map_err(unreadable)?;
        Ok(self.digests.get_or_init(|| table))
    }

    fn read_table(&self) -> Result<Table, StoreError> {
        let record: Option<ActionRecord<IgnoredAny, Table>> = self.store.action(&self.table_key())?;
        Ok(record.map(|record| record.result).unwrap_or_default())
    }

    fn table_key(&self) -> CacheKey {
        CacheKey(Digest::of(&canonical_json(&("last builds", self.workspace))))
    }
}

/// The record of the build of `target` that gave `digest`.
pub(super) fn read(store: &Store, target: &Label, digest: &Digest) -> Result<Option<BuildRecord>, Diagnostic> {
    let record: Option<ActionRecord<IgnoredAny, BuildRecord>> =
        store.action(&key(target, digest)).map_err(unreadable)?;
    Ok(record.map(|record| record.result))
}

/// The step that made each layer of `image`, and its key, by the digest of the layer, as far as the store remembers builds.
/// Where several gave the same layer, it is the build of this image, else the one that gave most of its layers.
///
/// # Errors
/// The store cannot be read.
pub fn layer_steps(image: &Image, store: &Store) -> Result<BTreeMap<Digest, (Step, CacheKey)>, Diagnostic> {
    let layers: BTreeSet<Digest> = image.layers().iter().map(|layer| layer.descriptor.digest).collect();
    let is_step =
        |record: &StepRecord| matches!(record.step.part, Part::Layer { .. }) && layers.contains(&record.result.digest);
    let ranked = |BuildRecord { target, digest, mut steps, .. }: BuildRecord| {
        steps.retain(is_step);
        ((digest != image.digest(), Reverse(steps.len()), target, digest), steps)
    };
    let mut builds: Vec<_> = all(store)?.into_iter().map(ranked).collect();
    builds.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut found = BTreeMap::new();
    for StepRecord { step, preimage, result, .. } in builds.into_iter().flat_map(|(_, steps)| steps) {
        found.entry(result.digest).or_insert_with(|| (step, preimage.key()));
    }
    Ok(found)
}

/// The base on which the image of this digest was built, as far as the store remembers its build.
///
/// # Errors
/// The store cannot be read.
pub fn base_of(image: &Digest, store: &Store) -> Result<Option<Digest>, Diagnostic> {
    let builds = all(store)?.into_iter().filter(|build| build.digest == *image);
    let mut bases = builds.flat_map(|build| build.steps).filter_map(|step| match step.preimage.inputs {
        Inputs::Image { base, .. } => base,
        _ => None,
    });
    Ok(bases.next())
}

/// All builds that the store remembers.
fn all(store: &Store) -> Result<Vec<BuildRecord>, Diagnostic> {
    // A look at every record would renew them all, and `prune --keep-days` would find nothing old.
    let store = store.unleased();
    let mut builds = Vec::new();
    for key in store.action_keys().map_err(unreadable)? {
        // As a value first: a record of another form is no damaged one.
        let record: Option<ActionRecord<IgnoredAny, Value>> = store.action(&key).map_err(unreadable)?;
        builds.extend(record.and_then(|record| serde_json::from_value::<BuildRecord>(record.result).ok()));
    }
    Ok(builds)
}

/// The entries of a layer that a build made: from the record, else from the store, if it still has the list.
pub(super) fn entries(store: &Store, step: &StepRecord) -> Result<Option<Vec<Entry>>, Diagnostic> {
    match (&step.entries, step.result.diff_id) {
        (Some(entries), _) => Ok(Some(entries.clone())),
        (None, Some(diff_id)) => store.layer_index(&diff_id).map_err(unreadable),
        (None, None) => Ok(None),
    }
}

fn key(target: &Label, digest: &Digest) -> CacheKey {
    CacheKey(Digest::of(&canonical_json(&("build", target, digest))))
}
