//! Contents set aside in an open file, to be read again at any place and by many threads.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::archive::read::ReadError;
use crate::digest::{Digest, Hasher};
use crate::entry::{Content, Origin};

/// A file that contents are appended to; each gets an [`Origin::Region`] of it. Best an unlinked temporary file, which
/// goes when the last of its contents does.
pub struct Spool {
    file: Arc<File>,
    end: u64,
}

impl Spool {
    /// A spool in `file`, which is empty and opened for reading and writing.
    pub fn new(file: File) -> Self {
        Spool { file: Arc::new(file), end: 0 }
    }

    /// Bytes set aside so far.
    pub fn len(&self) -> u64 {
        self.end
    }

    /// True when nothing was set aside yet.
    pub fn is_empty(&self) -> bool {
        self.end == 0
    }
}

/// Takes in one content: hashes it, and appends it to the spool if there is one. Dropped unfinished, the next content
/// takes its place.
pub(super) struct Intake<'s> {
    spool: Option<&'s mut Spool>,
    hasher: Hasher,
    size: u64,
}

impl<'s> Intake<'s> {
    pub fn new(spool: Option<&'s mut Spool>) -> Self {
        Intake { spool, hasher: Hasher::new(), size: 0 }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        self.hasher.update(bytes);
        if let Some(spool) = &self.spool {
            spool.file.write_all_at(bytes, spool.end + self.size).map_err(ReadError::Spool)?;
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// The content; its origin is `elsewhere` if there is no spool.
    pub fn finish(self, elsewhere: Origin) -> Content {
        let origin = match self.spool {
            Some(spool) => {
                let offset = spool.end;
                spool.end += self.size;
                Origin::Region { file: spool.file.clone(), offset }
            }
            None => elsewhere,
        };
        Content { size: self.size, digest: self.hasher.finish(), origin }
    }
}

/// A content inside an uncompressed stream, as an [`Origin::Layer`] names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where the content begins in the stream.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// What it must hash to.
    pub digest: Digest,
}

/// Reads `uncompressed` once, front to back, and sets the `regions` aside in `spool`. The origins are in the order of
/// `regions`, which need not be sorted. Reading stops after the last region: each is checked by its own digest, so the
/// rest of the stream cannot change what was found.
///
/// # Errors
/// The stream ends too early, a region has other bytes than its digest says, or two different regions overlap.
pub fn spool_regions(
    mut uncompressed: impl Read,
    regions: &[Region],
    spool: &mut Spool,
) -> Result<Vec<Origin>, ReadError> {
    let mut origins = vec![Origin::Unknown; regions.len()];
    let mut order: Vec<usize> = (0..regions.len()).collect();
    order.sort_by_key(|&index| (regions[index].offset, regions[index].size));

    let mut buffer = vec![0; 64 << 10];
    let mut position = 0;
    let mut previous: Option<usize> = None;
    for index in order {
        let region = regions[index];
        let fail = |reason| ReadError::Region { offset: region.offset, reason };
        if let Some(previous) = previous.filter(|&previous| regions[previous] == region) {
            origins[index] = origins[previous].clone();
            continue;
        }
        let gap = region.offset.checked_sub(position).ok_or_else(|| fail("overlaps with another"))?;
        copy(&mut uncompressed, gap, &mut buffer, |_| Ok(()))?.then_some(()).ok_or_else(|| fail("is missing"))?;
        let mut intake = Intake::new(Some(&mut *spool));
        let whole = copy(&mut uncompressed, region.size, &mut buffer, |bytes| intake.write(bytes))?;
        if !whole {
            return Err(fail("is cut short"));
        }
        position = region.offset + region.size;
        let content = intake.finish(Origin::Unknown);
        if content.digest != region.digest {
            return Err(fail("has other bytes than its digest says"));
        }
        origins[index] = content.origin;
        previous = Some(index);
    }
    Ok(origins)
}

/// Hands `len` bytes to `take`, buffer by buffer; false if the stream ends before.
fn copy(
    from: &mut impl Read,
    mut len: u64,
    buffer: &mut [u8],
    mut take: impl FnMut(&[u8]) -> Result<(), ReadError>,
) -> Result<bool, ReadError> {
    while len > 0 {
        let most = buffer.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        match from.read(&mut buffer[..most]) {
            Ok(0) => return Ok(false),
            Ok(n) => {
                take(&buffer[..n])?;
                len -= n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::from_io(error)),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"0123456789";

    fn region(offset: u64, bytes: &[u8]) -> Region {
        Region { offset, size: bytes.len() as u64, digest: Digest::of(bytes) }
    }

    fn bytes(region: &Region, origin: &Origin) -> Vec<u8> {
        let content = Content { size: region.size, digest: region.digest, origin: origin.clone() };
        content.read_all(100).unwrap()
    }

    #[test]
    fn regions_are_found_in_any_order() {
        let mut spool = Spool::new(tempfile::tempfile().unwrap());
        let regions = [region(7, b"78"), region(0, b"01"), region(7, b"78"), region(2, b""), region(2, b"2")];
        let origins = spool_regions(STREAM, &regions, &mut spool).unwrap();
        for (region, origin) in regions.iter().zip(&origins) {
            let at = region.offset as usize;
            assert_eq!(bytes(region, origin), &STREAM[at..at + region.size as usize]);
        }
        assert_eq!(spool.len(), 5, "what is asked for twice is set aside once");
    }

    #[test]
    fn wrong_regions_are_errors() {
        let mut spool = Spool::new(tempfile::tempfile().unwrap());
        for (regions, reason) in [
            (vec![region(9, b"90")], "is cut short"),
            (vec![region(12, b"x")], "is missing"),
            (vec![region(u64::MAX, b"x")], "is missing"),
            (vec![region(1, b"12"), region(2, b"23")], "overlaps with another"),
            (vec![region(1, b"xy")], "has other bytes than its digest says"),
        ] {
            let error = spool_regions(STREAM, &regions, &mut spool).unwrap_err();
            assert!(error.to_string().ends_with(reason), "{error}");
        }
        assert!(spool_regions(STREAM, &[region(3, b"3")], &mut spool).is_ok(), "the spool is usable after an error");
    }
}
