//! Everything about an entry except its path and content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Mode, owner, time and extended attributes of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Permission bits with setuid, setgid and sticky: `0` to `0o7777`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970-01-01 UTC; encoding v1 keeps no fractions.
    pub mtime: i64,
    /// Extended attributes by full name, such as `security.capability`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Metadata {
    /// Metadata of root's own entry without extended attributes.
    pub fn root_owned(mode: u32, mtime: i64) -> Self {
        Metadata { mode, uid: 0, gid: 0, mtime, xattrs: BTreeMap::new() }
    }
}
