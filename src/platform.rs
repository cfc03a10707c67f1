//! Operating system and processor of an image, as image-spec "Image Index § platform" names them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `os/architecture[/variant]` in Go's names, normalised: `linux/x86_64` is `linux/amd64`, `linux/arm64/v8` is
/// `linux/arm64`, `linux/arm` is `linux/arm/v7`, as containerd's platform matcher takes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

impl Platform {
    /// What is built where nothing else is said. It is fixed and not the machine's own: the same spec gives the same
    /// bits on every machine.
    pub fn default_target() -> Self {
        Platform { os: "linux".into(), architecture: "amd64".into(), variant: None }
    }

    /// True for what can be a part of a platform: letters, digits, `.`, `_` and `-`.
    pub fn is_word(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    }

    /// A platform from separate fields, normalised.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, variant) = match (architecture, variant) {
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("amd64", Some("v1")) => ("amd64", None),
            ("aarch64", None | Some("8" | "v8")) | ("arm64", Some("8" | "v8")) => ("arm64", None),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", None) | ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("armel", None) | ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("i386" | "i486" | "i586" | "i686", variant) => ("386", variant),
            same => same,
        };
        Platform { os: os.into(), architecture: architecture.into(), variant: variant.map(str::to_owned) }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        match (parts.iter().all(|part| Self::is_word(part)), parts.as_slice()) {
            (true, [os, architecture]) => Ok(Platform::new(&os.to_lowercase(), &architecture.to_lowercase(), None)),
            (true, [os, architecture, variant]) => {
                Ok(Platform::new(&os.to_lowercase(), &architecture.to_lowercase(), Some(&variant.to_lowercase())))
            }
            _ => Err(PlatformError { text: text.to_owned() }),
        }
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a platform: it should look like `linux/amd64` or `linux/arm/v7`")]
pub struct PlatformError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_are_normalised() {
        for (text, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/i686", "linux/386"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), normal);
        }
    }

    #[test]
    fn what_is_not_a_platform_is_rejected() {
        for text in ["", "linux", "linux/", "linux/amd64/v1/x", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
