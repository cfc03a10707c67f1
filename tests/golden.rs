//! Golden digests: encoding v1 must give these bytes for ever.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use ocify::archive::write::{EncodedLayer, Encoding, encode};
use ocify::entry::{Content, Entry, Kind, Metadata};
use ocify::format::Compression;
use ocify::path::ImagePath;

const COMPRESSIONS: [(&str, Compression); 3] =
    [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];

#[test]
fn layers_have_their_golden_digests() {
    let mut actual = String::from("# layer, compression, diff ID, digest, size, chunks\n");
    for (name, entries) in layers() {
        for (word, compression) in COMPRESSIONS {
            let (layer, _) = written(&entries, compression);
            let EncodedLayer { diff_id, digest, size, chunks, .. } = layer;
            writeln!(actual, "{name} {word} {diff_id} {digest} {size} {}", chunks.len()).unwrap();
        }
    }
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/encoding-v1.txt");
    if std::env::var_os("OCIFY_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&file, &actual).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap();
    let moved = what_moved(&golden, &actual);
    assert!(
        moved.is_empty(),
        "{moved}Encoding v1 is frozen: a release of ocify never changes a digest. Find what changed the bytes and \
         take it back. Only a layer that is new in this test, or a new version of the encoding, is recorded with \
         OCIFY_BLESS=1."
    );
}

#[test]
fn an_independent_reader_finds_what_was_written() {
    for (name, entries) in layers() {
        for (word, compression) in COMPRESSIONS {
            let (layer, bytes) = written(&entries, compression);
            let tar = unpacked(compression, &bytes);
            assert_eq!(tar.len() as u64, layer.uncompressed_size, "{name} {word}");
            let mut archive = tar::Archive::new(tar.as_slice());
            let mut read = archive.entries().unwrap();
            for entry in &entries {
                let mut found = read.next().expect("the archive has every entry").unwrap();
                assert_same(entry, &mut found);
            }
            assert!(read.next().is_none(), "{name} {word} has further entries");
            assert!(tar.ends_with(&[0; 1024]));
        }
    }
}

/// Both texts line by line; empty if they are the same.
fn what_moved(golden: &str, actual: &str) -> String {
    let lines = |text: &str| -> BTreeMap<String, Vec<String>> {
        let fields = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').map(str::to_owned));
        fields
            .map(|mut field| (format!("{} {}", field.next().unwrap(), field.next().unwrap()), field.collect()))
            .collect()
    };
    let (golden, actual) = (lines(golden), lines(actual));
    let mut report = String::new();
    for (layer, is) in &actual {
        let what = match golden.get(layer) {
            None => "has no golden digest",
            Some(was) if was == is => continue,
            Some(was) if was[0] != is[0] => "has another tar stream: a header, a content or their order moved",
            Some(was) if was[3] != is[3] => "has the same tar stream cut into other chunks",
            Some(_) => "has the same tar stream and other compressed bytes: a compressor or its parameters moved",
        };
        writeln!(report, "layer `{layer}` {what}\n  was {:?}\n  is  {is:?}", golden.get(layer)).unwrap();
    }
    for layer in golden.keys().filter(|layer| !actual.contains_key(*layer)) {
        writeln!(report, "layer `{layer}` is no longer tested").unwrap();
    }
    report
}

fn written(entries: &[Entry], compression: Compression) -> (EncodedLayer, Vec<u8>) {
    let mut bytes = Vec::new();
    let layer = encode(entries, &Encoding { compression }, &mut bytes).unwrap();
    (layer, bytes)
}

fn unpacked(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    match compression {
        Compression::Gzip => flate2::bufread::MultiGzDecoder::new(bytes).read_to_end(&mut tar).unwrap(),
        Compression::Zstd => zstd::Decoder::with_buffer(bytes).unwrap().read_to_end(&mut tar).unwrap(),
        Compression::None => { bytes }.read_to_end(&mut tar).unwrap(),
    };
    tar
}

/// Holds an entry of the tar crate, with the PAX records that it leaves to its callers, against ours.
fn assert_same(entry: &Entry, found: &mut tar::Entry<'_, &[u8]>) {
    let pax: BTreeMap<String, Vec<u8>> = match found.pax_extensions().unwrap() {
        None => BTreeMap::new(),
        Some(records) => records
            .map(|record| record.unwrap())
            .map(|r| (r.key().unwrap().to_owned(), r.value_bytes().to_vec()))
            .collect(),
    };
    let number = |key: &str, field: i64| -> i64 {
        pax.get(key).map_or(field, |value| str::from_utf8(value).unwrap().parse().unwrap())
    };
    let path = &entry.path;
    let header = found.header().clone();
    let slash = if entry.kind.is_directory() { "/" } else { "" };
    let name = if path.is_root() { b"." } else { path.as_bytes() };
    assert_eq!(*found.path_bytes(), [name, slash.as_bytes()].concat(), "{path}");
    assert_eq!(header.mode().unwrap(), entry.metadata.mode, "{path}");
    assert_eq!(number("uid", header.uid().unwrap() as i64), i64::from(entry.metadata.uid), "{path}");
    assert_eq!(number("gid", header.gid().unwrap() as i64), i64::from(entry.metadata.gid), "{path}");
    assert_eq!(number("mtime", header.mtime().unwrap() as i64), entry.metadata.mtime, "{path}");
    assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])), "{path}");

    let xattrs: BTreeMap<&str, &[u8]> =
        pax.iter().filter_map(|(key, value)| Some((key.strip_prefix("SCHILY.xattr.")?, value.as_slice()))).collect();
    let mut kept: BTreeMap<&str, &[u8]> =
        entry.metadata.xattrs.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    kept.retain(|name, _| *name == "security.capability" || name.starts_with("user.v"));
    assert_eq!(xattrs, kept, "{path}");

    let devices = (header.device_major().unwrap(), header.device_minor().unwrap());
    let (typeflag, link, device) = match &entry.kind {
        Kind::File { .. } => (b'0', None, (0, 0)),
        Kind::HardLink { target } => (b'1', Some(target.as_bytes()), (0, 0)),
        Kind::Symlink { target } => (b'2', Some(&target[..]), (0, 0)),
        Kind::CharDevice { major, minor } => (b'3', None, (*major, *minor)),
        Kind::BlockDevice { major, minor } => (b'4', None, (*major, *minor)),
        Kind::Directory => (b'5', None, (0, 0)),
        Kind::Fifo => (b'6', None, (0, 0)),
    };
    assert_eq!(header.entry_type().as_byte(), typeflag, "{path}");
    assert_eq!(found.link_name_bytes().as_deref(), link, "{path}");
    assert_eq!(devices, (Some(device.0), Some(device.1)), "{path}");

    let mut bytes = Vec::new();
    found.read_to_end(&mut bytes).unwrap();
    match &entry.kind {
        Kind::File { content } => assert!(bytes == content.read_all(u64::MAX).unwrap(), "{path}"),
        _ => assert!(bytes.is_empty(), "{path}"),
    }
}

