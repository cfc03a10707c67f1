//! The outer tar of an archive: a few directories and files in ustar form, all of time 0 and owner 0:0.

use std::io::{self, Read, Seek, SeekFrom, Write};

use tar::{EntryType, Header};

const BLOCK: u64 = 512;

/// Writes a tar archive to a file.
pub struct TarFile<W> {
    out: W,
}

impl<W: Write + Seek> TarFile<W> {
    /// An archive that begins where `out` is now.
    pub fn new(out: W) -> Self {
        TarFile { out }
    }

    /// Adds a directory; `name` ends with a slash.
    pub fn directory(&mut self, name: &str) -> io::Result<()> {
        self.header(name, EntryType::Directory, 0o755, 0)
    }

    /// Adds a file of these bytes.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.stream(name, bytes.len() as u64, bytes).map(drop)
    }

    /// Adds a file that `content` yields, which is `size` bytes long.
    ///
    /// # Errors
    /// Also if `content` has another length.
    pub fn stream(&mut self, name: &str, size: u64, content: impl Read) -> io::Result<()> {
        self.header(name, EntryType::Regular, 0o644, size)?;
        let written = io::copy(&mut content.take(size.saturating_add(1)), &mut self.out)?;
        if written != size {
            return Err(io::Error::other(format!("`{name}` has another size than the {size} bytes expected")));
        }
        self.pad(size)
    }

    /// Adds a file whose length is known only when `content` ends: its header is written last.
    pub fn stream_of_unknown_size(&mut self, name: &str, mut content: impl Read) -> io::Result<()> {
        let start = self.out.stream_position()?;
        self.header(name, EntryType::Regular, 0o644, 0)?;
        let size = io::copy(&mut content, &mut self.out)?;
        self.pad(size)?;
        let end = self.out.stream_position()?;
        self.out.seek(SeekFrom::Start(start))?;
        self.header(name, EntryType::Regular, 0o644, size)?;
        self.out.seek(SeekFrom::Start(end)).map(drop)
    }

    /// Ends the archive.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK as usize])
    }

    fn header(&mut self, name: &str, kind: EntryType, mode: u32, size: u64) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        // From 8 GiB on it is the binary form of GNU tar, which every reader takes.
        header.set_size(size);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let rest = (BLOCK - size % BLOCK) % BLOCK;
        self.out.write_all(&[0; BLOCK as usize][..rest as usize])
    }
}
