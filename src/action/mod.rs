//! What a build does, as data: actions, and the graph of which action takes which other's result.
//!
//! An image is made in small steps, so that what does not depend on each other runs at the same time:
//!
//! ```text
//! Import ─► Tree ─► Compose ─► Encode ──┐
//!             └───► Merge ─► Compose ─► Encode ─► Image ─► Index
//! ```
//!
//! `Compose` finds out what a layer holds (paths, metadata, content digests), `Encode` writes its bytes. Only
//! `Compose` looks at the tree below, so all layers of an image are encoded in parallel.

mod graph;
pub mod key;
pub mod miss;

pub use graph::{ActionGraph, ActionId};

use serde::Serialize;

use crate::diagnostic::{Span, Spanned};
use crate::format::Compression;
use crate::platform::Platform;
use crate::target::{Base, Fetch, ImageSpec, IndexSpec, Label, LayerSpec};

/// One step of a build.
#[derive(Clone, Debug)]
pub enum Action {
    /// Reads an image of the workspace into the store. Gives an image.
    Import { base: Spanned<Base>, platform: Platform },
    /// The merged tree of an imported image. Gives a tree.
    Tree { image: ActionId },
    /// Brings a file from elsewhere into the store. Gives a content.
    Fetch { fetch: Spanned<Fetch> },
    /// Finds out what a layer holds. Gives a changeset.
    Compose {
        layer: Spanned<LayerSpec>,
        /// The tree on which the layer stands; `None` for an empty one.
        below: Option<ActionId>,
        /// The tree from which a `copy` takes; `None` for an empty one and for other layers.
        from: Option<ActionId>,
        /// The fetches of the layer, in the order of their appearance in it.
        fetched: Vec<ActionId>,
    },
    /// A tree with a layer on top. Gives a tree.
    Merge { below: Option<ActionId>, layer: ActionId },
    /// Writes a composed layer into the store. Gives a layer.
    Encode { step: Step, layer: ActionId, compression: Compression },
    /// Puts layers on a base and writes config and manifest. Gives an image.
    Image { label: Label, span: Option<Span>, spec: Box<ImageSpec>, base: Option<ActionId>, layers: Vec<ActionId> },
    /// Lists images under one name. Gives an index.
    Index { label: Label, span: Option<Span>, spec: IndexSpec, images: Vec<ActionId> },
}

/// A layer of a target, as a person counts them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Step {
    pub target: Label,
    /// Counted from 1.
    pub number: usize,
    /// The layer in a few words ([`LayerSpec::title`]).
    pub title: String,
}

impl Action {
    /// The actions whose results this one takes.
    pub fn inputs(&self) -> Vec<ActionId> {
        match self {
            Action::Import { .. } | Action::Fetch { .. } => Vec::new(),
            Action::Tree { image } => vec![*image],
            Action::Compose { below, from, fetched, .. } => below.iter().chain(from).chain(fetched).copied().collect(),
            Action::Merge { below, layer } => below.iter().chain([layer]).copied().collect(),
            Action::Encode { layer, .. } => vec![*layer],
            Action::Image { base, layers, .. } => base.iter().chain(layers).copied().collect(),
            Action::Index { images, .. } => images.clone(),
        }
    }

    /// What a person is shown while the action runs; `None` for one that is part of another's work.
    pub fn title(&self) -> Option<String> {
        match self {
            Action::Import { base, .. } => Some(format!("import {}", base.value.title())),
            Action::Fetch { fetch } => Some(format!("fetch {}", fetch.value.title())),
            Action::Encode { step, .. } => Some(step.title.clone()),
            Action::Image { label, .. } => Some(format!("image {label}")),
            Action::Index { label, .. } => Some(format!("index {label}")),
            Action::Tree { .. } | Action::Merge { .. } | Action::Compose { .. } => None,
        }
    }
}
