//! The hash with which git ends its own files: that of the names of objects.

use sha1::{Digest as _, Sha1};

use crate::digest::Hasher;
use crate::git::ObjectId;

/// The hash of some bytes so far.
pub(super) enum Checksum {
    Sha1(Sha1),
    Sha256(Hasher),
}

impl Checksum {
    /// Of nothing yet, in a repository that has objects of such names.
    pub(super) fn like(id: &ObjectId) -> Self {
        match id.object_format() {
            "sha1" => Checksum::Sha1(Sha1::new()),
            _ => Checksum::Sha256(Hasher::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Checksum::Sha1(hash) => hash.update(bytes),
            Checksum::Sha256(hash) => hash.update(bytes),
        }
    }

    /// The 20 or 32 bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        match self {
            Checksum::Sha1(hash) => hash.finalize().to_vec(),
            Checksum::Sha256(hash) => hash.finish().as_bytes().to_vec(),
        }
    }
}

/// `bytes` and the hash of them behind.
pub(super) fn sealed(mut bytes: Vec<u8>, like: &ObjectId) -> Vec<u8> {
    let mut checksum = Checksum::like(like);
    checksum.update(&bytes);
    bytes.extend(checksum.finish());
    bytes
}
