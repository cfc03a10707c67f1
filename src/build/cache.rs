//! Results out of the action cache, and why one is not there.

use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::action::Step;
use crate::action::key::Preimage;
use crate::action::miss::Miss;
use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::entry::Entry;
use crate::store::{ActionRecord, Claim, Store, StoreError};

use super::baseline::{self, Baseline};

/// The action cache of one build.
pub(super) struct Cache<'a> {
    pub(super) store: &'a Store,
    pub(super) baseline: Baseline<'a>,
    /// Time since some moment before the build.
    pub(super) clock: &'a (dyn Fn() -> Duration + Sync),
}

impl Cache<'_> {
    /// The result that is on record for `preimage`. Whether what it names is in the store, the caller looks.
    pub(super) fn find<R: DeserializeOwned>(&self, preimage: &Preimage) -> Result<Option<R>, Diagnostic> {
        let record: Option<ActionRecord<IgnoredAny, R>> = self.store.action(&preimage.key()).map_err(unreadable)?;
        Ok(record.map(|record| record.result))
    }

    /// Keeps a result, which is about the blobs `outputs`.
    pub(super) fn put<R: Serialize>(
        &self,
        preimage: &Preimage,
        result: R,
        outputs: Vec<Digest>,
    ) -> Result<(), Diagnostic> {
        self.put_with(preimage, result, outputs, Vec::new())
    }

    /// As [`Cache::put`], for a result that is worth nothing without `documents`.
    pub(super) fn put_with<R: Serialize>(
        &self,
        preimage: &Preimage,
        result: R,
        outputs: Vec<Digest>,
        documents: Vec<Digest>,
    ) -> Result<(), Diagnostic> {
        let record = ActionRecord { preimage, result, outputs, documents };
        self.store.put_action(&preimage.key(), &record).map_err(unwritable)
    }

    /// Waits until nobody else makes the result of `preimage`.
    pub(super) fn claim(&self, preimage: &Preimage, waiting: impl FnOnce()) -> Result<Claim, Diagnostic> {
        self.store.claim(&preimage.key(), waiting).map_err(unwritable)
    }

    /// Why the store does not have the result of `step`; `entries` are those of a layer.
    pub(super) fn miss(&self, step: &Step, preimage: &Preimage, entries: Option<&[Entry]>) -> Result<Miss, Diagnostic> {
        let Some(old) = self.baseline.find(step)? else { return Ok(Miss::NotBuiltBefore) };
        let before = match (entries, old.preimage == *preimage) {
            (Some(_), false) => baseline::entries(self.store, &old)?,
            _ => None,
        };
        Ok(Miss::between(&old.preimage, preimage, before.as_deref(), entries))
    }

    /// What `make` gives, and how many microseconds it took.
    pub(super) fn timed<T>(&self, make: impl FnOnce() -> Result<T, Diagnostic>) -> Result<(T, u64), Diagnostic> {
        let begun = (self.clock)();
        let made = make()?;
        let took = (self.clock)().saturating_sub(begun);
        Ok((made, u64::try_from(took.as_micros()).unwrap_or(u64::MAX)))
    }
}

pub(super) fn unreadable(error: StoreError) -> Diagnostic {
    Diagnostic::failure("the action cache cannot be read").caused_by(error)
}

pub(super) fn unwritable(error: StoreError) -> Diagnostic {
    Diagnostic::failure("the action cache cannot be written").caused_by(error)
}
