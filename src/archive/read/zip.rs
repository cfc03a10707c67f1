//! Reading a zip archive (PKWARE APPNOTE 6.3).

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use jiff::civil;
use jiff::tz::TimeZone;
use zip::read::{ArchiveOffset, Config, ZipArchive, ZipFile};
use zip::result::ZipError;
use zip::{DateTime, System};

use crate::archive::read::entry::{check_path, check_root, symlink};
use crate::archive::read::spool::Intake;
use crate::archive::read::{EntryName, Fault, Limits, ReadError, Spool};
use crate::entry::{Content, Entry, Kind, Metadata, Origin};
use crate::path::ImagePath;

/// True if `file` begins like a zip archive. One with a program before it is not found.
///
/// # Errors
/// The file cannot be read.
pub fn is_zip(file: &File) -> io::Result<bool> {
    let mut start = [0; 4];
    match file.read_exact_at(&mut start, 0) {
        Ok(()) => Ok(matches!(&start, b"PK\x03\x04" | b"PK\x05\x06")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a zip archive and sets its contents aside in `spool`; moves the position of `file`.
///
/// Owners are 0:0. Modes are those that a Unix archiver stored, else 0644, and 0755 for directories. Times are the DOS
/// times read as UTC, as the zone in which they were written is not known; 1980-01-01 if there is no valid one. Names
/// are kept byte for byte.
///
/// # Errors
/// The archive is damaged or beyond `limits`; its central directory and the headers before the files disagree, overlap
/// or name a file twice; a file is encrypted, of another type than file, directory or symbolic link, or has another
/// size or checksum than stated.
pub fn read_zip(file: &File, limits: &Limits, spool: &mut Spool) -> Result<Vec<Entry>, ReadError> {
    let budget = Cell::new(DIRECTORY_BASE + limits.entries.saturating_mul(DIRECTORY_PER_ENTRY));
    let input = BufReader::new(Metered { file, left: &budget });
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, input).map_err(damaged)?;
    if archive.len() as u64 > limits.entries {
        let fault = Fault::TooManyEntries { limit: limits.entries };
        return Err(ReadError::Entry { entry: EntryName::default(), fault });
    }
    budget.set(u64::MAX);
    archive.validate_header_consistency().map_err(damaged)?;

    let mut entries = Vec::with_capacity(archive.len());
    let mut reader = ZipEntries { limits, spool, buffer: vec![0; 64 << 10], bytes: 0, metadata: 0 };
    for index in 0..archive.len() {
        // The names are in memory by now, so errors can tell them before the entry is opened.
        let data = archive.by_index_data(index).map_err(damaged)?;
        let name = EntryName { name: data.name_raw().to_vec(), offset: data.header_start() };
        let fail = |fault| ReadError::Entry { entry: name.clone(), fault };
        if data.encrypted() {
            return Err(fail(Fault::Encrypted));
        }
        let file = archive.by_index(index).map_err(|error| match error {
            ZipError::Io(error) => ReadError::Io(error),
            error => fail(Fault::Unpack(error.to_string())),
        })?;
        entries.push(reader.read(file, &fail)?);
    }
    Ok(entries)
}

struct ZipEntries<'a> {
    limits: &'a Limits,
    spool: &'a mut Spool,
    buffer: Vec<u8>,
    /// Bytes of all contents so far.
    bytes: u64,
    /// Bytes of names and links that are kept so far.
    metadata: u64,
}

impl ZipEntries<'_> {
    fn read<R: Read + Seek>(
        &mut self,
        mut file: ZipFile<'_, R>,
        fail: &impl Fn(Fault) -> ReadError,
    ) -> Result<Entry, ReadError> {
        let name = file.name_raw().to_vec();
        let path = check_path(&name, self.limits).map_err(fail)?;
        // The crate's own accessor leaves out setuid, setgid and sticky.
        let stored = if file.system() == System::Unix { file.external_attributes() >> 16 } else { 0 };
        let permissions = |default| if stored == 0 { default } else { stored & 0o7777 };
        let (kind, mode) = match stored & TYPE_BITS {
            // The slash makes the directory; the mode of what claims to be a file as well is not one for directories.
            REGULAR if name.ends_with(b"/") => (self.directory(&file).map_err(fail)?, 0o755),
            0 if name.ends_with(b"/") => (self.directory(&file).map_err(fail)?, permissions(0o755)),
            DIRECTORY => (self.directory(&file).map_err(fail)?, permissions(0o755)),
            SYMLINK => (self.symlink(&mut file, fail)?, 0o777),
            0 | REGULAR => (Kind::File { content: self.content(&mut file, fail)? }, permissions(0o644)),
            _ => return Err(fail(Fault::Unpack("it is a device, FIFO or socket".to_owned()))),
        };
        check_root(&path, Some(&kind)).map_err(fail)?;
        self.metadata += name.len() as u64;
        if self.metadata > self.limits.metadata {
            return Err(fail(Fault::TooMuchMetadata { limit: self.limits.metadata }));
        }
        let mtime = file.last_modified().and_then(seconds).unwrap_or(DOS_EPOCH);
        Ok(Entry { path, metadata: Metadata::root_owned(mode, mtime), kind })
    }

    fn directory<R: Read + Seek>(&self, file: &ZipFile<'_, R>) -> Result<Kind, Fault> {
        match file.size() {
            0 => Ok(Kind::Directory),
            size => Err(Fault::Body { kind: Kind::Directory.name(), size }),
        }
    }

    /// The target is the content.
    fn symlink<R: Read + Seek>(
        &mut self,
        file: &mut ZipFile<'_, R>,
        fail: &impl Fn(Fault) -> ReadError,
    ) -> Result<Kind, ReadError> {
        let mut target = Vec::new();
        let most = ImagePath::MAX_LEN as u64 + 1;
        file.take(most).read_to_end(&mut target).map_err(|error| fail(Fault::Unpack(error.to_string())))?;
        self.metadata += target.len() as u64;
        Ok(Kind::Symlink { target: symlink(target).map_err(fail)?.into() })
    }

    fn content<R: Read + Seek>(
        &mut self,
        file: &mut ZipFile<'_, R>,
        fail: &impl Fn(Fault) -> ReadError,
    ) -> Result<Content, ReadError> {
        let (claimed, limit) = (file.size(), self.limits.bytes);
        let mut intake = Intake::new(Some(&mut *self.spool));
        let mut actual = 0;
        loop {
            let n = match file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(fail(Fault::Unpack(error.to_string()))),
            };
            actual += n as u64;
            self.bytes += n as u64;
            if actual > claimed {
                return Err(fail(Fault::Size { claimed, actual }));
            }
            if self.bytes > limit {
                return Err(fail(Fault::TooLarge { size: claimed, limit }));
            }
            intake.write(&self.buffer[..n])?;
        }
        if actual != claimed {
            return Err(fail(Fault::Size { claimed, actual }));
        }
        Ok(intake.finish(Origin::Unknown))
    }
}

