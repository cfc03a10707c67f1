//! Reading archives that others wrote, within limits.
//!
//! [`decompress`] finds the compression out from the bytes and unpacks a stream; [`read_tar`] and [`read_zip`] turn an
//! archive into entries whose contents were hashed on the way; [`spool_regions`] fetches single contents out of a
//! stream later. Nothing here touches a file system: contents go into a [`Spool`], an unlinked file, or stay where they
//! are and are known by their place in the stream.
//!
//! Where readers disagree about an archive, an attacker can show one tree to the scanner and another to the runtime, so
//! such archives are refused rather than interpreted; docs/reading-archives.md lists what is pinned. The tar records are
//! read here and not by the tar crate, which splits PAX records at line feeds, takes the first of repeated keys, reads
//! headers of any length and knows nothing of global headers.

mod block;
mod decompress;
mod entry;
mod error;
mod extension;
mod limits;
mod number;
mod pax;
mod source;
mod spool;
mod stream;
mod tar;
mod warnings;
mod xattr;
mod zip;

pub use decompress::{Decompressed, Format, decompress};
pub use error::{EntryName, Fault, ReadError};
pub use limits::Limits;
pub use spool::{Region, Spool, spool_regions};
pub use tar::{TarContents, is_tar, read_tar};
pub use zip::{is_zip, read_zip};
