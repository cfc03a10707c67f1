//! The header of an entry: one ustar block, and before it, where a field does not fit, a PAX extended header.

use std::collections::BTreeMap;

use super::error::EncodeError;
use super::ustar::{BLOCK, DEVMAJOR, DEVMINOR, Field, GID, LINKNAME, MODE, MTIME, NAME, PREFIX, SIZE, UID, Ustar};
use crate::entry::{Entry, Kind};
use crate::path::ImagePath;

/// The longest PAX extended header in bytes: readers, ours among them, refuse longer ones.
const MAX_PAX: usize = 1 << 20;

/// The bytes of `entry` in the tar stream before its content: a multiple of [`BLOCK`].
pub(super) fn header(entry: &Entry) -> Result<Vec<u8>, EncodeError> {
    let unwritable = |reason: String| EncodeError::Unwritable { path: entry.path.clone(), reason };
    let metadata = &entry.metadata;
    let mut block = Ustar::new(typeflag(&entry.kind));
    let mut pax = Pax::default();

    name(&mut block, &mut pax, entry).map_err(unwritable)?;
    if metadata.mode > 0o7777 || !block.number(MODE, metadata.mode.into()) {
        return Err(unwritable(format!("its mode 0o{:o} has more than permission bits", metadata.mode)));
    }
    number(&mut block, &mut pax, UID, "uid", metadata.uid.into());
    number(&mut block, &mut pax, GID, "gid", metadata.gid.into());
    number(&mut block, &mut pax, MTIME, "mtime", metadata.mtime.into());
    match &entry.kind {
        Kind::File { content } => number(&mut block, &mut pax, SIZE, "size", content.size.into()),
        Kind::Symlink { target } => {
            check_link_text(target).map_err(unwritable)?;
            link(&mut block, &mut pax, target);
        }
        Kind::HardLink { target } => link(&mut block, &mut pax, target.as_bytes()),
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            if !block.number(DEVMAJOR, (*major).into()) || !block.number(DEVMINOR, (*minor).into()) {
                return Err(unwritable(format!("its device number {major}:{minor} has more than seven octal digits")));
            }
        }
        Kind::Directory | Kind::Fifo => {}
    }
    for (attribute, value) in metadata.xattrs.iter().filter(|(attribute, _)| is_kept(attribute)) {
        if attribute.contains(['=', '\0']) {
            return Err(unwritable(format!("PAX cannot name its extended attribute `{}`", attribute.escape_default())));
        }
        pax.insert(&format!("SCHILY.xattr.{attribute}"), value.clone());
    }

    let mut bytes = pax.into_bytes();
    if bytes.len() > MAX_PAX {
        return Err(unwritable("its extended attributes are larger than 1 MiB".into()));
    }
    bytes.extend_from_slice(&block.finish());
    Ok(bytes)
}

/// Number of zero bytes after a content of `size` bytes.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// True for the extended attributes that encoding v1 keeps: file capabilities, and what users set. `user.overlay.*`
/// is an overlay file system's own record, and would come alive on another one.
fn is_kept(attribute: &str) -> bool {
    attribute == "security.capability" || attribute.starts_with("user.") && !attribute.starts_with("user.overlay.")
}

fn typeflag(kind: &Kind) -> u8 {
    match kind {
        Kind::File { .. } => b'0',
        Kind::HardLink { .. } => b'1',
        Kind::Symlink { .. } => b'2',
        Kind::CharDevice { .. } => b'3',
        Kind::BlockDevice { .. } => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

fn name(block: &mut Ustar, pax: &mut Pax, entry: &Entry) -> Result<(), String> {
    let mut name = entry.path.as_bytes().to_vec();
    if entry.path.is_root() {
        if !entry.kind.is_directory() {
            return Err(format!("the root is not a directory but a {}", entry.kind.name()));
        }
        name.push(b'.');
    }
    if entry.kind.is_directory() {
        name.push(b'/');
    }
    match split(&name) {
        Some((prefix, rest)) => {
            block.text(PREFIX, prefix);
            block.text(NAME, rest);
        }
        None => {
            // For readers without PAX. A slash at the end would make a directory of it.
            let start = &name[..NAME.len()];
            let end = start.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
            block.text(NAME, &start[..end]);
            pax.insert("path", name);
        }
    }
    Ok(())
}

/// The prefix and name fields for `name`: no prefix if it fits without, else split at the last slash at which both
/// fit. `None` if there is no such slash.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME.len() {
        return Some((b"", name));
    }
    let body = &name[..name.len() - 1];
    let slash = body.iter().take(PREFIX.len() + 1).rposition(|&byte| byte == b'/')?;
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    (rest.len() <= NAME.len()).then_some((prefix, rest))
}

