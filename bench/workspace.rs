//! A workspace with its store beside it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::contender::{Contender, output_of};

pub struct Workspace {
    /// The directory with `ocify.toml`.
    pub directory: PathBuf,
}

impl Workspace {
    /// An empty one in `parent`, with room for stores beside it.
    pub fn new(parent: &Path) -> Self {
        let directory = parent.join("workspace");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("ocify.toml"), "").unwrap();
        Workspace { directory }
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A build into the store beside the workspace, which is kept from round to round.
    pub fn build(&self, target: &str) -> Contender {
        Contender::ocify(&self.directory, &["build", target, "--store", "../store"])
    }

    /// A build into an empty store.
    pub fn cold_build(&self, target: &str) -> Contender {
        self.build(target).before("rm -rf ../store")
    }

    /// A build into a store that is new in each round. The one before is moved out of the way and not removed: ext4 without a
    /// journal looks at each inode that was freed in the last minute before it takes one, so that to remove a store with
    /// thousands of files makes the next one slow, whoever writes it.
    pub fn build_into_new(&self, target: &str) -> Contender {
        self.build(target).before("[ ! -e ../store ] || mv ../store \"$(mktemp -d ../before.XXXXXX)\"")
    }

    /// Size in bytes of the store's largest blob, which is the layer where an image has but one.
    pub fn largest_blob(&self) -> u64 {
        fs::metadata(self.largest_blob_path()).unwrap().len()
    }

    /// Where it lies.
    pub fn largest_blob_path(&self) -> PathBuf {
        let blobs = fs::read_dir(self.directory.join("../store/blobs/sha256")).unwrap();
        blobs.map(|blob| blob.unwrap().path()).max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
    }

    /// Writes an image of `files` as a layout into the directory `base` and as `base.tar` for docker, and gives its digest.
    ///
    /// # Panics
    ///
    /// Where the build fails.
    pub fn base(&self, files: impl Iterator<Item = Vec<u8>>) -> String {
        for (number, content) in files.enumerate() {
            self.write(&format!("base-files/usr/{:03}/{number:05}", number / 100), content);
        }
        let layer = "files(srcs = ['base-files'], strip_prefix = 'base-files')";
        self.write("BUILD.star", format!("image(name = 'base', layers = [{layer}])\n"));
        let ocify = env!("CARGO_BIN_EXE_ocify");
        let script = format!(
            "{ocify} build //:base --quiet --store ../base-store -o oci:base -o docker-archive:base.tar | cut -d ' ' -f 2"
        );
        let digest =
            output_of(&self.directory, &script).filter(|digest| !digest.is_empty()).expect("the base is built");
        fs::remove_dir_all(self.directory.join("../base-store")).unwrap();
        fs::remove_dir_all(self.directory.join("base-files")).unwrap();
        digest
    }
}
