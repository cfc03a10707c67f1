//! A merged tree, which is read only when it is needed, together with the layers in which its contents lie.

use std::cell::OnceCell;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::entry::{Content, Kind};
use crate::image::{self, Image, Layer};
use crate::path::ImagePath;
use crate::store::Store;
use crate::tree::{Changeset, Glimpse, Glimpsed, Tree};

use super::glimpse::{self, Made};
use super::level::Level;
use super::listing;

/// The files of an image, or of the layers up to some point in it.
#[derive(Clone, Default)]
pub(super) struct FileSystem {
    files: Arc<Files>,
    pub(super) layers: Layers,
}

/// The layers to which contents with [`Origin::Layer`](crate::entry::Origin::Layer) refer.
#[derive(Clone, Default)]
pub(super) struct Layers(Arc<[Layer]>);

#[derive(Default)]
struct Files {
    stack: Stack,
    /// How many layers lie on the image in it.
    depth: usize,
    tree: OnceLock<Arc<Tree>>,
    /// How it lies on disk; `None` if it is empty.
    level: OnceLock<Option<Arc<Level>>>,
    /// Under which name the store keeps what is known of the tree, and that. `None` where no image lies below, as such a
    /// tree is made of what is in memory already.
    known: OnceLock<Option<Known>>,
}

/// So many layers may lie on top of each other without being read: each is a call deep. It is as many as an image may have.
const MOST_UNREAD: usize = 500;

struct Known {
    name: Digest,
    glimpse: Mutex<Option<Arc<Glimpse>>>,
}

/// What the tree amounts to.
#[derive(Default)]
enum Stack {
    #[default]
    Nothing,
    Image(Image),
    Layer(FileSystem, Arc<Changeset>),
}

impl FileSystem {
    /// The files of an image in the store.
    pub(super) fn of_image(image: &Image) -> Self {
        let files = Files { stack: Stack::Image(image.clone()), ..Files::default() };
        FileSystem { files: Arc::new(files), layers: Layers(image.layers().to_vec().into()) }
    }

    /// These files with a layer on top, the contents of which lie in `layers`.
    ///
    /// # Errors
    /// As [`FileSystem::tree`], of what no image can hold.
    pub(super) fn with(self, changes: Arc<Changeset>, layers: &Layers, store: &Store) -> Result<Self, Diagnostic> {
        let (layers, depth) = (self.layers.and(layers), self.files.depth + 1);
        let mut files = Files { stack: Stack::Layer(self, changes), depth, ..Files::default() };
        if depth > MOST_UNREAD {
            let tree = Arc::new(files.read(store)?);
            files = Files { tree: OnceLock::from(tree), ..Files::default() };
        }
        Ok(FileSystem { files: Arc::new(files), layers })
    }

    /// The tree.
    ///
    /// # Errors
    /// The layers of the image cannot be read, or do not fit on each other.
    pub(super) fn tree(&self, store: &Store) -> Result<Arc<Tree>, Diagnostic> {
        if let Some(tree) = self.files.tree.get() {
            return Ok(tree.clone());
        }
        let tree = Arc::new(self.files.read(store)?);
        Ok(self.files.tree.get_or_init(|| tree).clone())
    }

    /// How the tree lies on disk for steps; `None` if it is empty.
    ///
    /// # Errors
    /// As [`FileSystem::tree`].
    pub(super) fn level(&self, store: &Store) -> Result<Option<Arc<Level>>, Diagnostic> {
        if let Some(level) = self.files.level.get() {
            return Ok(level.clone());
        }
        let tree = self.tree(store)?;
        let level = match &self.files.stack {
            Stack::Layer(below, _) => Level::between(below.level(store)?.as_ref(), &*below.tree(store)?, &tree),
            Stack::Nothing | Stack::Image(_) => Level::whole(&tree),
        };
        Ok(self.files.level.get_or_init(|| level).clone())
    }

    /// What `look` makes of the tree, which is read only if `look` asks what no build has asked before. That is most of the
    /// time of a build in which nothing changed.
    ///
    /// # Errors
    /// Those of `look` and of [`FileSystem::tree`].
    pub(super) fn look<T>(
        &self,
        store: &Store,
        look: impl FnOnce(&Glimpsed) -> Result<T, Diagnostic>,
    ) -> Result<T, Diagnostic> {
        let failed = OnceCell::new();
        let read = || {
            self.tree(store).unwrap_or_else(|error| {
                let _ = failed.set(error);
                Arc::default()
            })
        };
        let known = self.known(store);
        let glimpse = known.and_then(|known| known.lock().clone());
        let below = Glimpsed::new(glimpse.as_deref(), &read);
        let looked = look(&below);
        let learned = below.learned();
        if let Some(error) = failed.into_inner() {
            return Err(error);
        }
        if let (Some(known), Some(learned)) = (known, learned) {
            let mut glimpse = known.lock();
            let more = glimpse.as_ref().map_or(learned.clone(), |old| old.with(learned));
            glimpse::keep(&known.name, &more, self.layers.uppermost(), store);
            *glimpse = Some(Arc::new(more));
        }
        looked
    }

    fn known(&self, store: &Store) -> Option<&Known> {
        let known = self.files.known.get_or_init(|| {
            let made = match &self.files.stack {
                Stack::Nothing => return None,
                Stack::Image(image) => Made::of_image(image.layers().iter().map(|layer| layer.diff_id).collect()),
                Stack::Layer(below, changes) => Made::of_layer(below.known(store)?.name, changes),
            };
            let name = made.name();
            Some(Known { name, glimpse: Mutex::new(glimpse::find(&name, store).map(Arc::new)) })
        });
        known.as_ref()
    }

    /// The bytes of a file in the image, following links inside its root; `None` if there is no such file.
    ///
    /// # Errors
    /// The file has more than `limit` bytes, or its layer cannot be read.
    pub(super) fn read(&self, store: &Store, path: &ImagePath, limit: u64) -> Result<Option<Vec<u8>>, Diagnostic> {
        let tree = self.tree(store)?;
        let Ok(path) = tree.resolve(path) else { return Ok(None) };
        let Some(Kind::File { content }) = tree.get(&path).map(|node| node.kind.clone()) else { return Ok(None) };
        let mut content = content;
        self.layers.make_readable(store, &mut [&mut content])?;
        let bytes = content.read_all(limit);
        bytes
            .map(Some)
            .map_err(|error| Diagnostic::failure(format!("`{path}` of the image cannot be read")).caused_by(error))
    }
}

impl Files {
    fn read(&self, store: &Store) -> Result<Tree, Diagnostic> {
        match &self.stack {
            Stack::Nothing => Ok(Tree::new()),
            Stack::Image(image) => image::tree(store, image).map_err(|error| {
                Diagnostic::failure(format!("the layers of {} cannot be read", image.digest())).caused_by(error)
            }),
            Stack::Layer(below, changes) => {
                let mut tree = Tree::clone(&*below.tree(store)?);
                let applied = tree.apply(changes);
                applied.map_err(|e| Diagnostic::failure("the layer does not fit on those below").caused_by(e))?;
                Ok(tree)
            }
        }
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Glimpse>>> {
        // It is set as a whole, so a thread that panicked has not left half of it.
        self.glimpse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layers {
    /// The blob of the uppermost one.
    fn uppermost(&self) -> Vec<Digest> {
        self.0.last().map(|layer| layer.descriptor.digest).into_iter().collect()
    }

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
