//! Why an archive is not read.

use std::fmt;
use std::io;

use crate::archive::read::Format;
use crate::path::ImagePathError;

/// Why an archive was refused or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file or blob below failed, not the archive.
    #[error("the archive cannot be read: {0}")]
    Io(io::Error),
    #[error("the {format} data cannot be unpacked: {reason}")]
    Compressed { format: Format, reason: String },
    #[error("the archive unpacks to more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("{input} bytes of {format} data unpack to more than {output} bytes: more than {limit} times as much")]
    Ratio { format: Format, input: u64, output: u64, limit: u64 },
    #[error("{entry}: {fault}")]
    Entry { entry: EntryName, fault: Fault },
    #[error("the zip archive is damaged: {reason}")]
    Zip { reason: String },
    #[error("contents cannot be set aside: {0}")]
    Spool(io::Error),
    #[error("the content at byte {offset} of the stream {reason}")]
    Region { offset: u64, reason: &'static str },
}

impl ReadError {
    /// The error inside an [`io::Error`] that came out of [`crate::archive::read::Decompressed`]; any other I/O error
    /// as [`ReadError::Io`].
    pub fn from_io(error: io::Error) -> Self {
        error.downcast::<ReadError>().unwrap_or_else(ReadError::Io)
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// Which entry of an archive an error is about: its name as far as it was read, and where its header begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryName {
    /// The bytes of the name; they need not be a valid path. Empty if the header has none.
    pub name: Vec<u8>,
    /// Where the entry's header begins in the uncompressed stream; for a zip, in the file.
    pub offset: u64,
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return write!(f, "entry at byte {}", self.offset);
        }
        // A name may be a megabyte long; its beginning is enough to find it, and the offset is exact.
        let shown = &self.name[..self.name.len().min(256)];
        match std::str::from_utf8(shown) {
            Ok(text) if !text.chars().any(char::is_control) => write!(f, "entry `{text}`")?,
            _ => write!(f, "entry `{}`", shown.escape_ascii())?,
        }
        write!(f, " at byte {}", self.offset)
    }
}

/// What is wrong with one entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the header's checksum does not match")]
    Checksum,
    #[error("the archive ends inside of the header")]
    HeaderTruncated,
    #[error("the archive ends {missing} bytes before the end of the entry")]
    Truncated { missing: u64 },
    #[error("a zero block inside of the archive is followed by more entries")]
    LoneZeroBlock,
    #[error("extension headers are not followed by an entry")]
    NoEntry,
    #[error("the {field} {reason}")]
    Number { field: &'static str, reason: &'static str },
    #[error("a PAX record {0}")]
    Pax(&'static str),
    #[error("a global PAX header sets `{key}`; only `comment` is accepted")]
    GlobalHeader { key: String },
    #[error("an extension header has {size} bytes, more than {limit}")]
    HeaderTooLong { size: u64, limit: u64 },
    #[error("{0}")]
    Extension(&'static str),
    #[error("the type `{}` is not supported", char::from(*.0).escape_default())]
    Type(u8),
    #[error("sparse files are not supported")]
    Sparse,
    #[error("a {kind} has a body of {size} bytes, which readers disagree about")]
    Body { kind: &'static str, size: u64 },
    #[error("the name is empty")]
    EmptyName,
    #[error("{0}")]
    Path(#[from] ImagePathError),
    #[error("the path has more than {limit} components")]
    Depth { limit: usize },
    #[error("the image's root can only be a directory, not a {kind}")]
    Root { kind: &'static str },
    #[error("the link's target {0}")]
    LinkTarget(&'static str),
    #[error("the hard link's target: {0}")]
    HardLinkTarget(ImagePathError),
    #[error("the hard link leads to itself")]
    SelfLink,
    #[error("an extended attribute {0}")]
    Xattr(&'static str),
    #[error("the archive has more than {limit} entries")]
    TooManyEntries { limit: u64 },
    #[error("names, links and extended attributes take more than {limit} bytes")]
    TooMuchMetadata { limit: u64 },
    #[error("the file claims {size} bytes, more than the {limit} that are read of an archive")]
    TooLarge { size: u64, limit: u64 },
    #[error("the file is encrypted")]
    Encrypted,
    #[error("the file has {actual} bytes and not the {claimed} that its header claims")]
    Size { claimed: u64, actual: u64 },
    #[error("the file cannot be unpacked: {0}")]
    Unpack(String),
}