/// The layers whose digests are recorded: each feature of the format at and beside its limits.
fn layers() -> Vec<(&'static str, Vec<Entry>)> {
    let layers = vec![
        ("empty", vec![]),
        ("root", vec![directory("").mode(0o1777)]),
        ("small", small()),
        ("names", names()),
        ("links", links()),
        ("numbers", numbers()),
        ("attributes", attributes()),
        ("devices", devices()),
        ("whiteouts", vec![directory("etc"), file("etc/.wh..wh..opq", ""), file("etc/.wh.passwd", "")]),
        ("many", many()),
        ("large", large()),
    ];
    let sorted = |mut entries: Vec<Entry>| {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    };
    layers.into_iter().map(|(name, entries)| (name, sorted(entries))).collect()
}

/// Contents around a block, modes with every bit.
fn small() -> Vec<Entry> {
    let sized = [0, 1, 511, 512, 513].map(|len| file(format!("size-{len}"), vec![b'x'; len]));
    let modes = [0, 0o644, 0o755, 0o4755, 0o2755, 0o7777].map(|mode| file(format!("mode-{mode:o}"), "").mode(mode));
    let directories = [0o755, 0o1777, 0o2775].map(|mode| directory(format!("dir-{mode:o}")).mode(mode));
    sized.into_iter().chain(modes).chain(directories).collect()
}

