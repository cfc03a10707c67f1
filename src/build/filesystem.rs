//! A merged tree together with the layers in which its contents lie.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::entry::{Content, Kind};
use crate::image::{self, Layer};
use crate::path::ImagePath;
use crate::store::Store;
use crate::tree::{Changeset, Tree};

use super::listing;

/// The files of an image, or of the layers up to some point in it.
#[derive(Clone, Default)]
pub(super) struct FileSystem {
    pub(super) tree: Arc<Tree>,
    pub(super) layers: Layers,
}

/// The layers to which contents with [`Origin::Layer`](crate::entry::Origin::Layer) refer.
#[derive(Clone, Default)]
pub(super) struct Layers(Arc<[Layer]>);

impl FileSystem {
    /// The files of an image in the store.
    pub(super) fn of_image(store: &Store, image: &image::Image) -> Result<Self, Diagnostic> {
        let tree = image::tree(store, image).map_err(|error| {
            Diagnostic::failure(format!("the layers of {} cannot be read", image.digest())).caused_by(error)
        })?;
        Ok(FileSystem { tree: Arc::new(tree), layers: Layers(image.layers().to_vec().into()) })
    }

    /// These files with a layer on top, the contents of which lie in `layers`.
    pub(super) fn with(&self, changes: &Changeset, layers: &Layers) -> Result<Self, Diagnostic> {
        let mut tree = Tree::clone(&self.tree);
        tree.apply(changes)
            .map_err(|error| Diagnostic::failure("the layer does not fit on those below").caused_by(error))?;
        Ok(FileSystem { tree: Arc::new(tree), layers: self.layers.and(layers) })
    }

    /// The bytes of a file in the image, following links inside its root; `None` if there is no such file.
    ///
    /// # Errors
    /// The file has more than `limit` bytes, or its layer cannot be read.
    pub(super) fn read(&self, store: &Store, path: &ImagePath, limit: u64) -> Result<Option<Vec<u8>>, Diagnostic> {
        let Ok(path) = self.tree.resolve(path) else { return Ok(None) };
        let Some(Kind::File { content }) = self.tree.get(&path).map(|node| node.kind.clone()) else { return Ok(None) };
        let mut content = content;
        self.layers.make_readable(store, &mut [&mut content])?;
        let bytes = content.read_all(limit);
        bytes
            .map(Some)
            .map_err(|error| Diagnostic::failure(format!("`{path}` of the image cannot be read")).caused_by(error))
    }
}

impl Layers {
    /// One layer.
    pub(super) fn of(layer: Layer) -> Layers {
        Layers(Arc::new([layer]))
    }

    /// These and those of `others` that are not among them.
    fn and(&self, others: &Layers) -> Layers {
        let new: Vec<Layer> = others.0.iter().filter(|layer| !self.0.contains(layer)).cloned().collect();
        match new.is_empty() {
            true => self.clone(),
            false => Layers(self.0.iter().cloned().chain(new).collect()),
        }
    }

    /// Makes contents readable that lie in compressed layers or in archives.
    pub(super) fn make_readable(&self, store: &Store, contents: &mut [&mut Content]) -> Result<(), Diagnostic> {
        listing::make_readable(contents, store)?;
        image::spool_contents(store, &self.0, contents)
            .map_err(|error| Diagnostic::failure("a layer of the base cannot be read").caused_by(error))
    }
}
