//! A file's content: its identity, and where its bytes can be read.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{MemfdFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest, Hasher};

/// The content of a regular file. Its identity is size and digest; where the bytes lie is no part of it, so two
/// contents are equal when their bytes are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Content {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    #[serde(skip)]
    pub origin: Origin,
}

/// Where a content's bytes lie.
#[derive(Clone, Debug, Default)]
pub enum Origin {
    /// In memory: for what a spec writes literally.
    Inline(Arc<[u8]>),
    /// A file of the workspace.
    Disk(Arc<DiskFile>),
    /// Part of an open file, beginning at `offset`.
    Region { file: Arc<File>, offset: u64 },
    /// Part of the uncompressed tar stream of a layer, beginning at `offset`. Layers are compressed and read from
    /// front to back, so such a content is spooled to a [`Origin::Region`] before anything reads it.
    Layer { diff_id: DiffId, offset: u64 },
    /// A file in this archive, a content that can be opened: the one with this digest. It is spooled as well.
    Archive(Arc<Content>),
    /// Not known: the entry is only listed.
    #[default]
    Unknown,
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        (self.size, self.digest) == (other.size, other.digest)
    }
}

impl Eq for Content {}

impl Content {
    /// The content that consists of `bytes`.
    pub fn inline(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Content { size: bytes.len() as u64, digest: Digest::of(&bytes), origin: Origin::Inline(bytes) }
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// The file cannot be read, is shorter, or is no longer the one that was hashed ([`DiskFile`]).
    pub fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.origin {
            Origin::Inline(bytes) => {
                let end = |at: usize| at.checked_add(buffer.len());
                let range = usize::try_from(offset).ok().and_then(|at| bytes.get(at..end(at)?));
                buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Origin::Disk(disk) => {
                let file = disk.open()?;
                file.read_exact_at(buffer, offset)?;
                disk.check_unchanged(&file)
            }
            Origin::Region { file, offset: base } => file.read_exact_at(buffer, base + offset),
            Origin::Layer { .. } | Origin::Archive(_) | Origin::Unknown => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "content inside a layer or an archive was read before it was spooled; this is a defect in ocify",
            )),
        }
    }

    /// Appends `len` bytes from `offset` on to `buffer`.
    ///
    /// # Errors
    /// As [`Content::read_exact_at`].
    pub fn read_range(&self, offset: u64, len: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        let start = buffer.len();
        buffer.resize(start + len, 0);
        self.read_exact_at(offset, &mut buffer[start..])
    }

    /// The file itself, for readers that seek; one in memory for a content that lies there.
    ///
    /// # Errors
    /// The file is no longer the one that was hashed, or the content is neither a whole file on disk nor in memory.
    pub fn open(&self) -> io::Result<File> {
        match &self.origin {
            Origin::Disk(disk) => {
                let file = disk.open()?;
                disk.check_unchanged(&file)?;
                Ok(file)
            }
            Origin::Inline(bytes) => {
                let mut file = File::from(rustix::fs::memfd_create("content", MemfdFlags::CLOEXEC)?);
                file.write_all(bytes)?;
                file.rewind()?;
                Ok(file)
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// All bytes, for small files such as `/etc/passwd`.
    ///
    /// # Errors
    /// As [`Content::read_range`]; also if the file has more than `limit` bytes.
    pub fn read_all(&self, limit: u64) -> io::Result<Vec<u8>> {
        if self.size > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
        }
        let mut buffer = Vec::new();
        self.read_range(0, self.size as usize, &mut buffer)?;
        Ok(buffer)
    }
}

/// A file on disk as it was when it was hashed. What is archived must be what was hashed, so each read compares the
/// stamp again.
#[derive(Debug)]
pub struct DiskFile {
    pub path: PathBuf,
    pub stamp: Stamp,
    /// Of a blob of the store, see [`DiskFile::blob`]: its digest, and its stamp when it was hashed again.
    blob: Option<(Digest, Mutex<Stamp>)>,
}

impl DiskFile {
    /// A file that had this stamp before it was hashed and after it.
    pub fn new(path: PathBuf, stamp: Stamp) -> Self {
        DiskFile { path, stamp, blob: None }
    }

    /// A blob of the store, which had this stamp when it was verified. Other processes renew the times of blobs when they use
    /// them, or put the same blob in its place: one whose stamp is another is hashed again.
    pub fn blob(path: PathBuf, stamp: Stamp, digest: Digest) -> Self {
        DiskFile { path, stamp, blob: Some((digest, Mutex::new(stamp))) }
    }

    /// Opens the file without following a symbolic link in its place.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(File::from(rustix::fs::open(&self.path, flags, Mode::empty())?))
    }

    fn check_unchanged(&self, file: &File) -> io::Result<()> {
        let now = Stamp::of(&file.metadata()?);
        if now == self.stamp {
            return Ok(());
        }
        if let Some((digest, verified)) = &self.blob {
            let mut verified = verified.lock().unwrap_or_else(PoisonError::into_inner);
            if now == *verified || (digest_of(file)? == *digest && Stamp::of(&file.metadata()?) == now) {
                *verified = now;
                return Ok(());
            }
        }
        Err(io::Error::other(format!("{} changed while it was being read", self.path.display())))
    }
}

/// The digest of all of the file, whose position stays.
fn digest_of(file: &File) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What tells that a file was not written in between. The change time is in it because size and modification time
/// alone can be kept by a writer (moby/buildkit#2592).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime: i128,
    /// Change time in nanoseconds since 1970.
    pub ctime: i128,
}

impl Stamp {
    /// The stamp in a file's metadata.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        let nanoseconds = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_after_hashing_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, "old").unwrap();
        let stamp = Stamp::of(&std::fs::metadata(&path).unwrap());
        let disk = DiskFile::new(path.clone(), stamp);
        let content = Content { size: 3, digest: Digest::of(b"old"), origin: Origin::Disk(Arc::new(disk)) };
        assert_eq!(content.read_all(10).unwrap(), b"old");

        std::fs::rename(&path, directory.path().join("g")).unwrap();
        std::fs::write(&path, "new").unwrap();
        let error = content.read_all(10).unwrap_err();
        assert!(error.to_string().contains("changed while it was being read"), "{error}");
    }

    #[test]
    fn a_blob_whose_times_are_renewed_is_the_same_and_one_of_other_bytes_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, "old").unwrap();
        let stamp = Stamp::of(&std::fs::metadata(&path).unwrap());
        let digest = Digest::of(b"old");
        let content = |disk| Content { size: 3, digest, origin: Origin::Disk(Arc::new(disk)) };
        let (blob, file) = (DiskFile::blob(path.clone(), stamp, digest), DiskFile::new(path.clone(), stamp));
        let (blob, file) = (content(blob), content(file));
        File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        for _ in 0..2 {
            assert_eq!(blob.read_all(10).unwrap(), b"old");
            assert!(file.read_all(10).is_err());
        }
        std::fs::write(&path, "new").unwrap();
        assert!(blob.read_all(10).is_err());
    }

    #[test]
    fn ranges_outside_a_content_are_errors() {
        let content = Content::inline(*b"abc");
        let mut buffer = Vec::new();
        content.read_range(1, 2, &mut buffer).unwrap();
        assert_eq!(buffer, b"bc");
        assert!(content.read_range(2, 2, &mut buffer).is_err());
        assert!(content.read_all(2).is_err());
    }
}
