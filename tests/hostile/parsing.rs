//! "Tar parsing" of the table of hostile inputs. Where it says what GNU tar does, version 1.34 was asked.

use std::io::Read;
use std::process::Command;

use ocify::archive::read::{EntryName, Fault, Limits, ReadError, Spool, TarContents, read_tar};
use ocify::digest::Digest;
use ocify::entry::{Content, Entry, Kind, Origin};
use proptest::prelude::*;

use super::tarball::{Header, Tarball, pax};

pub fn read(bytes: &[u8]) -> Result<TarContents, ReadError> {
    let mut spool = Spool::new(tempfile::tempfile().unwrap());
    read_tar(bytes, &Limits::default(), Some(&mut spool))
}

/// Why an archive is refused, and at which entry.
#[track_caller]
pub fn refused(bytes: &[u8]) -> (EntryName, Fault) {
    refused_within(bytes, &Limits::default())
}

#[track_caller]
pub fn refused_within(bytes: impl Read, limits: &Limits) -> (EntryName, Fault) {
    match read_tar(bytes, limits, None) {
        Err(ReadError::Entry { entry, fault }) => (entry, fault),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn accepted(bytes: &[u8]) -> TarContents {
    let contents = read(bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((contents.digest, contents.size), (Digest::of(bytes), bytes.len() as u64));
    contents
}

/// Path and content of each entry; what is not a file is shown as its kind.
pub fn listing(contents: &TarContents) -> Vec<(String, String)> {
    let show = |entry: &Entry| {
        let content = match &entry.kind {
            Kind::File { content } => String::from_utf8_lossy(&content.read_all(1 << 20).unwrap()).into_owned(),
            other => other.name().to_owned(),
        };
        (entry.path.to_string(), content)
    };
    contents.entries.iter().map(show).collect()
}

#[track_caller]
pub fn assert_listing(bytes: &[u8], expected: &[(&str, &str)]) {
    let listing = listing(&accepted(bytes));
    let listing: Vec<_> = listing.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    assert_eq!(listing, expected);
}

#[test]
fn a_pax_size_wins_over_the_header_in_both_directions() {
    // GNU tar: the same.
    let larger = Tarball::new().pax(&[("size", "600")]).header(Header::new("a").size(3));
    assert_listing(&larger.body("x".repeat(600)).file("b", "2").end(), &[("/a", &"x".repeat(600)), ("/b", "2")]);
    let smaller = Tarball::new().pax(&[("size", "3")]).header(Header::new("a").size(600));
    assert_listing(&smaller.body("abc").file("b", "2").end(), &[("/a", "abc"), ("/b", "2")]);
    let zero = Tarball::new().pax(&[("size", "0")]).header(Header::new("a").size(600));
    assert_listing(&zero.file("b", "2").end(), &[("/a", ""), ("/b", "2")]);
}

#[test]
fn a_pax_size_does_not_apply_to_a_long_name_after_it() {
    // As CVE-2025-62518 ("TARmageddon") had it in tar libraries for Rust: the size counts for the entry.
    let smuggled = Tarball::new().file("smuggled", "").end();
    let tar = Tarball::new()
        .pax(&[("size", &smuggled.len().to_string())])
        .long_name("outer")
        .header(Header::new("short"))
        .body(&smuggled)
        .file("b", "2");
    let contents = accepted(&tar.end());
    let paths: Vec<_> = contents.entries.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(paths, ["/outer", "/b"]);
}

#[test]
fn a_pax_path_and_a_gnu_long_name_together_are_refused() {
    // GNU tar takes the PAX path, Go the long name.
    for tar in [
        Tarball::new().pax(&[("path", "pax")]).long_name("gnu"),
        Tarball::new().long_name("gnu").pax(&[("path", "pax")]),
        Tarball::new().pax(&[("linkpath", "pax")]).extension(b'K', "gnu\0"),
    ] {
        let (_, fault) = refused(&tar.file("a", "").end());
        assert!(matches!(fault, Fault::Extension(_)), "{fault}");
    }
}

#[test]
fn of_a_repeated_pax_key_the_last_value_counts() {
    // GNU tar: the same.
    let tar = Tarball::new().pax(&[("path", "first"), ("size", "9"), ("size", "1"), ("path", "last")]);
    assert_listing(&tar.file("a", "1").end(), &[("/last", "1")]);
}

#[test]
fn two_extension_headers_of_one_kind_are_refused() {
    // GNU tar takes the last long name and both PAX headers together; Go takes the last PAX header only.
    for tar in [
        Tarball::new().pax(&[("path", "a")]).pax(&[("uid", "1")]),
        Tarball::new().long_name("a").long_name("b"),
        Tarball::new().extension(b'K', "a\0").extension(b'K', "b\0"),
    ] {
        assert!(matches!(refused(&tar.file("a", "").end()).1, Fault::Extension(_)));
    }
}

#[test]
fn malformed_pax_lengths_are_refused() {
    // GNU tar: "Malformed extended header", and it goes on with the entry.
    for body in ["6 path=a\n", "11 path=a\n", "+9 path=a\n", "-9 path=a\n", "99999999999999999999 path=a\n", "path=a\n"]
    {
        let (entry, fault) = refused(&Tarball::new().file("before", "").extension(b'x', body).file("a", "").end());
        assert!(matches!(fault, Fault::Pax(_)), "{body}: {fault}");
        assert_eq!(entry.offset, 512, "{body}");
    }
}

#[test]
fn sizes_that_are_no_sizes_are_refused() {
    // GNU tar: "Malformed extended header: invalid size", and it goes on with the header's size. In the header it takes
    // `+5` for base-64.
    for size in ["+5", "-1", "18446744073709551616", "", "0x5", "5 ", "1e3"] {
        let (entry, fault) = refused(&Tarball::new().pax(&[("size", size)]).file("a", "").end());
        assert!(matches!(fault, Fault::Number { field: "size", .. }), "{size}: {fault}");
        assert_eq!(entry.name, b"extension");
    }
    let base_256 = |first: u8, rest: u8| [&[first][..], &[rest; 11]].concat();
    for field in [b"+0000000005".to_vec(), b"-0000000001".to_vec(), base_256(0xff, 0xff), base_256(0x80, 0xff)] {
        let (entry, fault) = refused(&Tarball::new().header(Header::new("a").field(124, &field)).end());
        assert!(matches!(fault, Fault::Number { field: "size", .. }), "{field:?}: {fault}");
        assert_eq!(entry.name, b"a");
    }
}

#[test]
fn a_size_beyond_every_disk_is_refused_before_anything_is_read_or_allocated() {
    let eight_eib = (8u64 << 60).to_string();
    for tar in [
        Tarball::new().pax(&[("size", &eight_eib)]).file("a", ""),
        Tarball::new().pax(&[("size", "18446744073709551615")]).file("a", ""),
        Tarball::new().header(Header::new("a").size(0o77777777777).field(124, [0x80, 0, 0, 0, 0x40])),
    ] {
        let (entry, fault) = refused(&tar.end());
        assert!(matches!(fault, Fault::TooLarge { .. }), "{fault}");
        assert_eq!(entry.name, b"a");
    }
}

#[test]
fn empty_names_and_names_with_nul_are_refused() {
    // GNU tar cuts at the NUL and reads an empty name as the current directory.
    assert_eq!(refused(&Tarball::new().file("", "x").end()).1, Fault::EmptyName);
    assert_eq!(refused(&Tarball::new().long_name("").file("a", "x").end()).1, Fault::EmptyName);
    assert!(matches!(refused(&Tarball::new().pax(&[("path", "")]).file("a", "").end()).1, Fault::Pax(_)));
    assert!(matches!(refused(&Tarball::new().pax(&[("path", "a\0b")]).file("a", "").end()).1, Fault::Pax(_)));
    assert!(matches!(refused(&Tarball::new().long_name("a\0b").file("a", "").end()).1, Fault::Extension(_)));
    let (_, fault) = refused(&Tarball::new().symlink("a", "").end());
    assert_eq!(fault, Fault::LinkTarget("is empty"));
    assert!(matches!(refused(&Tarball::new().pax(&[("linkpath", "a\0b")]).symlink("a", "b").end()).1, Fault::Pax(_)));
}

#[test]
fn names_that_are_not_utf_8_are_kept_byte_for_byte() {
    // GNU tar: the same.
    let name = b"caf\xe9/\xff\x01\n";
    let long = [&name[..], b"-long\0"].concat();
    let records = [b"29 path=".as_slice(), &name[..], b"-pax........\n"].concat();
    let tar = Tarball::new().header(Header::new(name)).extension(b'L', long).file("a", "");
    let contents = accepted(&tar.extension(b'x', records).file("a", "").end());
    let paths: Vec<_> = contents.entries.iter().map(|entry| entry.path.as_bytes()).collect();
    assert_eq!(paths, [&name[..], b"caf\xe9/\xff\x01\n-long", b"caf\xe9/\xff\x01\n-pax........"]);
}

#[test]
fn sparse_files_are_refused() {
    // GNU tar expands them; an 8 EiB hole is a few bytes of map.
    let gnu = Header::new("a").kind(b'S').field(257, "ustar  \0").field(386, "00000000000\x0077777777777\0");
    assert_eq!(refused(&Tarball::new().header(gnu).end()).1, Fault::Sparse);
    for key in ["GNU.sparse.map", "GNU.sparse.major", "GNU.sparse.name", "GNU.sparse.realsize", "SCHILY.realsize"] {
        assert_eq!(refused(&Tarball::new().pax(&[(key, "1")]).file("a", "").end()).1, Fault::Sparse, "{key}");
    }
}

#[test]
fn an_extension_header_of_a_gigabyte_is_refused_unread() {
    for kind in *b"xgLK" {
        let header = Header::new("huge").kind(kind).size(1 << 30);
        let endless = std::io::Cursor::new(Tarball::new().header(header).without_end()).chain(std::io::repeat(b'a'));
        let (entry, fault) = refused_within(endless, &Limits::default());
        assert_eq!(fault, Fault::HeaderTooLong { size: 1 << 30, limit: 1 << 20 });
        assert_eq!(entry.name, b"huge");
    }
    let value = "v".repeat((1 << 20) - 30);
    let tar = Tarball::new().pax(&[("comment", &value)]).file("a", "");
    assert_listing(&tar.end(), &[("/a", "")]);
}

#[test]
fn a_global_header_may_only_comment() {
    // GNU tar applies it to all that follows, Go to nothing. `git archive` writes the commit as a comment.
    let comment = Tarball::new().extension(b'g', pax(&[("comment", "8f3a")])).file("a", "1");
    assert_listing(&comment.end(), &[("/a", "1")]);
    for key in ["path", "size", "uid", "mtime", "SCHILY.xattr.user.a", "GNU.sparse.map", "unknown"] {
        let global = Tarball::new().extension(b'g', pax(&[("comment", "8f3a"), (key, "1")])).file("a", "1");
        assert_eq!(refused(&global.end()).1, Fault::GlobalHeader { key: key.into() });
    }
    let between = Tarball::new().pax(&[("path", "x")]).extension(b'g', pax(&[("comment", "8f3a")])).file("a", "");
    assert!(matches!(refused(&between.end()).1, Fault::Extension(_)));
}

#[test]
fn duplicates_are_kept_with_a_warning() {
    let tar = Tarball::new().file("a", "1").file("./a", "2").directory("a/").directory("d").directory("d/");
    let bytes = tar.end();
    let expected = [("/a", "1"), ("/a", "2"), ("/a", "directory"), ("/d", "directory"), ("/d", "directory")];
    assert_listing(&bytes, &expected);
    assert_eq!(
        accepted(&bytes).warnings,
        [
            "/a is in the archive as a file and later as a file; the later one counts",
            "/a is in the archive as a file and later as a directory; the later one counts",
        ]
    );
}

#[test]
fn a_wrong_checksum_is_refused() {
    // GNU tar: "Skipping to next header", and what it finds there is up to the attacker.
    let tar = Tarball::new().file("a", "1").header(Header::new("b").bad_checksum());
    let (entry, fault) = refused(&tar.end());
    assert_eq!((entry.name.as_slice(), fault), (&b"b"[..], Fault::Checksum));
    let garbage = refused(&[b'x'; 2048]);
    assert_eq!(garbage.1, Fault::Checksum);
}

#[test]
fn types_that_are_not_known_are_refused() {
    // GNU tar: "unknown file type", extracted as a file; D, M, N, V and X mean something only to it, old ones or Solaris.
    for kind in *b"8DMNVXZ9\xff\x01" {
        let (_, fault) = refused(&Tarball::new().header(Header::new("a").kind(kind)).end());
        assert_eq!(fault, Fault::Type(kind));
    }
}

#[test]
fn what_is_no_file_has_no_body() {
    // Go takes the bytes after such a header for the next header, GNU tar skips them for some types.
    for kind in *b"123456" {
        let header = Header::new("a").kind(kind).link("b").size(512);
        let (_, fault) = refused(&Tarball::new().header(header).body([0; 512]).end());
        assert!(matches!(fault, Fault::Body { size: 512, .. }), "{fault}");
    }
}

#[test]
fn every_kind_of_entry_is_read() {
    let device = |kind| Header::new("dev").kind(kind).field(329, "0000010").field(337, "0000377");
    let tar = Tarball::new()
        .directory("./")
        .header(Header::new("v7").kind(0).field(257, [0; 8]))
        .header(Header::new("v7dir/").kind(0).field(257, [0; 8]))
        .header(Header::new("slash/"))
        .header(Header::new("contiguous").kind(b'7').size(2))
        .body("77")
        .hard_link("hard", "/v7")
        .symlink("sym", "../../anywhere")
        .header(device(b'3'))
        .header(device(b'4'))
        .header(Header::new("fifo").kind(b'6'));
    let contents = accepted(&tar.end());
    let names: Vec<_> = contents.entries.iter().map(|entry| (entry.path.to_string(), entry.kind.name())).collect();
    let names: Vec<_> = names.iter().map(|(path, kind)| (path.as_str(), *kind)).collect();
    assert_eq!(
        names,
        [
            ("/", "directory"),
            ("/v7", "file"),
            ("/v7dir", "directory"),
            ("/slash", "directory"),
            ("/contiguous", "file"),
            ("/hard", "hard link"),
            ("/sym", "symbolic link"),
            ("/dev", "character device"),
            ("/dev", "block device"),
            ("/fifo", "FIFO"),
        ]
    );
    assert_eq!(contents.entries[7].kind, Kind::CharDevice { major: 8, minor: 255 });
    let no_numbers = Header::new("dev").kind(b'3').field(257, [0; 8]);
    assert!(matches!(refused(&Tarball::new().header(no_numbers).end()).1, Fault::Number { .. }));
}

#[test]
fn names_that_lead_out_and_roots_that_are_not_directories_are_refused() {
    for name in ["../x", "a/../../x", "a/..", "/..", ".."] {
        assert!(matches!(refused(&Tarball::new().file(name, "").end()).1, Fault::Path(_)), "{name}");
        assert!(matches!(refused(&Tarball::new().hard_link("a", name).end()).1, Fault::HardLinkTarget(_)), "{name}");
    }
    for name in [".", "/.", "/", "./"] {
        assert!(matches!(refused(&Tarball::new().symlink(name, "/etc").end()).1, Fault::Root { .. }), "{name}");
    }
    assert!(matches!(refused(&Tarball::new().file(".", "").end()).1, Fault::Root { .. }));
    assert_listing(&Tarball::new().file("/abs", "1").file("././/rel", "2").end(), &[("/abs", "1"), ("/rel", "2")]);
    assert_eq!(refused(&Tarball::new().hard_link("a/b", "./a//b").end()).1, Fault::SelfLink);
    assert!(matches!(refused(&Tarball::new().hard_link("a", "/").end()).1, Fault::LinkTarget(_)));
}

#[test]
fn owners_and_times_never_wrap() {
    let read_one = |tar: Tarball| accepted(&tar.end()).entries[0].metadata.clone();
    let metadata = read_one(Tarball::new().pax(&[("uid", "4294967294"), ("gid", "70000")]).file("a", ""));
    assert_eq!((metadata.uid, metadata.gid), (4_294_967_294, 70_000));
    for (key, value) in [("uid", "4294967295"), ("gid", "4294967296"), ("uid", "-1"), ("mtime", "9223372036854775808")]
    {
        let (_, fault) = refused(&Tarball::new().pax(&[(key, value)]).file("a", "").end());
        assert!(matches!(fault, Fault::Number { field, .. } if field == key), "{fault}");
    }
    for (value, seconds) in [("-1.5", -2), ("1700000000.999", 1_700_000_000), ("-9223372036854775808", i64::MIN)] {
        assert_eq!(read_one(Tarball::new().pax(&[("mtime", value)]).file("a", "")).mtime, seconds);
    }
    let field = |at: usize, bytes: &[u8]| Tarball::new().header(Header::new("a").field(at, bytes));
    assert_eq!(read_one(field(136, &[0xff; 12])).mtime, -1);
    assert!(matches!(refused(&field(136, &[0x80, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]).end()).1, Fault::Number { .. }));
    assert!(matches!(refused(&field(108, &[0xff; 8]).end()).1, Fault::Number { field: "uid", .. }));
    assert!(matches!(refused(&field(108, &[0x80, 0, 0, 1, 0, 0, 0, 0]).end()).1, Fault::Number { field: "uid", .. }));
    assert_eq!(read_one(field(100, b"0104755")).mode, 0o4755);
}

#[test]
fn attributes_of_overlayfs_never_get_in() {
    let records = [
        ("SCHILY.xattr.user.overlay.whiteout", "y"),
        ("SCHILY.xattr.trusted.overlay.opaque", "y"),
        ("LIBARCHIVE.xattr.trusted.overlay.redirect", "eQ"),
        ("SCHILY.xattr.security.capability", "cap"),
        ("LIBARCHIVE.xattr.user.note", "aGVsbG8"),
    ];
    let contents = accepted(&Tarball::new().pax(&records).file("a", "").end());
    let xattrs: Vec<_> = contents.entries[0].metadata.xattrs.iter().collect();
    let expected = [("security.capability".to_owned(), b"cap".to_vec()), ("user.note".to_owned(), b"hello".to_vec())];
    assert_eq!(xattrs, expected.iter().map(|(name, value)| (name, value)).collect::<Vec<_>>());
    assert_eq!(contents.warnings.len(), 3);
    for key in ["SCHILY.xattr.", "SCHILY.xattr.user.\0", "LIBARCHIVE.xattr.%zz"] {
        assert!(matches!(refused(&Tarball::new().pax(&[(key, "")]).file("a", "").end()).1, Fault::Xattr(_)), "{key}");
    }
}

#[test]
fn without_a_spool_contents_are_places_in_the_stream() {
    let bytes = Tarball::new().file("a", "first").file("empty", "").pax(&[("path", "b")]).file("x", "second").end();
    let contents = read_tar(&bytes[..], &Limits::default(), None).unwrap();
    let mut found = Vec::new();
    for entry in &contents.entries {
        let Kind::File { content: Content { size, digest, origin } } = &entry.kind else { continue };
        let Origin::Layer { diff_id, offset } = origin else { continue };
        assert_eq!(diff_id.0, Digest::of(&bytes));
        let body = &bytes[*offset as usize..][..*size as usize];
        assert_eq!(*digest, Digest::of(body));
        found.push(body);
    }
    assert_eq!(found, [&b"first"[..], b"second"]);
}

#[test]
fn errors_name_the_entry_in_plain_words() {
    let error = read(&Tarball::new().file("fine", "").file("a/../../etc/passwd", "").end()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "entry `a/../../etc/passwd` at byte 512: path `a/../../etc/passwd` has a `..` component"
    );
    let error = read(&Tarball::new().header(Header::new("\x1b[31m\u{e9}").kind(b'S')).end()).unwrap_err();
    assert_eq!(error.to_string(), "entry `\\x1b[31m\\xc3\\xa9` at byte 0: sparse files are not supported");
}

#[test]
fn archives_of_gnu_tar_are_read_as_gnu_tar_reads_them() {
    let Ok(version) = Command::new("tar").arg("--version").output() else { return };
    if !String::from_utf8_lossy(&version.stdout).contains("GNU tar") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let long = ["long-name-"; 7].concat();
    std::fs::create_dir_all(root.join(&long).join(&long)).unwrap();
    for (name, content) in [("empty", ""), ("small", "content"), ("caf\u{e9} and spaces", "x")] {
        std::fs::write(root.join(name), content).unwrap();
        std::fs::write(root.join(&long).join(&long).join(name), content).unwrap();
    }
    std::fs::hard_link(root.join("small"), root.join("zz-hard")).unwrap();
    let up = "../".repeat(50);
    std::os::unix::fs::symlink(&up, root.join("symlink")).unwrap();
    for format in ["v7", "ustar", "oldgnu", "gnu", "pax"] {
        let mut tar = Command::new("tar");
        tar.args(["--sort=name", "--mtime=@1700000000.5", "--format", format, "-cf", "-", "-C"]);
        let output = tar.arg(root).args(["small", "empty", "caf\u{e9} and spaces", "zz-hard"]).output().unwrap();
        let archive = match format {
            // No place for long names.
            "v7" => output.stdout,
            _ => {
                Command::new("tar")
                    .args(["--sort=name", "--mtime=@1700000000.5", "--format", format, "-cf", "-", "-C"])
                    .arg(root)
                    .arg(".")
                    .output()
                    .unwrap()
                    .stdout
            }
        };
        let contents = accepted(&archive);
        assert!(contents.warnings.is_empty(), "{format}: {:?}", contents.warnings);
        assert_eq!(contents.entries.len(), if format == "v7" { 4 } else { 11 }, "{format}");
        for entry in &contents.entries {
            assert_eq!(entry.metadata.mtime, 1_700_000_000, "{format}: {}", entry.path);
            let path = root.join(String::from_utf8(entry.path.as_bytes().to_vec()).unwrap());
            match &entry.kind {
                Kind::File { content } => assert_eq!(content.read_all(100).unwrap(), std::fs::read(path).unwrap()),
                // GNU tar cuts what ustar has no place for, and says so.
                Kind::Symlink { target } if format == "ustar" => assert_eq!(**target, up.as_bytes()[..100]),
                Kind::Symlink { target } => assert_eq!(**target, *up.as_bytes()),
                Kind::HardLink { target } => assert_eq!(target.to_string(), "/small"),
                other => assert_eq!(path.is_dir(), other.is_directory()),
            }
        }
    }
}

proptest! {
    /// What the tar crate writes is what we read.
    #[test]
    fn archives_of_the_tar_crate_are_read_back(
        files in proptest::collection::vec(("[a-z]{1,8}(/[a-z\u{e9}]{1,120}){0,3}", any::<Vec<u8>>(), 0u32..0o10000), 0..8),
    ) {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content, mode) in &files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(*mode);
            builder.append_data(&mut header, path, &content[..]).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let contents = read(&bytes).unwrap();
        prop_assert_eq!(contents.entries.len(), files.len());
        for (entry, (path, content, mode)) in contents.entries.iter().zip(&files) {
            prop_assert_eq!(entry.path.as_bytes(), path.as_bytes());
            prop_assert_eq!(entry.metadata.mode, *mode);
            let Kind::File { content: read } = &entry.kind else { panic!("{entry:?}") };
            prop_assert_eq!(&read.read_all(1 << 20).unwrap(), content);
        }
    }
}
