//! From headers to an entry.

use crate::archive::read::block::Block;
use crate::archive::read::extension::Extensions;
use crate::archive::read::{Fault, Limits};
use crate::entry::{Kind, Metadata};
use crate::path::ImagePath;

/// An entry whose content was not read yet.
pub(super) struct Heading {
    pub path: ImagePath,
    pub metadata: Metadata,
    /// Bytes of the body; 0 unless it is a file.
    pub size: u64,
    /// `None` for a file.
    pub kind: Option<Kind>,
}

impl Heading {
    /// The entry with the name `name` that `block` and the `extensions` before it describe.
    pub fn new(name: &[u8], block: &Block, extensions: &mut Extensions, limits: &Limits) -> Result<Self, Fault> {
        let path = check_path(name, limits)?;
        let link = extensions.link().cloned().unwrap_or_else(|| block.link());
        let pax = extensions.pax.take().unwrap_or_default();
        let metadata = Metadata {
            mode: block.mode()?,
            uid: owner("uid", pax.uid.map_or_else(|| block.uid(), Ok)?)?,
            gid: owner("gid", pax.gid.map_or_else(|| block.gid(), Ok)?)?,
            mtime: pax.mtime.map_or_else(|| block.mtime(), Ok)?,
            xattrs: pax.xattrs,
        };
        let size = pax.size.map_or_else(|| block.size(), Ok)?;
        let device = || -> Result<(u32, u32), Fault> {
            let (major, minor) = match (pax.major, pax.minor) {
                (Some(major), Some(minor)) => (major, minor),
                _ => block.device()?,
            };
            Ok((device_number(major)?, device_number(minor)?))
        };
        let kind = match block.kind() {
            // Version 7 has no type for directories; GNU tar and libarchive look at the slash in every format.
            0 | b'0' | b'7' if name.ends_with(b"/") => Some(Kind::Directory),
            0 | b'0' | b'7' => None,
            b'1' => Some(Kind::HardLink { target: hard_link(&path, &link, limits)? }),
            b'2' => Some(Kind::Symlink { target: symlink(link)?.into() }),
            b'3' => device().map(|(major, minor)| Some(Kind::CharDevice { major, minor }))?,
            b'4' => device().map(|(major, minor)| Some(Kind::BlockDevice { major, minor }))?,
            b'5' => Some(Kind::Directory),
            b'6' => Some(Kind::Fifo),
            b'S' => return Err(Fault::Sparse),
            other => return Err(Fault::Type(other)),
        };
        check_root(&path, kind.as_ref())?;
        match &kind {
            Some(kind) if size > 0 => Err(Fault::Body { kind: kind.name(), size }),
            _ => Ok(Heading { path, metadata, size, kind }),
        }
    }

    /// Bytes that stay in memory besides the fixed size of an entry.
    pub fn weight(&self) -> u64 {
        let link = match &self.kind {
            Some(Kind::Symlink { target }) => target.len(),
            Some(Kind::HardLink { target }) => target.as_bytes().len(),
            _ => 0,
        };
        // An attribute of one byte takes many times its length; a header has room for 40,000 of them.
        let attribute = |(name, value): (&String, &Vec<u8>)| name.len() + value.len() + size_of::<(String, Vec<u8>)>();
        let xattrs: usize = self.metadata.xattrs.iter().map(attribute).sum();
        (self.path.as_bytes().len() + link + xattrs) as u64
    }
}

/// The path that `name` stands for: `/` and `./` at its beginning are taken away.
pub(super) fn check_path(name: &[u8], limits: &Limits) -> Result<ImagePath, Fault> {
    if name.is_empty() {
        return Err(Fault::EmptyName);
    }
    let path = ImagePath::parse(name)?;
    check_depth(&path, limits)?;
    Ok(path)
}

/// A symbolic link called `.` would lead all that comes after it out of the image.
pub(super) fn check_root(path: &ImagePath, kind: Option<&Kind>) -> Result<(), Fault> {
    match kind {
        Some(Kind::Directory) => Ok(()),
        _ if path.is_root() => Err(Fault::Root { kind: kind.map_or("file", Kind::name) }),
        _ => Ok(()),
    }
}

/// A symbolic link's text may be anything that the kernel would take.
pub(super) fn symlink(target: Vec<u8>) -> Result<Vec<u8>, Fault> {
    match target {
        target if target.is_empty() => Err(Fault::LinkTarget("is empty")),
        target if target.len() > ImagePath::MAX_LEN => Err(Fault::LinkTarget("is longer than 4096 bytes")),
        target if target.contains(&0) => Err(Fault::LinkTarget("has a NUL byte")),
        target => Ok(target),
    }
}

fn hard_link(path: &ImagePath, target: &[u8], limits: &Limits) -> Result<ImagePath, Fault> {
    if target.is_empty() {
        return Err(Fault::LinkTarget("is empty"));
    }
    let target = ImagePath::parse(target).map_err(Fault::HardLinkTarget)?;
    check_depth(&target, limits)?;
    match target {
        target if target.is_root() => Err(Fault::LinkTarget("is the image's root")),
        target if target == *path => Err(Fault::SelfLink),
        target => Ok(target),
    }
}

fn check_depth(path: &ImagePath, limits: &Limits) -> Result<(), Fault> {
    if path.components().count() > limits.depth {
        return Err(Fault::Depth { limit: limits.depth });
    }
    Ok(())
}

/// 2^32-1 is no owner: to `chown` it means that the owner stays as it is.
fn owner(field: &'static str, id: u64) -> Result<u32, Fault> {
    let id = u32::try_from(id).ok().filter(|&id| id != u32::MAX);
    id.ok_or(Fault::Number { field, reason: "is above 4294967294" })
}

fn device_number(number: u64) -> Result<u32, Fault> {
    u32::try_from(number).map_err(|_| Fault::Number { field: "device number", reason: "is too large" })
}