/// Names that fit, that are split, and that need a PAX record, of files and directories; names that are no UTF-8.
fn names() -> Vec<Entry> {
    let long = |parts: &[usize]| parts.iter().map(|&len| "n".repeat(len)).collect::<Vec<_>>().join("/");
    let names = [
        long(&[99]),
        long(&[100]),
        long(&[101]),
        long(&[40, 58]),
        long(&[40, 59]),
        long(&[40, 60]),
        long(&[155, 99]),
        long(&[155, 100]),
        long(&[155, 101]),
        long(&[156, 10]),
        long(&[100, 54, 99]),
        long(&[255, 255, 255]),
        "grüße.txt".to_owned(),
        "a name with = and\nnewline".to_owned(),
    ];
    let files = names.iter().map(|name| file(name, "text"));
    let directories = names.iter().map(|name| directory(format!("d{}", &name[1..])));
    let raw = [b"latin-\xe9".to_vec(), [vec![0xff; 120], b"/".to_vec(), vec![0xfe; 120]].concat()];
    files.chain(directories).chain(raw.iter().map(|name| file(name, "text"))).collect()
}

/// Links with short, long and odd targets, and a hard link to a symbolic link.
fn links() -> Vec<Entry> {
    let long = "t".repeat(60);
    let target = format!("target/{long}/{long}");
    vec![
        symlink("absolute", "/etc/motd"),
        symlink("dangling", "../../../outside"),
        symlink("fits", "l".repeat(100)),
        symlink("long", "l".repeat(101)),
        symlink("slashes", "/".repeat(120)),
        symlink("raw", b"\xff\xfe/x"),
        symlink("utf-8", "straße"),
        file("motd", "hello\n").mode(0o600).owner(1, 2),
        entry("motd-again", Kind::HardLink { target: path("motd") }).mode(0o600).owner(1, 2),
        entry("raw-again", Kind::HardLink { target: path("raw") }).mode(0o777),
        file(&target, "far"),
        entry("target/zz", Kind::HardLink { target: path(&target) }),
    ]
}

/// Owners and times at and beside what a field holds.
fn numbers() -> Vec<Entry> {
    let ids = [1000, 0o7777777, 0o10000000, u32::MAX];
    let owners = ids.map(|id| file(format!("uid-{id}"), "").owner(id, 0));
    let groups = ids.map(|id| file(format!("gid-{id}"), "").owner(0, id));
    let times = [1, 1_700_000_000, 0o77777777777, 0o100000000000, -1, i64::MIN, i64::MAX];
    let times = times.map(|time| file(format!("mtime-{time}"), "").mtime(time));
    owners.into_iter().chain(groups).chain(times).collect()
}

/// Extended attributes of every kind of entry; those outside the allow-list are dropped.
fn attributes() -> Vec<Entry> {
    let capability = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    vec![
        directory("dir").xattr("user.v", b"dir").xattr("trusted.overlay.opaque", b"y"),
        file("ping", "elf").mode(0o755).xattr("security.capability", capability),
        entry("ping-again", Kind::HardLink { target: path("ping") })
            .mode(0o755)
            .xattr("security.capability", capability),
        file("values", "")
            .xattr("user.v.empty", b"")
            // No newline, though a value may have one: the tar crate ends a record there.
            .xattr("user.v.binary", &[0, b'=', 0xff])
            .xattr("user.v.long", &[b'v'; 5000])
            .xattr("user.v.größe", b"1"),
        file("dropped", "")
            .xattr("security.selinux", b"label")
            .xattr("system.posix_acl_access", b"acl")
            .xattr("user.overlay.opaque", b"y")
            .xattr("user.overlay.metacopy", b""),
    ]
}

