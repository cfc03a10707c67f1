//! Where a tar archive ends: too early, too late, or never.

use std::io::Read;

use ocify::archive::read::{Fault, Limits, ReadError, read_tar};
use ocify::digest::Digest;
use ocify::entry::Kind;
use proptest::prelude::*;

use super::parsing::{accepted, assert_listing, read, refused, refused_within};
use super::tarball::{Header, Tarball};

#[test]
fn an_archive_cut_inside_of_an_entry_is_refused() {
    // GNU tar: "Unexpected EOF in archive" in a body, and nothing at all in a header or after an extension header.
    let whole = Tarball::new().file("first", "1").file("second", &"2".repeat(700)).without_end();
    let (entry, fault) = refused(&whole[..1024 + 512 + 100]);
    assert_eq!((entry.name.as_slice(), entry.offset), (&b"second"[..], 1024));
    assert_eq!(fault, Fault::Truncated { missing: 600 });
    assert_eq!(refused(&whole[..1024 + 512 + 699]).1, Fault::Truncated { missing: 1 });
    assert_eq!(refused(&whole[..1024 + 100]).1, Fault::HeaderTruncated);
    let header = Tarball::new().pax(&[("path", "x")]).without_end();
    assert_eq!(refused(&header).1, Fault::NoEntry);
    assert_eq!(refused(&[&header[..], &[0; 1024]].concat()).1, Fault::NoEntry);
    assert_eq!(refused(&header[..600]).1, Fault::Truncated { missing: 424 });
}

#[test]
fn missing_end_blocks_are_accepted_at_an_entry_s_end() {
    // GNU tar and containerd accept both in silence (GNU tar warns of a lone zero block, and refuses a file of no bytes).
    let tar = Tarball::new().file("a", "1");
    for (bytes, warned) in [
        (tar.clone().end(), false),
        (tar.clone().without_end(), true),
        // In the padding of the last entry; umoci 0.4 writes such layers, which GNU tar refuses.
        (tar.clone().without_end()[..512 + 1].to_vec(), true),
        (tar.clone().without_end()[..1024 - 1].to_vec(), true),
        (tar.clone().raw([0; 512]).without_end(), true),
        (tar.clone().raw([0; 10240]).without_end(), false),
        (Vec::new(), true),
    ] {
        assert_eq!(!accepted(&bytes).warnings.is_empty(), warned);
    }
    // GNU tar stops at a lone zero block, other readers go on behind it.
    let resumed = tar.raw([0; 512]).file("hidden", "").end();
    assert_eq!(refused(&resumed).1, Fault::LoneZeroBlock);
}

#[test]
fn bytes_after_the_end_are_ignored_but_hashed() {
    // GNU tar and containerd ignore them too; the diff ID has them.
    let tar = Tarball::new().file("a", "1").end();
    let trailed = [&tar[..], b"trailing garbage"].concat();
    assert_listing(&trailed, &[("/a", "1")]);
    assert_eq!(accepted(&trailed).warnings, ["bytes after the end of the archive were ignored"]);
    assert_ne!(accepted(&trailed).digest, accepted(&tar).digest);
    let two = [&tar[..], &Tarball::new().file("b", "2").end()].concat();
    assert_listing(&two, &[("/a", "1")]);
    assert_eq!(accepted(&two).warnings.len(), 1);
}

/// The same bytes for ever.
struct Again<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Read for Again<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = (&self.bytes[self.at..]).read(buffer)?;
        self.at = (self.at + n) % self.bytes.len();
        Ok(n)
    }
}

