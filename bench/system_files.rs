//! The contents of /usr/lib and /usr/bin, in a seeded order: what real images hold.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::random::Random;

/// An endless supply: after the last file the first comes again.
pub struct SystemFiles {
    paths: Vec<PathBuf>,
    next: usize,
}

impl SystemFiles {
    /// # Panics
    ///
    /// Where the machine has no file in these directories.
    pub fn new(seed: u64) -> Self {
        let mut paths = Vec::new();
        for root in ["/usr/bin", "/usr/lib"] {
            collect(Path::new(root), &mut paths);
        }
        assert!(!paths.is_empty(), "no files in /usr/bin and /usr/lib");
        // By name first, as directories list their files in no order.
        paths.sort();
        let mut random = Random(seed);
        for last in (1..paths.len()).rev() {
            paths.swap(last, random.below(last + 1));
        }
        SystemFiles { paths, next: 0 }
    }

    /// The next file's content, or the first 4 MiB of it: what the bench holds in memory counts as its children's too.
    pub fn content(&mut self) -> Vec<u8> {
        loop {
            let path = &self.paths[self.next];
            self.next = (self.next + 1) % self.paths.len();
            let mut content = Vec::new();
            let read = fs::File::open(path).and_then(|file| file.take(4 << 20).read_to_end(&mut content));
            // Else it was removed meanwhile, may not be read, or would not bring the caller on.
            if read.is_ok() && !content.is_empty() {
                return content;
            }
        }
    }
}

/// Regular files; links are not followed, so each file counts once.
fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), paths),
            Ok(kind) if kind.is_file() => paths.push(entry.path()),
            Ok(_) | Err(_) => {}
        }
    }
}
