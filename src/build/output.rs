//! What actions give to each other.

use std::sync::Arc;

use crate::action::{ActionId, Step};
use crate::entry::Content;
use crate::image::{Image, ImageIndex, ImageOrIndex, Layer};
use crate::tree::Changeset;

use super::filesystem::{FileSystem, Layers};
use super::listing::Listing;
use super::report::Report;
use super::schedule::Results;

/// What an action gives.
pub(super) enum Output {
    Image(Arc<Image>),
    Index(Arc<ImageIndex>),
    Files(FileSystem),
    Content(Content),
    Listing(Arc<Listing>),
    /// What a layer holds, and the layers in which its contents lie.
    Composed(Arc<Changeset>, Layers),
    Layer(Box<Layer>),
    /// What a command changed, as a layer that the store has.
    Ran(Arc<Changeset>, Layers, Box<Layer>),
    /// Nothing: these steps were only explained. It is the action's own, or those on which the action depends.
    Unmade(Vec<Step>),
}

/// An action's output, with what is reported of it if it is a step.
pub(super) struct Done {
    pub(super) output: Output,
    pub(super) report: Option<Report>,
}

/// The outputs of inputs. The plan never connects an action to one that gives something else.
macro_rules! outputs {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $pattern:pat => $value:expr;)*) => {
        impl Results<Done> {
            $($(#[$doc])* pub(super) fn $name(&self, id: ActionId) -> $type {
                match &self.get(id).output {
                    $pattern => $value,
                    _ => unreachable!("the plan connects actions of matching kinds"),
                }
            })*
        }
    };
}

outputs! {
    /// An image.
    image: &Image = Output::Image(image) => image;
    /// A tree.
    files: &FileSystem = Output::Files(files) => files;
    /// A fetched file.
    content: &Content = Output::Content(content) => content;
    /// What is in an archive.
    listing: &Listing = Output::Listing(listing) => listing;
    /// What a layer holds.
    composed: (&Arc<Changeset>, &Layers) =
        Output::Composed(changes, layers) | Output::Ran(changes, layers, _) => (changes, layers);
    /// A layer.
    layer: &Layer = Output::Layer(layer) | Output::Ran(_, _, layer) => layer;
}

impl Done {
    /// The image or index that a root's action gave.
    pub(super) fn image_or_index(&self) -> ImageOrIndex {
        match &self.output {
            Output::Image(image) => ImageOrIndex::Image(Image::clone(image)),
            Output::Index(index) => ImageOrIndex::Index(ImageIndex::clone(index)),
            _ => unreachable!("the plan's roots are images and indexes"),
        }
    }
}
