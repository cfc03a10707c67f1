//! Where the stat cache of a workspace lies between two builds.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::digest::Digest;

use super::temporary::Temporary;
use super::{Store, StoreError, layout};

/// The file of one workspace below `stat/`. It only saves work, so it may be missing, old or damaged at any time, and
/// whoever reads it checks it: it is not flushed to the disk, which would cost more than it saves.
#[derive(Clone, Debug)]
pub struct StatFile {
    store: Store,
    workspace: Digest,
}

impl Store {
    /// The file of the workspace whose canonical root is `root`.
    pub fn stat_file(&self, root: &Path) -> StatFile {
        StatFile { store: self.clone(), workspace: Digest::of(root.as_os_str().as_bytes()) }
    }
}

impl StatFile {
    /// The SHA-256 of the workspace's root, after which the file is named.
    pub fn workspace(&self) -> Digest {
        self.workspace
    }

    /// Its bytes; `None` if it is missing, cannot be read, or has more than `limit` bytes.
    pub fn read(&self, limit: u64) -> Option<Vec<u8>> {
        let path = self.path();
        let file = File::open(&path).ok()?;
        let metadata = file.metadata().ok().filter(|metadata| metadata.is_file() && metadata.len() <= limit)?;
        let size = metadata.len();
        // Gone or not, its bytes are here.
        self.store.is_kept(&path, &metadata);
        let mut bytes = Vec::with_capacity(size as usize + 1);
        file.take(limit + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= limit).then_some(bytes)
    }

    /// Puts `bytes` in its place, all at once. Of two that do so at the same time, the last one wins.
    pub fn replace(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path();
        let mut temporary = Temporary::create(&self.store.path(layout::INGEST))?;
        temporary.write_all(bytes).map_err(StoreError::write("write", &path))?;
        temporary.persist_unflushed(&path, 0o600)
    }

    fn path(&self) -> PathBuf {
        self.store.path(layout::STAT).join(self.workspace.hex())
    }
}
