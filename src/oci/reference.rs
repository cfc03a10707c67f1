//! Names of images: `[host[:port]/]path[:tag][@digest]`, the grammar of distribution's `reference` package.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};

use super::Repository;

/// The name of an image, as it was written: no default registry and no default tag are added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `host` or `host:port`. The first component of a name is one if it has a dot or a colon, is `localhost`, or has
    /// an uppercase letter; else it belongs to the path.
    pub host: Option<String>,
    /// Lowercase components separated by `/`.
    pub path: String,
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

impl Reference {
    /// The longest tag (distribution-spec, "Pulling manifests").
    pub const MAX_TAG: usize = 128;
    /// The longest host and path together.
    pub const MAX_NAME: usize = 255;

    /// True for what can be the tag of a name.
    pub fn is_tag(text: &str) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        (1..=Self::MAX_TAG).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with(['.', '-'])
    }

    /// This name with the tag `latest` if it has neither tag nor digest, as `docker save` and `docker load` take it.
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".into());
        }
        self
    }

    /// The whole name: with the registry, the path in it, and `latest` where nothing else is said.
    #[must_use]
    pub fn canonical(&self) -> Self {
        let Reference { tag, digest, .. } = self.clone();
        Reference { tag, digest, ..Repository::of(self).reference() }.or_latest()
    }
}

impl ReferenceError {
    /// That the tag of `name` is none.
    pub fn tag(name: impl fmt::Display) -> Self {
        ReferenceError::Grammar { text: name.to_string(), reason: TAG_GRAMMAR }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let fail = |reason| Err(ReferenceError::Grammar { text: text.to_owned(), reason });
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse();
                (rest, Some(digest.map_err(|cause| ReferenceError::Digest { text: text.to_owned(), cause })?))
            }
            None => (text, None),
        };
        // A colon behind the last slash begins a tag; one before it belongs to a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !Self::is_tag(tag)) {
            return fail(TAG_GRAMMAR);
        }
        if name.is_empty() || name.len() > Self::MAX_NAME {
            return fail("the name should have 1 to 255 characters");
        }
        let (host, path) = match name.split_once('/') {
            Some((first, path)) if looks_like_host(first) => (Some(first), path),
            _ => (None, name),
        };
        if host.is_some_and(|host| !is_host(host)) {
            return fail("the registry should be `host` or `host:port`");
        }
        if !path.split('/').all(is_component) {
            return fail(
                "the path should be lowercase letters and digits, with single `.`, `_`, `__` or `-` between them",
            );
        }
        Ok(Reference { host: host.map(str::to_owned), path: path.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

const TAG_GRAMMAR: &str =
    "the tag should be 1 to 128 letters, digits, `_`, `.` and `-`, and begin with none of the last two";

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.iter().try_for_each(|host| write!(f, "{host}/"))?;
        f.write_str(&self.path)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// Why a text is not the name of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("`{text}` is not the name of an image: {reason}")]
    Grammar { text: String, reason: &'static str },
    #[error("`{text}` is not the name of an image: {cause}")]
    Digest { text: String, cause: DigestError },
}

fn looks_like_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_host(host: &str) -> bool {
    // An IPv6 address stands in brackets, so that its colons are not a port's.
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let label = |label: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty() && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let named = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(label),
    };
    named && port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// Runs of lowercase letters and digits; between two of them one `.`, one `_`, `__`, or any number of `-`.
fn is_component(component: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges = [component.bytes().next(), component.bytes().next_back()];
    edges.iter().all(|edge| edge.is_some_and(word))
        && component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_round_trip() {
        let digest = Digest::of(b"");
        for (text, host, path, tag) in [
            ("alpine", None, "alpine", None),
            ("alpine:3.20", None, "alpine", Some("3.20")),
            ("library/alpine", None, "library/alpine", None),
            ("localhost/a", Some("localhost"), "a", None),
            ("localhost:5000/a/b__c:X-1", Some("localhost:5000"), "a/b__c", Some("X-1")),
            ("[::1]:5000/a", Some("[::1]:5000"), "a", None),
            ("registry.example.com/shop/web:1.4", Some("registry.example.com"), "shop/web", Some("1.4")),
            ("e/a--b.c_d", None, "e/a--b.c_d", None),
        ] {
            let reference: Reference = text.parse().unwrap();
            let found = (reference.host.as_deref(), reference.path.as_str(), reference.tag.as_deref());
            assert_eq!(found, (host, path, tag), "{text}");
            assert_eq!(reference.to_string(), text);
            let pinned = format!("{text}@{digest}");
            assert_eq!(pinned.parse::<Reference>().unwrap().to_string(), pinned);
        }
    }

    #[test]
    fn what_is_not_a_name_is_rejected() {
        let long = format!("a:{}", "x".repeat(129));
        for text in [
            "",
            ":",
            "a:",
            "a:-x",
            "a:.x",
            "a b",
            "Alpine",
            "a/B",
            "a//b",
            "/a",
            "a/",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "../a",
            "host.:5000/a",
            "host:port/a",
            "host:99999/a",
            "a@sha256:abc",
            "a@",
            "a:x:y",
            "[::g]/a",
            &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn latest_is_added_only_where_nothing_pins_the_name() {
        let name = |text: &str| text.parse::<Reference>().unwrap().or_latest().to_string();
        assert_eq!(name("a"), "a:latest");
        assert_eq!(name("a:1"), "a:1");
    }

    fn references() -> impl Strategy<Value = String> {
        let host = prop::option::of("(localhost|[a-z0-9-]{1,5}\\.[A-Za-z0-9]{1,3}|\\[::1\\])(:[0-9]{1,6})?");
        let digest = prop::option::of(Just(Digest::of(b"").to_string()));
        let path = "[a-z0-9._-]{1,6}(/[a-z0-9._-]{1,6}){0,2}";
        (host, path, prop::option::of("[A-Za-z0-9_.-]{1,8}"), digest).prop_map(|(host, path, tag, digest)| {
            let host = host.map(|host| format!("{host}/")).unwrap_or_default();
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
            format!("{host}{path}{tag}{digest}")
        })
    }

    proptest! {
        #[test]
        fn whatever_is_a_name_is_written_as_it_was_read(text in prop_oneof![references(), any::<String>()]) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text.clone());
                let whole = reference.canonical();
                prop_assert_eq!(&whole.to_string().parse::<Reference>().unwrap(), &whole);
                prop_assert_eq!(&whole.canonical(), &whole);
                prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()));
                prop_assert!(text.split(['/', ':', '@']).all(|part| part != ".."));
            }
        }
    }
}