const TYPE_BITS: u32 = 0o170000;
const REGULAR: u32 = 0o100000;
const DIRECTORY: u32 = 0o040000;
const SYMLINK: u32 = 0o120000;

/// 1980-01-01 00:00:00 UTC, the first time that DOS knows.
const DOS_EPOCH: i64 = 315_532_800;

/// Seconds since 1970, the DOS time taken as UTC; `None` if there is no such day or hour.
fn seconds(time: DateTime) -> Option<i64> {
    let part = |value: u8| i8::try_from(value).ok();
    let time = civil::DateTime::new(
        i16::try_from(time.year()).ok()?,
        part(time.month())?,
        part(time.day())?,
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
        0,
    );
    Some(time.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// A file of which only so much is read. The crate keeps the whole central directory in memory and has no limit of its
/// own, so opening an archive has a budget that grows with the entries that are allowed.
struct Metered<'a> {
    file: &'a File,
    left: &'a Cell<u64>,
}

const DIRECTORY_BASE: u64 = 1 << 20;
const DIRECTORY_PER_ENTRY: u64 = 64;

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(n as u64);
        self.left.set(left.ok_or_else(|| io::Error::other("the zip archive's directory is too large"))?);
        Ok(n)
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

fn damaged(error: ZipError) -> ReadError {
    match error {
        ZipError::Io(error) => ReadError::Io(error),
        error => ReadError::Zip { reason: error.to_string() },
    }
}
