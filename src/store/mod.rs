//! The store: blobs by digest, references by name, and the directory indexes of layers.
//!
//! ```text
//! STORE/                    mode 0700 when ocify creates it; everything below is 0700 in any case
//! ├── oci-layout            {"imageLayoutVersion":"1.0.0"}: written last, so it marks a store that is complete
//! ├── index.json            image index; one manifest an entry, named by org.opencontainers.image.ref.name
//! ├── blobs/sha256/HEX      blobs, mode 0444, named after their content
//! ├── layers/HEX            directory index of the layer with this diff ID, or listing of an archive; may be missing, see
//! │                         `layer_index`
//! ├── actions/HEX           result of the action with this cache key; may be missing, see `action`
//! ├── chunks/HEX            where the chunks of a layer's blob lie; may be missing, see `chunk_search`
//! ├── sources/HEX          repositories that have the blob with this SHA-256; may be missing, see `sources`
//! ├── roots/HEX              what is known about the extracted tree roots/HEX.d/tree; may be missing, see `roots`
//! ├── stat/HEX              file digests of the workspace whose root has this SHA-256; may be missing, see `stat_file`
//! ├── caches/HEX-N/         files that steps share from one run to the next; HEX-N.lock beside it, see `step_cache`
//! ├── unflushed/BOOT        large blobs that may not be on the disk since the boot with this ID, see `unflushed`
//! ├── ingest/               what is being written or made; each file and directory is locked (flock) by the process that
//! │                         does it
//! ├── locks/index.lock      held while index.json is replaced
//! ├── locks/quarantine.lock held while a damaged blob is moved
//! ├── locks/prune.lock      held while files are removed that nobody needs, see `lease`
//! ├── locks/lease-*         locked by a process that relies on what it found in the store
//! ├── locks/unflushed.lock  held, shared, while a large blob is entered and renamed, or while a list is removed
//! └── quarantine/HEX        the last damaged blob of this name, for a person to look at
//! ```
//!
//! It is an OCI image layout (image-spec, "Image Layout"), so `skopeo inspect oci:STORE:NAME` reads it.
//!
//! What holds it together, for any number of threads and processes:
//!
//! - A file appears under its final name only by a rename, after its bytes are written and checked. A blob is whole or
//!   absent, index.json is the old or the new one.
//! - That holds after a power failure too, though only small blobs and index.json wait for the disk. A large blob is on a
//!   list that does, and is verified before it is used if the machine went down meanwhile. Records in `actions/`,
//!   `layers/` and `stat/` have checksums, and a damaged one is a miss. What was stored in the last half minute before
//!   the failure may be lost, and is then made again; docs/design/store-durability.md has the reasons and the figures.
//! - A failed flush is an error at once and the temporary is given up: after it, the kernel may have dropped the pages
//!   and would report success on a second try.
//! - References are set after the blobs they name: the names of all blobs are flushed to the disk first.
//! - Locks are flocks, which end with the process that holds them. Reading takes none, so a store that cannot be
//!   written still serves.
//! - What a process with a lease found or wrote is there until it ends, whatever is pruned beside it, see `lease`.
//! - What is read is verified. A damaged blob is moved away and reported; after that it is a miss.

mod action;
mod blob;
mod chunk_search;
mod chunk_table;
mod claim;
mod error;
mod ingest;
mod inventory;
mod layer_index;
mod layout;
mod lease;
mod lock;
mod prune;
mod quarantine;
mod reachable;
mod reference;
mod roots;
mod sources;
mod stat_file;
mod step_cache;
mod survey;
mod temporary;
mod unflushed;
mod usage;
mod workplace;

pub use action::ActionRecord;
pub use blob::BlobReader;
pub use chunk_search::{FoundChunk, FoundChunks};
pub use chunk_table::StoredChunk;
pub use claim::Claim;
pub use error::StoreError;
pub use ingest::{Draft, Ingest};
pub use inventory::{Kind, StoredFile};
pub use prune::{PruneOptions, Pruned};
pub use reachable::Unreadable;
pub use roots::{StoredRoot, TREE};
pub use sources::Supplier;
pub use stat_file::StatFile;
pub use step_cache::{CacheUse, StepCache, StepCacheUsage};
pub use usage::{KindUsage, ReferenceUsage, Usage};
pub use workplace::Workplace;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::digest::Digest;

/// A handle on a store; clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct Store {
    root: Arc<Path>,
    /// Keeps what this handle and its clones find, see [`Store::leased`].
    lease: Option<Arc<lease::Lease>>,
    /// This process has given names to blobs, and the directory may not be on the disk.
    has_new_blobs: Arc<AtomicBool>,
    lists: Arc<unflushed::Lists>,
    /// Whoever brings layers that the store lacks, see [`Store::supplied_by`].
    supply: sources::Supply,
}

impl Store {
    /// Opens the store at `root`, creating what is missing of it, and removes what writers that died have left behind. If
    /// the machine went down since, blobs that may have been lost by it are verified first, see `unflushed`.
    ///
    /// A store that cannot be written opens too, if it is complete; writing to it is then an error.
    ///
    /// # Errors
    /// `root` is neither empty nor a store (it is not touched), has a newer layout, or cannot be created; after a power
    /// failure, what was being written cannot be read.
    pub fn open(root: impl Into<PathBuf>) -> Result<Store, StoreError> {
        let root = root.into();
        layout::prepare(&root)?;
        temporary::sweep(&root.join(layout::INGEST));
        lease::sweep(&root.join(layout::LOCKS));
        let store = Store {
            root: root.into(),
            lease: None,
            has_new_blobs: Arc::default(),
            lists: Arc::default(),
            supply: sources::Supply::default(),
        };
        unflushed::settle(&store)?;
        Ok(store)
    }

    /// The directory, as it was given to [`Store::open`].
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file without a name in the store's file system, for contents that are needed only while this process runs.
    pub fn spool(&self) -> Result<File, StoreError> {
        let ingest = self.path(layout::INGEST);
        tempfile::tempfile_in(&ingest).map_err(StoreError::write("create a temporary file in", &ingest))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        let mut path = self.path(layout::BLOBS);
        path.push(digest.hex());
        path
    }
}
