//! A path inside an image: bytes, relative to the image's root, already normalised.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path inside an image, relative to its root and without a leading slash; the root itself is the empty path.
///
/// Image paths are bytes, not text: a tar may hold names that are not UTF-8, and those are kept byte for byte. The
/// order is bytewise over the whole path, which is the order of entries in encoding v1; a directory sorts before
/// what is in it, though not always directly before (`a`, `a-b`, `a/b`).
///
/// Invariants: no empty, `.` or `..` component, no NUL, at most [`ImagePath::MAX_LEN`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath(Arc<[u8]>);

impl ImagePath {
    /// The longest path in bytes, Linux's `PATH_MAX`: no longer one could be extracted or opened.
    pub const MAX_LEN: usize = 4096;

    /// The image's root directory.
    pub fn root() -> Self {
        ImagePath(Arc::from([]))
    }

    /// Normalises `bytes`: `/a`, `./a`, `a/` and `a//.` are all `a`, as GNU tar and every engine take them.
    ///
    /// # Errors
    /// A `..` component, a NUL byte, or more than [`ImagePath::MAX_LEN`] bytes. What resolves to the root is not an
    /// error; callers for whom it is check [`ImagePath::is_root`].
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, ImagePathError> {
        let bytes = bytes.as_ref();
        let fail = |reason| Err(ImagePathError { path: escape(bytes), reason });
        if bytes.contains(&0) {
            return fail("has a NUL byte");
        }
        if is_normal(bytes) && bytes.len() <= Self::MAX_LEN {
            return Ok(ImagePath(bytes.into()));
        }
        let mut normal = Vec::with_capacity(bytes.len());
        for component in bytes.split(|&b| b == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return fail("has a `..` component"),
                name => {
                    if !normal.is_empty() {
                        normal.push(b'/');
                    }
                    normal.extend_from_slice(name);
                }
            }
        }
        if normal.len() > Self::MAX_LEN {
            return fail("is longer than 4096 bytes");
        }
        Ok(ImagePath(normal.into()))
    }

    /// True for the root directory.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The last component; `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<ImagePath> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Some(ImagePath(self.0[..end].into()))
    }

    /// The directories above this path, outermost first, without the root and without the path itself.
    pub fn ancestors(&self) -> impl Iterator<Item = ImagePath> + '_ {
        let slashes = self.0.iter().enumerate().filter(|&(_, &b)| b == b'/');
        slashes.map(|(end, _)| ImagePath(self.0[..end].into()))
    }

    /// The components from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|name| !name.is_empty())
    }

    /// This path with `below` appended.
    pub fn join(&self, below: &ImagePath) -> Result<ImagePath, ImagePathError> {
        if self.is_root() || below.is_root() {
            return Ok(if self.is_root() { below.clone() } else { self.clone() });
        }
        // Both are normal.
        let joined: Arc<[u8]> = self.0.iter().chain(b"/").chain(&*below.0).copied().collect();
        if joined.len() > Self::MAX_LEN {
            return Err(ImagePathError { path: escape(&joined), reason: "is longer than 4096 bytes" });
        }
        Ok(ImagePath(joined))
    }

    /// This path with one component appended.
    ///
    /// # Errors
    /// `name` is empty, `.` or `..`, or has a slash or a NUL byte.
    pub fn child(&self, name: &[u8]) -> Result<ImagePath, ImagePathError> {
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            return Err(ImagePathError { path: escape(name), reason: "is not a file name" });
        }
        ImagePath::parse([self.as_bytes(), name].join(&b'/'))
    }

    /// What is left of this path below `directory`: `Some(root)` when they are the same, `None` when it is not below.
    /// `app_config` is not below `app`.
    pub fn strip_prefix(&self, directory: &ImagePath) -> Option<ImagePath> {
        if directory.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(directory.as_bytes())? {
            [] => Some(ImagePath::root()),
            [b'/', rest @ ..] => Some(ImagePath(rest.into())),
            _ => None,
        }
    }

    /// True when this path is `directory` or lies below it.
    pub fn starts_with(&self, directory: &ImagePath) -> bool {
        self.strip_prefix(directory).is_some()
    }
}

impl Borrow<[u8]> for ImagePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// With a leading slash, as a person writes it; bytes that are not UTF-8 as `\xHH`.
impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", escape(&self.0))
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// True if all components are names.
fn is_normal(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
}

/// The form of [`fmt::Display`], which loses nothing: a backslash is written `\\`.
impl Serialize for ImagePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImagePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(TextVisitor)
    }
}

/// Reads a path from a text without a copy of it.
struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = ImagePath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ImagePath, E> {
        let path = match text.strip_prefix('/') {
            Some(text) if !text.contains('\\') => ImagePath::parse(text),
            _ => ImagePath::parse(unescape(text).ok_or_else(|| E::custom("bad escape in an image path"))?),
        };
        path.map_err(E::custom)
    }
}

/// A path that cannot be inside an image, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path `{path}` {reason}")]
pub struct ImagePathError {
    path: String,
    reason: &'static str,
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| push_hex(&mut text, b)),
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|&b| push_hex(&mut text, b));
    }
    text
}

fn push_hex(text: &mut String, byte: u8) {
    text.push_str(&format!("\\x{byte:02x}"));
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'\\', [b'\\', tail @ ..]) => {
                bytes.push(b'\\');
                tail
            }
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digit = |b: &u8| char::from(*b).to_digit(16);
                bytes.push((digit(high)? * 16 + digit(low)?) as u8);
                tail
            }
            (b'\\', _) => return None,
            (&byte, tail) => {
                bytes.push(byte);
                tail
            }
        };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_path_are_equal() {
        for text in ["a/b", "/a/b", "./a/b", "a//b/", "/./a/./b/."] {
            assert_eq!(path(text).as_bytes(), b"a/b", "{text}");
        }
        assert!(path("/").is_root() && path("").is_root() && path("./").is_root());
    }

    #[test]
    fn paths_that_lead_out_are_rejected() {
        for text in ["..", "../x", "a/../../x", "a/..", "a\0b"] {
            assert!(ImagePath::parse(text).is_err(), "{text}");
        }
        assert!(ImagePath::parse(vec![b'a'; 4097]).is_err());
        assert!(ImagePath::root().child(b"a/b").is_err());
    }

    #[test]
    fn parents_and_ancestors() {
        assert_eq!(path("a/b/c").ancestors().collect::<Vec<_>>(), [path("a"), path("a/b")]);
        assert_eq!(path("a").parent(), Some(ImagePath::root()));
        assert_eq!(ImagePath::root().parent(), None);
    }

    #[test]
    fn a_common_prefix_of_names_is_not_a_parent() {
        assert!(!path("app_config").starts_with(&path("app")));
        assert_eq!(path("app/x").strip_prefix(&path("app")), Some(path("x")));
    }

    proptest! {
        #[test]
        fn serde_keeps_every_byte(bytes in proptest::collection::vec(1u8.., 0..40)) {
            if let Ok(path) = ImagePath::parse(&bytes) {
                let json = serde_json::to_string(&path).unwrap();
                prop_assert_eq!(serde_json::from_str::<ImagePath>(&json).unwrap(), path);
            }
        }
    }
}
