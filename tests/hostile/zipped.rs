//! Zip archives: the same paths and caps, and headers that contradict each other.

use std::fs::File;
use std::io::{Cursor, Seek, Write};

use ocify::archive::read::{Fault, Limits, ReadError, Spool, is_zip, read_zip};
use ocify::entry::{Entry, Kind};
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

type Writer = ZipWriter<Cursor<Vec<u8>>>;

fn zip(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut writer);
    writer.finish().unwrap().into_inner()
}

fn options() -> SimpleFileOptions {
    let time = DateTime::from_date_and_time(2024, 2, 29, 12, 30, 58).unwrap();
    SimpleFileOptions::default().last_modified_time(time).compression_method(CompressionMethod::Deflated)
}

fn one(name: &str, content: &[u8]) -> Vec<u8> {
    zip(|writer| {
        writer.start_file(name, options()).unwrap();
        writer.write_all(content).unwrap();
    })
}

fn on_disk(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn read_within(bytes: &[u8], limits: &Limits) -> Result<Vec<Entry>, ReadError> {
    read_zip(&on_disk(bytes), limits, &mut Spool::new(tempfile::tempfile().unwrap()))
}

fn read(bytes: &[u8]) -> Result<Vec<Entry>, ReadError> {
    read_within(bytes, &Limits::default())
}

#[track_caller]
fn refused(bytes: &[u8]) -> Fault {
    match read(bytes) {
        Err(ReadError::Entry { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

/// Each place in `bytes` where `pattern` stands.
fn places(bytes: &[u8], pattern: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|&at| bytes[at..].starts_with(pattern)).collect()
}

#[test]
fn files_directories_and_symbolic_links() {
    let bytes = zip(|writer| {
        writer.add_directory("d", options().unix_permissions(0o700)).unwrap();
        writer.start_file("d/run", options().unix_permissions(0o755)).unwrap();
        writer.write_all(b"#!/bin/sh\n").unwrap();
        writer.add_symlink("link", "../elsewhere", options()).unwrap();
        writer.start_file("/abs//./x", options().compression_method(CompressionMethod::Stored)).unwrap();
    });
    assert!(is_zip(&on_disk(&bytes)).unwrap());
    assert!(!is_zip(&on_disk(b"PK")).unwrap());
    let entries = read(&bytes).unwrap();
    let shown: Vec<_> =
        entries.iter().map(|e| (e.path.to_string(), e.kind.name(), e.metadata.mode, e.metadata.mtime)).collect();
    // 2024-02-29 12:30:58 UTC, whatever zone this test runs in.
    let time = 1_709_209_858;
    assert_eq!(
        shown,
        [
            ("/d".into(), "directory", 0o700, time),
            ("/d/run".into(), "file", 0o755, time),
            ("/link".into(), "symbolic link", 0o777, time),
            ("/abs/x".into(), "file", 0o644, time),
        ]
    );
    let Kind::File { content } = &entries[1].kind else { panic!() };
    assert_eq!(content.read_all(100).unwrap(), b"#!/bin/sh\n");
    assert!(matches!(&entries[2].kind, Kind::Symlink { target } if **target == *b"../elsewhere"));
}

#[test]
fn modes_and_times_of_archives_that_have_none() {
    let mut bytes = one("a", b"1");
    let central = places(&bytes, b"PK\x01\x02")[0];
    let local = places(&bytes, b"PK\x03\x04")[0];
    bytes[central + 5] = 0; // made by: DOS
    bytes[central + 38..central + 42].fill(0); // external attributes
    bytes[central + 12..central + 16].fill(0); // time and date: no such day
    bytes[local + 10..local + 14].fill(0);
    let entry = &read(&bytes).unwrap()[0];
    assert_eq!((entry.metadata.mode, entry.metadata.mtime), (0o644, 315_532_800));
}

#[test]
fn setuid_is_kept_and_devices_are_refused() {
    let with_mode = |mode: u32| {
        let mut bytes = one("a", b"");
        let central = places(&bytes, b"PK\x01\x02")[0];
        bytes[central + 38..central + 42].copy_from_slice(&(mode << 16).to_le_bytes());
        bytes
    };
    assert_eq!(read(&with_mode(0o104755)).unwrap()[0].metadata.mode, 0o4755);
    for device in [0o020666, 0o060666, 0o010666, 0o140666] {
        assert!(matches!(refused(&with_mode(device)), Fault::Unpack(_)));
    }
    assert_eq!(read(&with_mode(0o040755)).unwrap()[0].kind, Kind::Directory);
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../x", "a/../../x"] {
        assert!(matches!(refused(&one(name, b"")), Fault::Path(_)), "{name}");
    }
    let root = &read(&one("/", b"")).unwrap()[0];
    assert!(root.path.is_root() && root.kind.is_directory() && root.metadata.mode == 0o755);
    let root_link = zip(|writer| writer.add_symlink(".", "/etc", options()).unwrap());
    assert!(matches!(refused(&root_link), Fault::Root { .. }));
    let deep = vec!["d"; 300].join("/");
    assert!(matches!(refused(&one(&deep, b"")), Fault::Depth { .. }));
}

#[test]
fn encrypted_files_are_refused() {
    let mut bytes = one("secret", b"1");
    let (local, central) = (places(&bytes, b"PK\x03\x04")[0], places(&bytes, b"PK\x01\x02")[0]);
    bytes[local + 6] |= 1;
    bytes[central + 8] |= 1;
    assert_eq!(refused(&bytes), Fault::Encrypted);
}

#[test]
fn sizes_and_checksums_that_lie_are_refused() {
    let honest = one("a", &[b'x'; 1000]);
    let (local, central) = (places(&honest, b"PK\x03\x04")[0], places(&honest, b"PK\x01\x02")[0]);
    for size in [0u32, 999, 1001, u32::MAX - 1] {
        let mut bytes = honest.clone();
        bytes[local + 22..local + 26].copy_from_slice(&size.to_le_bytes());
        bytes[central + 24..central + 28].copy_from_slice(&size.to_le_bytes());
        let error = read(&bytes).unwrap_err();
        assert!(
            matches!(error, ReadError::Entry { fault: Fault::Size { .. } | Fault::Unpack(_), .. }),
            "{size}: {error}"
        );
    }
    let mut bytes = honest.clone();
    bytes[local + 14] ^= 1;
    bytes[central + 16] ^= 1;
    assert!(matches!(refused(&bytes), Fault::Unpack(_)), "checksum");
    let mut bytes = honest;
    bytes[central + 24] ^= 1;
    assert!(matches!(read(&bytes), Err(ReadError::Zip { .. })), "the two headers disagree");
}

#[test]
fn names_that_differ_before_the_file_or_come_twice_are_refused() {
    let mut bytes = one("good", b"1");
    let name = places(&bytes, b"good")[0];
    bytes[name..name + 4].copy_from_slice(b"evil");
    assert!(matches!(read(&bytes), Err(ReadError::Zip { .. })));

    let mut twice = zip(|writer| {
        writer.start_file("a", options()).unwrap();
        writer.start_file("b", options()).unwrap();
    });
    for header in [places(&twice, b"PK\x03\x04")[1] + 30, places(&twice, b"PK\x01\x02")[1] + 46] {
        assert_eq!(twice[header], b'b');
        twice[header] = b'a';
    }
    assert!(matches!(read(&twice), Err(ReadError::Zip { .. })));
}

#[test]
fn files_that_share_their_bytes_are_refused() {
    let mut bytes = zip(|writer| {
        for name in ["a", "b"] {
            writer.start_file(name, options()).unwrap();
            writer.write_all(&[0; 10_000]).unwrap();
        }
    });
    let central = places(&bytes, b"PK\x01\x02")[1];
    bytes[central + 42..central + 46].fill(0);
    assert!(matches!(read(&bytes), Err(ReadError::Zip { .. })));
}

#[test]
fn caps_on_entries_and_bytes() {
    let bytes = zip(|writer| {
        for n in 0..20_000 {
            writer.start_file(format!("file-{n}"), options()).unwrap();
        }
    });
    for entries in [10, 19_999] {
        let error = read_within(&bytes, &Limits { entries, ..Limits::default() }).unwrap_err();
        assert!(
            matches!(error, ReadError::Entry { fault: Fault::TooManyEntries { .. }, .. } | ReadError::Io(_)),
            "{error}"
        );
    }
    let zeros = one("zeros", &vec![0; 10 << 20]);
    let error = read_within(&zeros, &Limits { bytes: 1 << 20, ..Limits::default() }).unwrap_err();
    assert!(matches!(error, ReadError::Entry { fault: Fault::TooLarge { .. }, .. }), "{error}");
}

#[test]
fn cut_anywhere_an_archive_is_refused() {
    let bytes = zip(|writer| {
        writer.start_file("a", options()).unwrap();
        writer.write_all(b"some content").unwrap();
        writer.add_symlink("l", "a", options()).unwrap();
    });
    for cut in 0..bytes.len() {
        assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

proptest::proptest! {
    #[test]
    fn damaged_archives_are_refused_or_read(
        changes in proptest::collection::vec((0usize..10_000, proptest::prelude::any::<u8>()), 1..6),
    ) {
        let mut bytes = zip(|writer| {
            writer.start_file("a", options()).unwrap();
            writer.write_all(b"some content").unwrap();
            writer.add_directory("d", options()).unwrap();
        });
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _ = read(&bytes);
    }
}
