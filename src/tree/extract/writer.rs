//! Creating the entries of a tree, in the order that needs no going back.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, linkat, mkdirat, mknodat, openat, symlinkat};

use crate::digest::Hasher;
use crate::entry::{Content, Entry, Kind, Metadata};
use crate::path::ImagePath;
use crate::tree::extract::attributes::{self, Rights};
use crate::tree::extract::directories::Directories;
use crate::tree::extract::error::ExtractError;
use crate::tree::extract::skipped::{Skipped, SkippedPart};
use crate::tree::merge::Tree;
use crate::tree::stratum::Stratum;

/// Contents are copied in pieces of this many bytes.
const PIECE: u64 = 1 << 20;

/// Writes into one directory, which nobody else can enter until all is done.
pub(super) struct Writer {
    directories: Directories,
    rights: Rights,
    skipped: Vec<Skipped>,
    buffer: Vec<u8>,
}

impl Writer {
    /// A writer into the directory `root`.
    pub fn new(root: &Path, rights: Rights) -> Result<Self, ExtractError> {
        let directories = Directories::new(root).map_err(ExtractError::host("open", root))?;
        Ok(Writer { directories, rights, skipped: Vec::new(), buffer: Vec::new() })
    }

    /// Writes all of a stratum and returns what was left out. Directories are open to their owner alone until everything is
    /// in them; then they get their metadata, deepest first.
    pub fn write(&mut self, Stratum { tree, removed }: &Stratum) -> Result<Vec<Skipped>, ExtractError> {
        let mut absent = BTreeSet::new();
        for entry in tree.entries() {
            let is_absent = match &entry.kind {
                Kind::HardLink { target } => absent.contains(target),
                kind => kind.is_special(),
            };
            if is_absent {
                let kind = tree.get(&entry.path).map_or(entry.kind.name(), |node| node.kind.name());
                self.skipped.push(Skipped { path: entry.path.clone(), part: SkippedPart::Entry(kind) });
                absent.insert(entry.path);
            } else if !entry.path.is_root() {
                self.create(&entry)?;
            }
        }
        removed.iter().try_for_each(|path| self.white_out(path))?;
        if tree.get(&ImagePath::root()).is_none() {
            self.finish_directory(&ImagePath::root(), None)?;
        }
        for (path, slot) in tree.names().iter().rev().filter(|(_, slot)| slot.node.kind.is_directory()) {
            self.finish_directory(path, Some(&slot.node.metadata))?;
        }
        self.skipped.sort();
        Ok(std::mem::take(&mut self.skipped))
    }

    /// Makes every directory that was written open to its owner again, so that all can be removed. That it does not
    /// always succeed is no second error: then some of it stays under its temporary name.
    pub fn unlock_directories(&mut self, tree: &Tree, root: &Path) {
        let _ = fs::set_permissions(root, Permissions::from_mode(0o700));
        for (path, _) in tree.names().iter().filter(|(_, slot)| slot.node.kind.is_directory()) {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
            if let Ok(parent) = self.directories.get(&parent) {
                let _ = chmodat(parent, name, Mode::RWXU, AtFlags::empty());
            }
        }
    }

    fn create(&mut self, entry: &Entry) -> Result<(), ExtractError> {
        let path = &entry.path;
        let failed = ExtractError::entry::<rustix::io::Errno>("create", path);
        let name = path.file_name().unwrap_or_default();
        let open_parent = ExtractError::entry("open the directory of", path);
        let parent = self.directories.get(&path.parent().unwrap_or(ImagePath::root())).map_err(open_parent)?;
        let set = ExtractError::entry("set the attributes of", path);
        match &entry.kind {
            Kind::Directory => mkdirat(parent, name, Mode::RWXU).map_err(failed)?,
            Kind::Symlink { target } => {
                symlinkat(&target[..], parent, name).map_err(failed)?;
                let skipped = attributes::set_on_link(parent, name, &entry.metadata, self.rights).map_err(set)?;
                self.skip(path, skipped);
            }
            Kind::File { content } => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut file = File::from(openat(parent, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?);
                self.copy(path, content, &mut file)?;
                let skipped = attributes::set(file.as_fd(), &entry.metadata, self.rights).map_err(set)?;
                self.skip(path, skipped);
            }
            Kind::HardLink { target } => {
                let parent = parent.try_clone_to_owned().map_err(ExtractError::entry("open the directory of", path))?;
                let from = self.directories.open(&target.parent().unwrap_or(ImagePath::root()));
                let from = from.map_err(ExtractError::entry("open the directory of", target))?;
                let target = target.file_name().unwrap_or_default();
                linkat(&from, target, &parent, name, AtFlags::empty()).map_err(failed)?;
            }
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo => {}
        }
        Ok(())
    }

    /// An ordinary user may make this device, since Linux 5.8.
    fn white_out(&mut self, path: &ImagePath) -> Result<(), ExtractError> {
        let open_parent = ExtractError::entry("open the directory of", path);
        let parent = self.directories.get(&path.parent().unwrap_or(ImagePath::root())).map_err(open_parent)?;
        let name = path.file_name().unwrap_or_default();
        let made = mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0);
        made.map_err(ExtractError::entry("hide what is below at", path))
    }

    fn copy(&mut self, path: &ImagePath, content: &Content, file: &mut File) -> Result<(), ExtractError> {
        let mut hasher = Hasher::new();
        let mut offset = 0;
        while offset < content.size {
            let len = PIECE.min(content.size - offset);
            self.buffer.clear();
            let read = content.read_range(offset, len as usize, &mut self.buffer);
            read.map_err(ExtractError::entry("read the content of", path))?;
            hasher.update(&self.buffer);
            file.write_all(&self.buffer).map_err(ExtractError::entry("write", path))?;
            offset += len;
        }
        if hasher.finish() != content.digest {
            return Err(ExtractError::Content { path: path.clone() });
        }
        Ok(())
    }

    fn finish_directory(&mut self, path: &ImagePath, metadata: Option<&Metadata>) -> Result<(), ExtractError> {
        let undescribed = Metadata::root_owned(0o755, 0);
        let directory = self.directories.get(path).map_err(ExtractError::entry("open", path))?;
        let skipped = attributes::set(directory, metadata.unwrap_or(&undescribed), self.rights);
        let skipped = skipped.map_err(ExtractError::entry("set the attributes of", path))?;
        self.skip(path, skipped);
        Ok(())
    }

    fn skip(&mut self, path: &ImagePath, parts: Vec<SkippedPart>) {
        self.skipped.extend(parts.into_iter().map(|part| Skipped { path: path.clone(), part }));
    }
}
