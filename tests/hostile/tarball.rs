//! Tar archives as no honest archiver writes them.

use std::ops::Range;

pub const SIZE: Range<usize> = 124..136;
pub const CHECKSUM: Range<usize> = 148..156;

/// A header block. The checksum is right unless [`Header::bad_checksum`] is called.
#[derive(Clone)]
pub struct Header([u8; 512]);

impl Header {
    /// A ustar header for an empty file, 0644, owner 0:0, mtime 0. At most 100 bytes of name.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        Header([0; 512])
            .field(0, name)
            .field(100, "0000644")
            .field(108, "0000000")
            .field(116, "0000000")
            .field(124, "00000000000")
            .field(136, "00000000000")
            .field(156, "0")
            .field(257, "ustar\x0000")
    }

    pub fn kind(self, kind: u8) -> Self {
        self.field(156, [kind])
    }

    pub fn link(self, target: impl AsRef<[u8]>) -> Self {
        self.field(157, target)
    }

    pub fn size(self, size: u64) -> Self {
        self.field(SIZE.start, format!("{size:011o}"))
    }

    /// Any bytes at any place.
    pub fn field(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self.sum()
    }

    pub fn bad_checksum(mut self) -> Self {
        self.0[CHECKSUM.start] ^= 1;
        self
    }

    fn sum(mut self) -> Self {
        self.0[CHECKSUM].fill(b' ');
        let sum: u32 = self.0.iter().map(|&b| u32::from(b)).sum();
        self.0[CHECKSUM][..7].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self
    }
}

/// An archive, block by block.
#[derive(Clone, Default)]
pub struct Tarball(Vec<u8>);

impl Tarball {
    pub fn new() -> Self {
        Tarball::default()
    }

    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub fn header(self, header: Header) -> Self {
        self.raw(header.0)
    }

    /// A body, padded to whole blocks.
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        let len = body.as_ref().len();
        self.raw(body).raw(vec![0; len.next_multiple_of(512) - len])
    }

    pub fn file(self, name: &str, body: &str) -> Self {
        self.header(Header::new(name).size(body.len() as u64)).body(body)
    }

    pub fn directory(self, name: &str) -> Self {
        self.header(Header::new(name).kind(b'5'))
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.header(Header::new(name).kind(b'2').link(target))
    }

    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.header(Header::new(name).kind(b'1').link(target))
    }

    /// A header of type `kind` that has `body`: PAX (`x`, `g`) or a GNU long name (`L`, `K`).
    pub fn extension(self, kind: u8, body: impl AsRef<[u8]>) -> Self {
        let size = body.as_ref().len() as u64;
        self.header(Header::new("extension").kind(kind).size(size)).body(body)
    }

    pub fn pax(self, records: &[(&str, &str)]) -> Self {
        self.extension(b'x', pax(records))
    }

    pub fn long_name(self, name: &str) -> Self {
        self.extension(b'L', format!("{name}\0"))
    }

    /// With the two zero blocks that end an archive.
    pub fn end(self) -> Vec<u8> {
        self.raw([0; 1024]).0
    }

    pub fn without_end(self) -> Vec<u8> {
        self.0
    }
}

/// PAX records with right lengths.
pub fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let record = |&(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let mut len = rest.len() + 1;
        while len != rest.len() + len.to_string().len() {
            len += 1;
        }
        format!("{len}{rest}").into_bytes()
    };
    records.iter().flat_map(record).collect()
}
