//! buildah with a storage of its own, so that it neither sees nor changes the machine's images.

use std::path::{Path, PathBuf};

use crate::contender::output_of;

pub struct Buildah {
    root: PathBuf,
}

impl Buildah {
    /// # Arguments
    ///
    /// `root` is where the storage goes, which is made on first use. The overlay driver, the faster one, is taken where it
    /// works.
    pub fn new(root: &Path) -> Self {
        Buildah { root: root.to_owned() }
    }

    /// The command with its global options, to be followed by a subcommand.
    pub fn command(&self) -> String {
        let root = self.root.display();
        format!("buildah --root {root}/storage --runroot {root}/run --storage-driver overlay")
    }

    /// Builds the current directory's Dockerfile and keeps each step's result for the next time. No step runs a program.
    pub fn build(&self, name: &str) -> String {
        format!("{} bud --isolation chroot --layers -q -t {name} .", self.command())
    }

    /// Removes all images.
    pub fn clear(&self) -> String {
        format!("{} rmi -a -f", self.command())
    }
}

impl Drop for Buildah {
    /// Unmounts what the driver has mounted: a temporary directory with a mount in it can't be removed.
    fn drop(&mut self) {
        output_of(&std::env::temp_dir(), &self.clear());
        output_of(&std::env::temp_dir(), &format!("umount {}/storage/overlay", self.root.display()));
    }
}
