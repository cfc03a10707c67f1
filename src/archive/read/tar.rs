//! Reading a tar archive.

use std::io::{BufRead, Read};

use crate::archive::read::block::Block;
use crate::archive::read::entry::Heading;
use crate::archive::read::extension::Extensions;
use crate::archive::read::spool::Intake;
use crate::archive::read::stream::{NextBlock, TarStream};
use crate::archive::read::warnings::Warnings;
use crate::archive::read::{EntryName, Fault, Limits, ReadError, Spool, decompress};
use crate::digest::{DiffId, Digest};
use crate::entry::{Content, Entry, Kind, Origin};

/// What a tar archive holds.
#[derive(Debug)]
pub struct TarContents {
    /// In the order of the archive. Duplicates are kept: of two entries with one path, the later one counts.
    pub entries: Vec<Entry>,
    /// The SHA-256 of the whole stream, with what follows the end of the archive: a layer's diff ID.
    pub digest: Digest,
    /// Bytes of the whole stream.
    pub size: u64,
    /// What was strange but accepted, one sentence each.
    pub warnings: Vec<String>,
}

/// Reads a tar archive that is not compressed, or that [`crate::archive::read::decompress`] unpacks.
///
/// With a `spool`, contents are appended to it and get an [`Origin::Region`]. Without, their [`Origin::Layer`] tells
/// where they lie in this stream; [`crate::archive::read::spool_regions`] fetches them later. Memory is bounded by
/// [`Limits::entries`] and [`Limits::metadata`], never by what a header claims.
///
/// # Errors
/// The archive is damaged, beyond `limits`, or of a kind that readers disagree about (docs/reading-archives.md); or its
/// bytes cannot be read or set aside.
pub fn read_tar(input: impl Read, limits: &Limits, spool: Option<&mut Spool>) -> Result<TarContents, ReadError> {
    let mut reader = TarReader {
        stream: TarStream::new(input, limits),
        limits,
        spool,
        current: EntryName::default(),
        metadata: 0,
        warnings: Warnings::default(),
        empty: Content::inline([]),
    };
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        if entries.len() as u64 == limits.entries {
            return Err(reader.fault(Fault::TooManyEntries { limit: limits.entries }));
        }
        entries.push(entry);
    }
    reader.read_trailer()?;
    warn_of_duplicates(&entries, &mut reader.warnings);
    let (digest, size) = reader.stream.finish();
    set_diff_id(&mut entries, DiffId(digest));
    Ok(TarContents { entries, digest, size, warnings: reader.warnings.finish() })
}

struct TarReader<'a, R: Read> {
    stream: TarStream<R>,
    limits: &'a Limits,
    spool: Option<&'a mut Spool>,
    /// The entry that is being read, for errors.
    current: EntryName,
    /// Bytes of names, links and attributes that are kept so far.
    metadata: u64,
    warnings: Warnings,
    /// The content of all empty files: one allocation.
    empty: Content,
}

