//! A pack and its index (gitformat-pack, versions 2 and 2), written here: what git writes differs from version to version, from
//! one zlib to another, and with the number of threads.
//!
//! Objects are whole, in the order of their names, and stored without compression (RFC 1951, 3.2.4): a layer compresses
//! them, and nothing of these bytes depends on a compressor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use libdeflater::{Adler32, Crc};

use crate::digest::{Digest, Hasher};
use crate::entry::{Content, Origin};
use crate::git::ObjectId;

use super::checksum::{Checksum, sealed};
use super::objects::{Kind, Object};

/// The two files.
pub(super) struct Pack {
    /// What they are called, without `.pack` and `.idx`.
    pub(super) name: String,
    pub(super) pack: Content,
    pub(super) index: Content,
}

/// Where an object lies in the pack.
struct Place {
    offset: u64,
    /// Of its bytes in the pack.
    crc: u32,
}

/// Writes the pack of `objects` to `spool`, an empty file; `like` is the name of one of them.
pub(super) fn write(objects: &BTreeMap<ObjectId, Object>, like: &ObjectId, spool: File) -> io::Result<Pack> {
    let mut packing = Packing {
        out: BufWriter::with_capacity(1 << 18, &spool),
        checksum: Checksum::like(like),
        digest: Hasher::new(),
        crc: Crc::new(),
        size: 0,
    };
    let count = u32::try_from(objects.len()).map_err(io::Error::other)?;
    packing.put(&[b"PACK".as_slice(), &2_u32.to_be_bytes(), &count.to_be_bytes()].concat())?;
    let mut places = Vec::with_capacity(objects.len());
    for object in objects.values() {
        let offset = packing.size;
        packing.crc = Crc::new();
        packing.object(object)?;
        places.push(Place { offset, crc: packing.crc.sum() });
    }
    let (checksum, size, digest) = packing.finish()?;
    let index = Content::inline(sealed(index(objects, &places, &checksum), like));
    let name = format!("pack-{}", checksum.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let origin = Origin::Region { file: Arc::new(spool), offset: 0 };
    Ok(Pack { name, pack: Content { size, digest, origin }, index })
}

/// The index without its own hash.
fn index(objects: &BTreeMap<ObjectId, Object>, places: &[Place], checksum: &[u8]) -> Vec<u8> {
    const LARGE: u64 = 1 << 31;
    let ids: Vec<Vec<u8>> = objects.keys().map(ObjectId::bytes).collect();
    let mut bytes = b"\xfftOc\x00\x00\x00\x02".to_vec();
    for first in 0..=255 {
        bytes.extend((ids.partition_point(|id| id[0] <= first) as u32).to_be_bytes());
    }
    bytes.extend(ids.concat());
    places.iter().for_each(|place| bytes.extend(place.crc.to_be_bytes()));
    let mut large = Vec::new();
    for Place { offset, .. } in places {
        let short = match *offset < LARGE {
            true => *offset as u32,
            false => {
                large.push(*offset);
                LARGE as u32 | (large.len() - 1) as u32
            }
        };
        bytes.extend(short.to_be_bytes());
    }
    large.iter().for_each(|offset| bytes.extend(offset.to_be_bytes()));
    bytes.extend(checksum);
    bytes
}

/// A pack as far as it is written.
struct Packing<'a> {
    out: BufWriter<&'a File>,
    checksum: Checksum,
    digest: Hasher,
    crc: Crc,
    size: u64,
}

impl Packing<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.checksum.update(bytes);
        self.digest.update(bytes);
        self.crc.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn object(&mut self, Object { kind, content }: &Object) -> io::Result<()> {
        const BLOCK: u64 = 65_535;
        self.put(&header(*kind, content.size))?;
        // zlib without compression, RFC 1950: the two bytes say the window and the level.
        self.put(&[0x78, 0x01])?;
        let (mut adler, mut done, mut buffer) = (Adler32::new(), 0, Vec::new());
        loop {
            let length = (content.size - done).min(BLOCK) as u16;
            buffer.clear();
            content.read_range(done, length.into(), &mut buffer)?;
            adler.update(&buffer);
            done += u64::from(length);
            let is_last = done == content.size;
            self.put(&[u8::from(is_last)])?;
            self.put(&[length.to_le_bytes(), (!length).to_le_bytes()].concat())?;
            self.put(&buffer)?;
            if is_last {
                return self.put(&adler.sum().to_be_bytes());
            }
        }
    }

    /// The pack's own hash, which ends it, and its size and digest.
    fn finish(self) -> io::Result<(Vec<u8>, u64, Digest)> {
        let Packing { mut out, checksum, mut digest, size, .. } = self;
        let checksum = checksum.finish();
        out.write_all(&checksum)?;
        out.flush()?;
        digest.update(&checksum);
        let size = size + checksum.len() as u64;
        Ok((checksum, size, digest.finish()))
    }
}

/// What is before an object: three bits for its kind and seven for each part of its size, but four in the first byte.
fn header(kind: Kind, size: u64) -> Vec<u8> {
    let kind = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let mut bytes = vec![kind << 4 | (size & 15) as u8];
    let mut rest = size >> 4;
    while rest > 0 {
        *bytes.last_mut().expect("the first byte is there") |= 0x80;
        bytes.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_parts() {
        assert_eq!(header(Kind::Commit, 0), [0x10]);
        assert_eq!(header(Kind::Blob, 15), [0x3f]);
        assert_eq!(header(Kind::Blob, 16), [0xb0, 0x01]);
        assert_eq!(header(Kind::Tag, 0xffff_ffff), [0xcf, 0xff, 0xff, 0xff, 0x7f]);
    }

    #[test]
    fn offsets_beyond_two_gigabytes_stand_in_a_table_of_their_own() {
        let objects: BTreeMap<ObjectId, Object> = (0..3)
            .map(|digit: u8| {
                let id = digit.to_string().repeat(40).parse().unwrap();
                (id, Object { kind: Kind::Blob, content: Content::inline(*b"") })
            })
            .collect();
        let offsets = [12, 1 << 31, 5 << 31];
        let places: Vec<Place> = offsets.into_iter().map(|offset| Place { offset, crc: 0 }).collect();
        let bytes = index(&objects, &places, b"end");
        let behind_crcs = 8 + 4 * 256 + 3 * 20 + 3 * 4;
        assert_eq!(bytes[behind_crcs..behind_crcs + 12], *b"\0\0\0\x0c\x80\0\0\0\x80\0\0\x01");
        assert_eq!(bytes[behind_crcs + 12..], *b"\0\0\0\0\x80\0\0\0\0\0\0\x02\x80\0\0\0end");
    }
}
