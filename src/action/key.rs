//! Keys of actions: what decides a result, and nothing else.
//!
//! A [`CacheKey`] is the SHA-256 of a preimage in canonical JSON. The preimage is stored beside the result, so a miss
//! explains itself by the fields in which two preimages differ.
//!
//! Of an `Encode` action, which makes a layer's bytes out of the list of its entries:
//!
//! | input | in the preimage as |
//! |---|---|
//! | this table's version | `version` |
//! | encoding of the bytes, and so the encoders' versions | `encoding` |
//! | compression | `compression` |
//! | of each entry: path, mode, owner, time, extended attributes, kind, link target, device numbers | `entries` |
//! | of each file: size and SHA-256 of its content | `entries` |
//!
//! | not in | because |
//! |---|---|
//! | where the checkout lies, its owner, its modes but for the owner's executable bit | they differ between checkouts of one commit; composing a layer drops them |
//! | modification times of the checkout | git does not keep them; the layer has the epoch |
//! | where a content's bytes lie | its digest says what they are |
//! | which spec, syntax or builtin named the entries | two specs that mean the same layer share it |
//! | the layers below | what a layer takes over from them, parents and owners, is in its entries |
//! | number of threads, processor | the encoders give the same bytes under all |
//! | clock, user, locale, environment | nothing sees them |

use serde::{Deserialize, Serialize};

use crate::digest::{CacheKey, Digest, Hasher};
use crate::entry::{Entry, Kind, Metadata};
use crate::format::Compression;
use crate::oci::canonical_json;

/// The version of the table above. Another version is another key.
const VERSION: u32 = 1;

/// Everything that decides the bytes of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPreimage {
    version: u32,
    /// The encoding's name and version.
    pub encoding: String,
    pub compression: Compression,
    /// SHA-256 over the entries in their order, in the form that [`LayerPreimage::new`] states. The list itself is the
    /// layer's directory index, which the store has under the layer's diff ID.
    pub entries: Digest,
}

impl LayerPreimage {
    /// The preimage of the layer that holds `entries`, written in `encoding`.
    ///
    /// An entry is hashed as its path; mode, owner, group and time; the number of extended attributes and the name and
    /// value of each; a byte for its kind; and what that kind has: size and digest, link text, target, or device
    /// numbers. Numbers are 8 bytes, little-endian; texts are preceded by their length, a number; a digest is 32 bytes.
    pub fn new(entries: &[Entry], encoding: &str, compression: Compression) -> Self {
        let mut hasher = Hasher::new();
        let mut bytes = Vec::new();
        for entry in entries {
            bytes.clear();
            put_entry(&mut bytes, entry);
            hasher.update(&bytes);
        }
        LayerPreimage { version: VERSION, encoding: encoding.to_owned(), compression, entries: hasher.finish() }
    }

    /// The key.
    pub fn key(&self) -> CacheKey {
        CacheKey(Digest::of(&canonical_json(self)))
    }
}

fn put_entry(bytes: &mut Vec<u8>, entry: &Entry) {
    let Metadata { mode, uid, gid, mtime, xattrs } = &entry.metadata;
    put_text(bytes, entry.path.as_bytes());
    for number in [u64::from(*mode), u64::from(*uid), u64::from(*gid), *mtime as u64, xattrs.len() as u64] {
        put_number(bytes, number);
    }
    for (name, value) in xattrs {
        put_text(bytes, name.as_bytes());
        put_text(bytes, value);
    }
    match &entry.kind {
        Kind::File { content } => {
            bytes.push(b'f');
            put_number(bytes, content.size);
            bytes.extend_from_slice(content.digest.as_bytes());
        }
        Kind::Directory => bytes.push(b'd'),
        Kind::Symlink { target } => {
            bytes.push(b's');
            put_text(bytes, target);
        }
        Kind::HardLink { target } => {
            bytes.push(b'h');
            put_text(bytes, target.as_bytes());
        }
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            bytes.push(if matches!(entry.kind, Kind::CharDevice { .. }) { b'c' } else { b'b' });
            put_number(bytes, u64::from(*major));
            put_number(bytes, u64::from(*minor));
        }
        Kind::Fifo => bytes.push(b'p'),
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    put_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text);
}

fn put_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::entry::{Content, Origin};
    use crate::path::ImagePath;

    fn entry(change: impl FnOnce(&mut Entry)) -> Entry {
        let mut entry = Entry {
            path: ImagePath::parse("a/b").unwrap(),
            metadata: Metadata::root_owned(0o644, 7),
            kind: Kind::File { content: Content::inline(*b"content") },
        };
        change(&mut entry);
        entry
    }

    fn key(entry: Entry) -> CacheKey {
        LayerPreimage::new(&[entry], "encoding", Compression::Gzip).key()
    }

    #[test]
    fn every_field_of_an_entry_is_in_the_key() {
        let path = |text: &str| ImagePath::parse(text).unwrap();
        let entries = vec![
            entry(|_| {}),
            entry(|e| e.path = path("a/c")),
            entry(|e| e.metadata.mode = 0o600),
            entry(|e| e.metadata.uid = 1),
            entry(|e| e.metadata.gid = 1),
            entry(|e| e.metadata.mtime = 8),
            entry(|e| drop(e.metadata.xattrs.insert("user.a".into(), b"1".to_vec()))),
            entry(|e| drop(e.metadata.xattrs.insert("user.a".into(), b"2".to_vec()))),
            entry(|e| e.kind = Kind::File { content: Content::inline(*b"CONTENT") }),
            entry(|e| e.kind = Kind::Directory),
            entry(|e| e.kind = Kind::Symlink { target: Arc::from(*b"x") }),
            entry(|e| e.kind = Kind::Symlink { target: Arc::from(*b"y") }),
            entry(|e| e.kind = Kind::HardLink { target: path("x") }),
            entry(|e| e.kind = Kind::CharDevice { major: 1, minor: 2 }),
            entry(|e| e.kind = Kind::CharDevice { major: 2, minor: 2 }),
            entry(|e| e.kind = Kind::CharDevice { major: 1, minor: 3 }),
            entry(|e| e.kind = Kind::BlockDevice { major: 1, minor: 2 }),
            entry(|e| e.kind = Kind::Fifo),
        ];
        let mut keys: Vec<CacheKey> = entries.iter().cloned().map(key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), entries.len(), "two of these entries have the same key");
    }

    #[test]
    fn compression_encoding_and_order_are_in_the_key() {
        let (a, b) = (entry(|_| {}), entry(|e| e.metadata.mode = 0));
        let preimage =
            |entries: &[Entry], encoding, compression| LayerPreimage::new(entries, encoding, compression).key();
        let keys = [
            preimage(&[a.clone(), b.clone()], "v1", Compression::Gzip),
            preimage(&[b.clone(), a.clone()], "v1", Compression::Gzip),
            preimage(&[a.clone(), b.clone()], "v1", Compression::Zstd),
            preimage(&[a, b], "v2", Compression::Gzip),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key));
        }
    }

    #[test]
    fn where_the_bytes_lie_is_not_in_the_key() {
        let elsewhere = entry(|e| {
            let Kind::File { content } = &mut e.kind else { return };
            content.origin = Origin::Unknown;
        });
        assert_eq!(key(elsewhere), key(entry(|_| {})));
    }
}
