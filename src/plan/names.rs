//! What specs name without a digest, for the lock to pin.

use std::collections::BTreeMap;

use crate::diagnostic::{Span, Spanned};
use crate::git::RemoteRef;
use crate::oci::Reference;
use crate::target::{Base, Fetch, Git, ImageSpec, LayerSpec, OciReference};

/// Names that only a lock gives a digest, each with a place where it is written.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Whole names of images.
    pub images: BTreeMap<Reference, Option<Span>>,
    /// By [`Fetch::lock_name`].
    pub fetches: BTreeMap<String, Spanned<Fetch>>,
    /// Refs of repositories.
    pub commits: BTreeMap<RemoteRef, Spanned<Git>>,
}

impl Names {
    /// Adds what an image names itself.
    pub(super) fn add(&mut self, spec: &ImageSpec) {
        for base in spec.bases() {
            self.add_image(base.value, base.span);
        }
        for fetch in spec.layers_within().flat_map(LayerSpec::fetches) {
            self.add_fetch(fetch);
        }
        for git in spec.layers_within().flat_map(LayerSpec::commits) {
            self.add_git(git);
        }
    }

    /// Adds a base if it is an image of a registry whose name has no digest.
    pub(super) fn add_image(&mut self, base: &Base, span: Option<Span>) {
        if let Base::Oci(OciReference { reference }) = base
            && reference.digest.is_none()
        {
            self.images.entry(reference.clone()).or_insert(span);
        }
    }

    /// Adds a file whose digest the spec does not say.
    pub(super) fn add_fetch(&mut self, fetch: Spanned<Fetch>) {
        if let (None, Some(name)) = (fetch.value.sha256, fetch.value.lock_name()) {
            self.fetches.entry(name).or_insert(fetch);
        }
    }

    /// Adds a ref if the spec does not say what its files are.
    pub(super) fn add_git(&mut self, git: Spanned<Git>) {
        if git.value.sha256.is_none() {
            self.commits.entry(git.value.remote()).or_insert(git);
        }
    }
}