fn check_link_text(target: &[u8]) -> Result<(), String> {
    match target.len() {
        0 => Err("its link text is empty".into()),
        len if len > ImagePath::MAX_LEN => Err(format!("its link text is longer than {} bytes", ImagePath::MAX_LEN)),
        _ if target.contains(&0) => Err("its link text has a NUL byte".into()),
        _ => Ok(()),
    }
}

fn link(block: &mut Ustar, pax: &mut Pax, target: &[u8]) {
    block.text(LINKNAME, target);
    if target.len() > LINKNAME.len() {
        pax.insert("linkpath", target.to_vec());
    }
}

/// Writes a number into its field, or as a PAX record where it is negative or too large; the field then stays 0.
fn number(block: &mut Ustar, pax: &mut Pax, field: Field, key: &str, value: i128) {
    if !u64::try_from(value).is_ok_and(|value| block.number(field, value)) {
        pax.insert(key, value.to_string().into_bytes());
    }
}

/// The records of a PAX extended header by key: POSIX.1-2024, `pax`, "pax Extended Header".
#[derive(Default)]
struct Pax(BTreeMap<Vec<u8>, Vec<u8>>);

impl Pax {
    fn insert(&mut self, key: &str, value: Vec<u8>) {
        self.0.insert(key.as_bytes().to_vec(), value);
    }

    /// The header entry of type `x` and its records, padded; nothing if there are no records.
    fn into_bytes(self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut records = Vec::new();
        for (key, value) in &self.0 {
            records.extend_from_slice(format!("{} ", record_len(key.len() + value.len() + 3)).as_bytes());
            for part in [key.as_slice(), b"=", value, b"\n"] {
                records.extend_from_slice(part);
            }
        }
        let mut block = Ustar::new(b'x');
        block.text(NAME, b"PaxHeader");
        assert!(block.number(MODE, 0o644) && block.number(SIZE, records.len() as u64), "11 octal digits hold any Vec");
        let mut bytes = block.finish().to_vec();
        bytes.append(&mut records);
        bytes.resize(bytes.len() + padding(bytes.len() as u64) as usize, 0);
        bytes
    }
}

