//! What a build does, as data: actions, and the graph of which action takes which other's result.
//!
//! An image is made in small steps, so that what does not depend on each other runs at the same time:
//!
//! ```text
//! Import ─► Tree ─► Compose ─► Encode ──┐
//!             ├───► Merge ─► Compose ─► Encode ─► Image ─► Index
//!             └───► Run ─────────────────────────┘
//!      Fetch, Git ─► List ─────┘
//! ```
//!
//! `Compose` finds out what a layer holds (paths, metadata, content digests), `Encode` writes its bytes. Only
//! `Compose` looks at the tree below, so all layers of an image are encoded in parallel. `List` reads what an archive
//! holds; its files are taken out of it only when a layer is written. `Run` needs all of the tree below, by content: a tree
//! that is made again with the same entries does not run it again.

mod graph;
pub mod key;
pub mod miss;
pub mod record;
mod step;

pub use graph::{ActionGraph, ActionId};
pub use step::{Part, Step, StepTarget};

use crate::diagnostic::{Span, Spanned};
use crate::digest::Digest;
use crate::format::Compression;
use crate::git::Pin;
use crate::platform::Platform;
use crate::target::{Archive, Base, Fetch, Git, ImageSpec, IndexSpec, LayerSpec, Run};

/// One step of a build.
#[derive(Clone, Debug)]
pub enum Action {
    /// Reads an image of the workspace or of a registry into the store; the name of one in a registry has a digest. Gives an
    /// image.
    Import { target: StepTarget, base: Spanned<Base>, platform: Platform },
    /// The merged tree of an imported image. Gives a tree.
    Tree { image: ActionId },
    /// Brings a file from elsewhere into the store. Gives a content.
    Fetch {
        target: StepTarget,
        fetch: Spanned<Fetch>,
        /// The spec's, or the lock's.
        sha256: Digest,
    },
    /// Brings the files of a commit into the store, as a tar. Gives a content.
    Git {
        target: StepTarget,
        git: Spanned<Git>,
        /// The spec's, or the lock's.
        pin: Pin,
    },
    /// Finds out what an archive holds. Gives a listing.
    List {
        target: StepTarget,
        archive: Spanned<Archive>,
        /// What brings the archive; `None` for one of the workspace.
        fetched: Option<ActionId>,
    },
    /// Finds out what a layer holds. Gives a changeset.
    Compose {
        layer: Spanned<LayerSpec>,
        /// The tree on which the layer stands; `None` for an empty one.
        below: Option<ActionId>,
        /// The tree from which a `copy` takes; `None` for an empty one and for other layers.
        from: Option<ActionId>,
        /// What is in the archive of an `archive`; `None` for other layers.
        listing: Option<ActionId>,
        /// The fetches of the layer, in the order of their appearance in it.
        fetched: Vec<ActionId>,
    },
    /// A tree with a layer on top. Gives a tree.
    Merge { below: Option<ActionId>, layer: ActionId },
    /// Writes a composed layer into the store. Gives a layer.
    Encode {
        target: StepTarget,
        number: usize,
        title: String,
        span: Option<Span>,
        layer: ActionId,
        compression: Compression,
    },
    /// Runs a command in the image below and writes what it changed into the store. Gives a changeset and a layer.
    Run {
        target: StepTarget,
        number: usize,
        title: String,
        run: Spanned<Run>,
        /// The tree in which it runs; `None` for an empty one.
        below: Option<ActionId>,
        /// The trees of which it sees files, in the order of [`Run::sources`]; `None` for an empty one.
        sources: Vec<Option<ActionId>>,
        platform: Platform,
        compression: Compression,
    },
    /// Puts layers on a base and writes config and manifest. Gives an image.
    Image {
        target: StepTarget,
        span: Option<Span>,
        spec: Box<ImageSpec>,
        /// Where neither the spec nor the base names one.
        platform: Platform,
        base: Option<ActionId>,
        layers: Vec<ActionId>,
    },
    /// Lists images under one name. Gives an index.
    Index { target: StepTarget, span: Option<Span>, spec: IndexSpec, images: Vec<ActionId> },
}

