//! One entry of a file tree: a path, its metadata, and what it is. The vocabulary that [`crate::tree`] and
//! [`crate::archive`] share: a tree is a map of entries, an archive a sequence of them.

mod content;
mod metadata;

pub use content::{Content, DiskFile, Origin, Stamp};
pub use metadata::Metadata;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::path::ImagePath;

/// A file, directory, link or device of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub path: ImagePath,
    #[serde(flatten)]
    pub metadata: Metadata,
    #[serde(flatten)]
    pub kind: Kind,
}

/// What an entry is. Sockets are absent: a layer cannot hold one (image-spec, "Image Layer Filesystem Changeset §
/// File Types").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    File {
        #[serde(flatten)]
        content: Content,
    },
    Directory,
    Symlink {
        /// The link's text, byte for byte; it may lead anywhere, also out of the image. 1 byte to
        /// [`ImagePath::MAX_LEN`], without NUL.
        #[serde(with = "link_text")]
        target: Arc<[u8]>,
    },
    /// A further name of another entry, which is not a directory. Its metadata is a copy of that entry's.
    HardLink {
        target: ImagePath,
    },
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

impl Kind {
    /// The word for this kind in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::File { .. } => "file",
            Kind::Directory => "directory",
            Kind::Symlink { .. } => "symbolic link",
            Kind::HardLink { .. } => "hard link",
            Kind::CharDevice { .. } => "character device",
            Kind::BlockDevice { .. } => "block device",
            Kind::Fifo => "FIFO",
        }
    }

    /// True for a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self, Kind::Directory)
    }

    /// True for a device or a FIFO, which would act on the machine if it were on disk.
    pub fn is_special(&self) -> bool {
        matches!(self, Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo)
    }
}

/// A link's text as JSON: the bytes as Latin-1 characters, so that no byte is lost.
mod link_text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(target: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&target.iter().map(|&b| char::from(b)).collect::<String>())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.chars().map(|c| u8::try_from(c).map_err(D::Error::custom)).collect()
    }
}
