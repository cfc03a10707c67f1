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
    if metadata.mode > 0o7777 {
        return Err(unwritable(format!("its mode 0o{:o} has more than permission bits", metadata.mode)));
    }
    let mut fits = block.number(MODE, metadata.mode.into());
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
            fits &= block.number(DEVMAJOR, (*major).into()) && block.number(DEVMINOR, (*minor).into());
        }
        Kind::Directory | Kind::Fifo => {}
    }
    if !fits {
        return Err(unwritable("its device number has more than seven octal digits".into()));
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