/// The length of a PAX record that has `rest` bytes besides the digits of its length: the smallest that counts
/// itself in.
fn record_len(rest: usize) -> usize {
    (1..).map(|digits| rest + digits).find(|len| len.to_string().len() == len - rest).expect("lengths outgrow digits")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::entry::{Content, Metadata};

    fn entry(path: impl AsRef<[u8]>, kind: Kind) -> Entry {
        Entry { path: ImagePath::parse(path).unwrap(), metadata: Metadata::root_owned(0o644, 0), kind }
    }

    fn file(path: impl AsRef<[u8]>) -> Entry {
        entry(path, Kind::File { content: Content::inline(*b"") })
    }

    fn reason(entry: &Entry) -> String {
        header(entry).unwrap_err().to_string()
    }

    #[test]
    fn every_field_of_a_plain_header() {
        let mut entry = file("etc/motd");
        entry.metadata =
            Metadata { mode: 0o4755, uid: 1000, gid: 0o7777777, mtime: 1_700_000_000, xattrs: BTreeMap::new() };
        let mut expected = [0; 512];
        let mut put = |offset: usize, bytes: &[u8]| expected[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(0, b"etc/motd");
        put(100, b"0004755\x000001750\x007777777\x0000000000000\x0014524770400\0");
        put(148, b"011003\0 0");
        put(257, b"ustar\x0000");
        put(329, b"0000000\x000000000\0");
        let bytes = header(&entry).unwrap();
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(text(&bytes), text(&expected));
    }

    #[test]
    fn names_are_split_at_the_last_slash_at_which_both_parts_fit() {
        let name = |lens: &[usize]| lens.iter().map(|&len| "n".repeat(len)).collect::<Vec<_>>().join("/").into_bytes();
        let lens = |name: &[u8]| split(name).map(|(prefix, rest)| (prefix.len(), rest.len()));
        assert_eq!(lens(&name(&[100])), Some((0, 100)));
        assert_eq!(lens(&name(&[101])), None);
        assert_eq!(lens(&name(&[50, 60, 60])), Some((111, 60)));
        assert_eq!(lens(&name(&[155, 100])), Some((155, 100)));
        assert_eq!(lens(&name(&[156, 50])), None);
        assert_eq!(lens(&name(&[10, 50, 101])), None);
        // A directory's own slash is no place to split at.
        assert_eq!(lens(&[name(&[150]), b"/".to_vec()].concat()), None);
    }

    #[test]
    fn the_length_of_a_record_counts_itself() {
        for (rest, len) in [(3, 4), (8, 9), (9, 11), (97, 99), (98, 101), (996, 999), (997, 1001)] {
            assert_eq!(record_len(rest), len, "{rest}");
        }
    }

    #[test]
    fn records_are_sorted_and_only_for_what_does_not_fit() {
        let mut entry = entry(vec![b'd'; 101], Kind::Directory);
        entry.metadata.uid = 1 << 21;
        entry.metadata.mtime = -1;
        for attribute in ["user.b", "user.overlay.opaque", "security.selinux", "security.capability", "trusted.x"] {
            entry.metadata.xattrs.insert(attribute.into(), b"\0\n".to_vec());
        }
        let bytes = header(&entry).unwrap();
        assert_eq!(bytes.len(), 3 * BLOCK);
        let expected = format!(
            "39 SCHILY.xattr.security.capability=\0\n\n26 SCHILY.xattr.user.b=\0\n\n12 mtime=-1\n112 path={}/\n15 uid=2097152\n",
            "d".repeat(101)
        );
        let records = &bytes[BLOCK..2 * BLOCK];
        assert_eq!(
            records[..expected.len()].escape_ascii().to_string(),
            expected.as_bytes().escape_ascii().to_string()
        );
        assert!(records[expected.len()..].iter().all(|&byte| byte == 0));
        assert_eq!(&bytes[2 * BLOCK..][NAME], [b'd'; 100]);
    }

    #[test]
    fn a_size_beyond_eleven_octal_digits_is_a_record() {
        let sized = |size: u64| {
            let content = Content { size, ..Content::inline(*b"") };
            header(&entry("disk", Kind::File { content })).unwrap()
        };
        assert_eq!(&sized((1 << 33) - 1)[SIZE], b"77777777777\0");
        let bytes = sized(1 << 33);
        assert!(bytes[BLOCK..].starts_with(b"19 size=8589934592\n\0"), "{}", bytes[BLOCK..].escape_ascii());
        assert_eq!(&bytes[2 * BLOCK..][SIZE], b"00000000000\0");
    }

    #[test]
    fn a_cut_name_does_not_end_in_a_slash() {
        let name = [vec![b'a'; 99], b"/".to_vec(), vec![b'b'; 200]].concat();
        let bytes = header(&file(name)).unwrap();
        assert_eq!(&bytes[bytes.len() - BLOCK..][NAME], [vec![b'a'; 99], vec![0]].concat());
    }

    #[test]
    fn what_a_tar_cannot_hold_is_an_error_that_names_the_entry() {
        assert!(reason(&file("")).contains("the root is not a directory"));
        let mut wide = file("wide");
        wide.metadata.mode = 0o100644;
        assert!(reason(&wide).contains("`/wide` cannot be written to a layer: its mode 0o100644"));
        assert!(reason(&entry("dev", Kind::CharDevice { major: 1 << 21, minor: 0 })).contains("device number"));
        for target in [vec![], vec![b'x'; 4097], b"a\0".to_vec()] {
            assert!(reason(&entry("link", Kind::Symlink { target: Arc::from(target) })).contains("link text"));
        }
        let mut odd = file("odd");
        odd.metadata.xattrs.insert("user.a=b".into(), vec![]);
        assert!(reason(&odd).contains("user.a=b"));
        let mut heavy = file("heavy");
        heavy.metadata.xattrs.insert("user.a".into(), vec![0; 1 << 20]);
        assert!(reason(&heavy).contains("1 MiB"));
    }
}
