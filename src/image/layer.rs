//! One layer of an image.

use crate::digest::DiffId;
use crate::oci::Descriptor;

/// A layer: the blob that holds it, and the digest of the tar stream in that blob. The bytes are in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Type, digest and size of the blob, compressed or not.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar stream.
    pub diff_id: DiffId,
}
