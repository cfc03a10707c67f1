//! What an extraction leaves out.

use std::fmt;

use crate::path::ImagePath;

/// Something of a tree that is not on disk after an extraction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    pub path: ImagePath,
    pub part: SkippedPart,
}

/// What of an entry was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkippedPart {
    /// All of it: a device or a FIFO, by the name of its kind.
    Entry(&'static str),
    /// Its owner, for lack of rights or because the kernel has no such id.
    Owner,
    /// Its setuid and setgid bits, as it does not have its owner.
    SetId,
    /// The extended attribute of this name.
    Xattr(String),
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Skipped { path, part } = self;
        match part {
            SkippedPart::Entry(kind) => write!(f, "`{path}` was not created: it is a {kind}"),
            SkippedPart::Owner => write!(f, "`{path}` did not get its owner"),
            SkippedPart::SetId => write!(f, "`{path}` did not get its setuid and setgid bits"),
            SkippedPart::Xattr(name) => write!(f, "`{path}` did not get its extended attribute `{name}`"),
        }
    }
}
