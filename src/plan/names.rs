//! What specs name without a digest, for the lock to pin.

use std::collections::BTreeMap;

use crate::diagnostic::{Span, Spanned};
use crate::oci::Reference;
use crate::target::Fetch;

/// Names that only a lock gives a digest, each with a place where it is written.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Whole names of images.
    pub images: BTreeMap<Reference, Option<Span>>,
    /// By [`Fetch::lock_name`].
    pub fetches: BTreeMap<String, Spanned<Fetch>>,
}