impl<R: Read> TarReader<'_, R> {
    /// `None` at the end of the archive.
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let mut extensions = Extensions::default();
        loop {
            self.current = EntryName { name: Vec::new(), offset: self.stream.position() };
            let block = match self.stream.next_block()? {
                NextBlock::Block(block) => block,
                NextBlock::Cut => return Err(self.fault(Fault::HeaderTruncated)),
                NextBlock::End | NextBlock::Zero if !extensions.is_empty() => return Err(self.fault(Fault::NoEntry)),
                NextBlock::End => {
                    self.warnings.push(|| "the archive ends without the two zero blocks that mark its end".to_owned());
                    return Ok(None);
                }
                NextBlock::Zero => return self.check_end().map(|()| None),
            };
            self.current.name = extensions.name().cloned().unwrap_or_else(|| block.name());
            block.verify().map_err(|fault| self.fault(fault))?;
            if !Extensions::takes(block.kind()) {
                return self.read_entry(&block, extensions).map(Some);
            }
            let body = self.read_extension(&block)?;
            extensions.take(block.kind(), &body).map_err(|fault| self.fault(fault))?;
        }
    }

    /// After one zero block: a second one, or the end of the stream, which GNU tar and Go accept. Where a header
    /// follows, GNU tar stops and other readers go on.
    fn check_end(&mut self) -> Result<(), ReadError> {
        match self.stream.next_block()? {
            NextBlock::Zero => Ok(()),
            NextBlock::Block(_) => Err(self.fault(Fault::LoneZeroBlock)),
            NextBlock::End | NextBlock::Cut => {
                self.warnings.push(|| "the archive ends with one zero block and not two".to_owned());
                Ok(())
            }
        }
    }

    /// The body of an extension header. Its size is the plain header's: a PAX size is about the entry.
    fn read_extension(&mut self, block: &Block) -> Result<Vec<u8>, ReadError> {
        let size = block.size().map_err(|fault| self.fault(fault))?;
        let limit = self.limits.header;
        if size > limit {
            return Err(self.fault(Fault::HeaderTooLong { size, limit }));
        }
        self.stream.read_body(size)?.map_err(|missing| self.fault(Fault::Truncated { missing }))
    }

    fn read_entry(&mut self, block: &Block, mut extensions: Extensions) -> Result<Entry, ReadError> {
        for name in extensions.pax.iter_mut().flat_map(|pax| pax.dropped.drain(..)) {
            let entry = &self.current;
            self.warnings.push(|| format!("{entry}: the attribute `{name}` belongs to overlayfs and was left out"));
        }
        let heading =
            Heading::new(&self.current.name, block, &mut extensions, self.limits).map_err(|fault| self.fault(fault))?;
        self.metadata += heading.weight();
        if self.metadata > self.limits.metadata {
            return Err(self.fault(Fault::TooMuchMetadata { limit: self.limits.metadata }));
        }
        let kind = match heading.kind {
            Some(kind) => kind,
            None => Kind::File { content: self.read_content(heading.size)? },
        };
        Ok(Entry { path: heading.path, metadata: heading.metadata, kind })
    }

    fn read_content(&mut self, size: u64) -> Result<Content, ReadError> {
        if size == 0 {
            return Ok(self.empty.clone());
        }
        let offset = self.stream.position();
        if size > self.limits.bytes.saturating_sub(offset) {
            return Err(self.fault(Fault::TooLarge { size, limit: self.limits.bytes }));
        }
        let mut intake = Intake::new(self.spool.as_deref_mut());
        let missing = self.stream.copy_body(size, &mut intake)?;
        if missing > 0 {
            return Err(self.fault(Fault::Truncated { missing }));
        }
        // The diff ID is known at the end only: see `set_diff_id`.
        let diff_id = DiffId(Digest::from_bytes([0; 32]));
        Ok(intake.finish(Origin::Layer { diff_id, offset }))
    }

    /// Every byte up to the end of the stream is part of the diff ID.
    fn read_trailer(&mut self) -> Result<(), ReadError> {
        if self.stream.drain()? {
            self.warnings.push(|| "bytes after the end of the archive were ignored".to_owned());
        }
        Ok(())
    }

    fn fault(&self, fault: Fault) -> ReadError {
        ReadError::Entry { entry: self.current.clone(), fault }
    }
}

fn set_diff_id(entries: &mut [Entry], digest: DiffId) {
    for entry in entries {
        if let Kind::File { content: Content { origin: Origin::Layer { diff_id, .. }, .. } } = &mut entry.kind {
            *diff_id = digest;
        }
    }
}

fn warn_of_duplicates(entries: &[Entry], warnings: &mut Warnings) {
    let mut order: Vec<u32> = (0..entries.len() as u32).collect();
    let entry = |index: u32| &entries[index as usize];
    order.sort_by(|&a, &b| entry(a).path.cmp(&entry(b).path));
    for pair in order.windows(2) {
        let (first, second) = (entry(pair[0]), entry(pair[1]));
        let flips = first.kind.is_directory() != second.kind.is_directory();
        if first.path == second.path && (flips || !second.kind.is_directory()) {
            warnings.push(|| {
                let (path, first, second) = (&first.path, first.kind.name(), second.kind.name());
                format!("{path} is in the archive as a {first} and later as a {second}; the later one counts")
            });
        }
    }
}
/// True for a tar stream, compressed or not: the first block is the header of an entry. Names are not asked.
pub fn is_tar(input: impl BufRead) -> bool {
    let Ok(mut stream) = decompress(input, &Limits::default()) else { return false };
    let mut block = [0; 512];
    if stream.read_exact(&mut block).is_err() {
        return false;
    }
    // The sum over the header with blanks in place of the sum itself (POSIX ustar, "chksum").
    let sum: u32 =
        block.iter().enumerate().map(|(at, &b)| u32::from(if (148..156).contains(&at) { b' ' } else { b })).sum();
    let stated = String::from_utf8_lossy(&block[148..156]);
    let stated = u32::from_str_radix(stated.trim_matches(|c: char| c == ' ' || c == '\0'), 8);
    stated.is_ok_and(|stated| stated == sum)
}