#[test]
fn endless_entries_meet_a_cap() {
    let empty = Tarball::new().file("same", "").without_end();
    let limits = Limits { entries: 20_000, ..Limits::default() };
    let (entry, fault) = refused_within(Again { bytes: &empty, at: 0 }, &limits);
    assert_eq!(fault, Fault::TooManyEntries { limit: 20_000 });
    assert_eq!((entry.name.as_slice(), entry.offset), (&b"same"[..], 20_000 * 512));

    let named = Tarball::new().pax(&[("SCHILY.xattr.user.big", &"x".repeat(100_000))]).file("a", "").without_end();
    let limits = Limits { metadata: 1 << 20, ..Limits::default() };
    let (_, fault) = refused_within(Again { bytes: &named, at: 0 }, &limits);
    assert_eq!(fault, Fault::TooMuchMetadata { limit: 1 << 20 });

    // Many small attributes: what they take besides their bytes counts.
    let names: Vec<String> = (0..1000).map(|n| format!("SCHILY.xattr.user.{n}")).collect();
    let records: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let limits = Limits { metadata: 32 << 10, ..Limits::default() };
    let (_, fault) = refused_within(&Tarball::new().pax(&records).file("a", "").end()[..], &limits);
    assert_eq!(fault, Fault::TooMuchMetadata { limit: 32 << 10 });

    // Nothing of a global header is kept, and extension headers without an end are ended by the cap on bytes.
    let global = Tarball::new().extension(b'g', "").without_end();
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let error = read_tar(Again { bytes: &global, at: 0 }, &limits, None).unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { limit: 1_048_576 }), "{error}");
    let zeros = read_tar(std::io::repeat(0), &limits, None).unwrap_err();
    assert!(matches!(zeros, ReadError::TooLarge { .. }), "{zeros}");
}

#[test]
fn deep_paths_meet_a_cap() {
    let path = |depth: usize| vec!["d"; depth].join("/");
    assert_eq!(accepted(&Tarball::new().long_name(&path(256)).file("a", "").end()).entries.len(), 1);
    let (_, fault) = refused(&Tarball::new().long_name(&path(257)).file("a", "").end());
    assert_eq!(fault, Fault::Depth { limit: 256 });
    let long = "x/".repeat(100) + &"y".repeat(4000);
    assert!(matches!(refused(&Tarball::new().long_name(&long).file("a", "").end()).1, Fault::Path(_)));
}

/// A small archive with all that a reader has to put together.
fn sample() -> Vec<u8> {
    Tarball::new()
        .directory("d/")
        .file("d/a", "content of a")
        .pax(&[("path", "d/pax"), ("mtime", "1.5"), ("SCHILY.xattr.user.x", "1")])
        .file("short", &"b".repeat(600))
        .long_name(&"d/long".repeat(30))
        .file("short", "c")
        .symlink("d/l", "a")
        .hard_link("d/h", "d/a")
        .end()
}

#[test]
fn cut_at_any_byte_an_archive_is_refused_or_complete_up_to_an_entry_s_end() {
    let bytes = sample();
    let whole = read(&bytes).unwrap();
    let end = bytes.len() - 1024;
    let mut ends = Vec::new();
    for cut in 0..bytes.len() {
        match read(&bytes[..cut]) {
            Ok(part) => {
                assert_eq!(part.entries, whole.entries[..part.entries.len()], "cut at {cut}");
                assert!(cut >= end + 512 || part.warnings.len() == 1, "cut at {cut}");
                ends.push(cut);
            }
            Err(ReadError::Entry { .. }) => {}
            Err(error) => panic!("cut at {cut}: {error}"),
        }
    }
    // The ends of the six entries, from the last byte of a body to the end of its padding; in the end blocks, all but the
    // middle of the first.
    let boundaries: Vec<_> = ends.iter().copied().filter(|&cut| cut <= end).collect();
    let expected = [0..=0, 512..=512, 1036..=1536, 3672..=4096, 5633..=6144, 6656..=6656, 7168..=7168];
    assert_eq!(boundaries, expected.into_iter().flatten().collect::<Vec<_>>());
    assert!(ends.iter().all(|&cut| cut <= end || cut >= end + 512));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_hashed(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        if let Ok(contents) = read(&bytes) {
            prop_assert_eq!(contents.digest, Digest::of(&bytes));
        }
    }

    /// Changes anywhere in a valid archive, with checksums put right again, reach the code behind the checksum.
    #[test]
    fn mutated_archives_are_refused_or_read(
        changes in proptest::collection::vec((0usize..8192, any::<u8>()), 1..12),
        fix in any::<bool>(),
    ) {
        let mut bytes = sample();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if fix {
            for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
                let header = Header::new("").field(0, &block[..]);
                block.copy_from_slice(&Tarball::new().header(header).without_end());
            }
        }
        if let Ok(contents) = read(&bytes) {
            prop_assert_eq!(contents.digest, Digest::of(&bytes));
            for entry in &contents.entries {
                if let Kind::File { content } = &entry.kind {
                    let body = content.read_all(1 << 20).unwrap();
                    prop_assert_eq!(content.digest, Digest::of(&body));
                }
            }
        }
    }
}