impl Action {
    /// The actions whose results this one takes.
    pub fn inputs(&self) -> Vec<ActionId> {
        match self {
            Action::Import { .. } | Action::Fetch { .. } | Action::Git { .. } => Vec::new(),
            Action::Tree { image } => vec![*image],
            Action::List { fetched, .. } => fetched.iter().copied().collect(),
            Action::Compose { below, from, listing, fetched, .. } => {
                below.iter().chain(from).chain(listing).chain(fetched).copied().collect()
            }
            Action::Merge { below, layer } => below.iter().chain([layer]).copied().collect(),
            Action::Encode { layer, .. } => vec![*layer],
            Action::Run { below, sources, .. } => below.iter().chain(sources.iter().flatten()).copied().collect(),
            Action::Image { base, layers, .. } => base.iter().chain(layers).copied().collect(),
            Action::Index { images, .. } => images.clone(),
        }
    }

    /// The tree on which a layer stands; `None` for an empty one, and for what is no layer.
    pub fn below(&self) -> Option<ActionId> {
        match self {
            Action::Compose { below, .. } | Action::Run { below, .. } => *below,
            _ => None,
        }
    }

    /// The step that the action is; `None` for one that is part of another's work.
    pub fn step(&self) -> Option<Step> {
        let (target, part) = match self {
            Action::Import { target, base, platform } => {
                (target, Part::Base { title: base.value.title(), platform: platform.clone() })
            }
            Action::Fetch { target, fetch, .. } => (target, Part::Fetch { title: fetch.value.title() }),
            Action::Git { target, git, .. } => (target, Part::Fetch { title: git.value.title() }),
            Action::List { target, archive, .. } => (target, Part::Archive { title: archive.value.src.value.title() }),
            Action::Encode { target, number, title, .. } | Action::Run { target, number, title, .. } => {
                (target, Part::Layer { number: *number, title: title.clone(), hermetic: self.is_hermetic() })
            }
            Action::Image { target, .. } => (target, Part::Image),
            Action::Index { target, .. } => (target, Part::Index),
            Action::Tree { .. } | Action::Merge { .. } | Action::Compose { .. } => return None,
        };
        Some(Step { target: target.clone(), part })
    }

    /// False for a command that has the network.
    pub fn is_hermetic(&self) -> bool {
        match self {
            Action::Run { run, .. } => run.value.network.is_hermetic(),
            _ => true,
        }
    }

    /// Where the user's file asks for the step; `None` where that is not known.
    pub fn span(&self) -> Option<&Span> {
        match self {
            Action::Import { base, .. } => base.span.as_ref(),
            Action::Fetch { fetch, .. } => fetch.span.as_ref(),
            Action::Git { git, .. } => git.span.as_ref(),
            Action::List { archive, .. } => archive.span.as_ref(),
            Action::Run { run, .. } => run.span.as_ref(),
            Action::Encode { span, .. } | Action::Image { span, .. } | Action::Index { span, .. } => span.as_ref(),
            Action::Tree { .. } | Action::Merge { .. } | Action::Compose { .. } => None,
        }
    }

    /// What a person is shown while the action runs; `None` for one that is part of another's work.
    pub fn title(&self) -> Option<String> {
        match self {
            Action::Import { base, .. } => Some(format!("import {}", base.value.title())),
            Action::Fetch { fetch, .. } => Some(format!("fetch {}", fetch.value.title())),
            Action::Git { git, .. } => Some(format!("fetch {}", git.value.title())),
            Action::List { archive, .. } => Some(format!("read {}", archive.value.src.value.title())),
            Action::Encode { target, title, .. } | Action::Run { target, title, .. } => Some(match &target.platform {
                Some(platform) => format!("{title} ({platform})"),
                None => title.clone(),
            }),
            Action::Image { target, .. } => Some(format!("image {target}")),
            Action::Index { target, .. } => Some(format!("index {target}")),
            Action::Tree { .. } | Action::Merge { .. } | Action::Compose { .. } => None,
        }
    }
}