fn devices() -> Vec<Entry> {
    vec![
        entry("null", Kind::CharDevice { major: 1, minor: 3 }).mode(0o666),
        entry("far", Kind::CharDevice { major: 4095, minor: 1_048_575 }),
        entry("sda", Kind::BlockDevice { major: 8, minor: 0 }).mode(0o660).owner(0, 6),
        entry("whiteout", Kind::CharDevice { major: 0, minor: 0 }),
        entry("pipe", Kind::Fifo),
    ]
}

/// 8 MiB of small files in several chunks: text, and every fifth not compressible.
fn many() -> Vec<Entry> {
    let content = |n: u64| if n.is_multiple_of(5) { noise(n, 3000) } else { text(n, 1000 + n as usize * 7) };
    let files = (1..1500).map(|n| file(format!("d{}/f{n:04}", n % 7), content(n)));
    files.chain((0..7).map(|n| directory(format!("d{n}")))).collect()
}

/// Files that are cut inside: text, noise, zeros, and one that begins with text and goes on with noise.
fn large() -> Vec<Entry> {
    vec![
        file("a-text", text(1, 9_000_000)),
        file("b-between", "short"),
        file("c-noise", noise(2, 5_000_001)),
        file("d-zeros", vec![0; 3 << 20]),
        file("e-zeros", vec![0; (3 << 20) + 1]),
        file("f-mixed", [text(3, 4_000_000), noise(4, 3_000_000)].concat()),
    ]
}

/// Bytes without pattern: an xorshift generator.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Words in lines.
fn text(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "layer ",
        "digest ",
        "the ",
        "of ",
        "manifest\n",
        "config ",
        "a ",
        "chunk\n",
        "image ",
        "index ",
        "and ",
        "entry: ",
        "{ ",
        "} ",
        "root/",
        "0x7f ",
    ];
    let mut bytes = Vec::with_capacity(len + 16);
    for byte in noise(seed, len) {
        if bytes.len() >= len {
            break;
        }
        bytes.extend_from_slice(WORDS[usize::from(byte & 15)].as_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn path(path: impl AsRef<[u8]>) -> ImagePath {
    ImagePath::parse(path).unwrap()
}

fn entry(name: impl AsRef<[u8]>, kind: Kind) -> Entry {
    Entry { path: path(name), metadata: Metadata::root_owned(0o644, 0), kind }
}

fn file(name: impl AsRef<[u8]>, bytes: impl Into<Vec<u8>>) -> Entry {
    entry(name, Kind::File { content: Content::inline(bytes.into()) })
}

fn directory(name: impl AsRef<[u8]>) -> Entry {
    entry(name, Kind::Directory).mode(0o755)
}

fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Entry {
    entry(name, Kind::Symlink { target: Arc::from(target.as_ref()) }).mode(0o777)
}

/// Changes to an entry, so that a list of them reads as one.
trait With {
    fn mode(self, mode: u32) -> Self;
    fn owner(self, uid: u32, gid: u32) -> Self;
    fn mtime(self, mtime: i64) -> Self;
    fn xattr(self, name: &str, value: &[u8]) -> Self;
}

impl With for Entry {
    fn mode(mut self, mode: u32) -> Self {
        self.metadata.mode = mode;
        self
    }

    fn owner(mut self, uid: u32, gid: u32) -> Self {
        (self.metadata.uid, self.metadata.gid) = (uid, gid);
        self
    }

    fn mtime(mut self, mtime: i64) -> Self {
        self.metadata.mtime = mtime;
        self
    }

    fn xattr(mut self, name: &str, value: &[u8]) -> Self {
        self.metadata.xattrs.insert(name.into(), value.into());
        self
    }
}
