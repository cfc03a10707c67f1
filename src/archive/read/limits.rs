//! How much of an archive is read before it is refused.

/// Caps for one archive. The defaults admit every image and source archive that we know of; a test sets lower ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the uncompressed stream; for a zip, of all contents together. 64 GiB.
    pub bytes: u64,
    /// How many times longer than its compressed form a stream may be, once it is longer than
    /// [`Limits::ratio_free`]. 50,000: above what gzip (1,032), xz (about 7,000) and zstd (32,768) can reach at all, so
    /// that a file of zeros is never refused in these; bzip2 can pass a million.
    pub ratio: u64,
    /// Uncompressed bytes to which [`Limits::ratio`] does not apply. 64 MiB.
    pub ratio_free: u64,
    /// The largest window (zstd) or dictionary (xz) in bytes, which is the memory that unpacking needs. 128 MiB; a
    /// zstd window is compared with the power of two at or below this.
    pub window: u64,
    /// Entries in the archive. 2,000,000.
    pub entries: u64,
    /// Components of a path. 256.
    pub depth: usize,
    /// Bytes of one extension header of a tar: PAX records, GNU long names. 1 MiB.
    pub header: u64,
    /// Bytes of all paths, link targets and extended attributes together, which stay in memory. 256 MiB.
    pub metadata: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 64 << 30,
            ratio: 50_000,
            ratio_free: 64 << 20,
            window: 128 << 20,
            entries: 2_000_000,
            depth: 256,
            header: 1 << 20,
            metadata: 256 << 20,
        }
    }
}
