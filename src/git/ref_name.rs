//! The name of a branch, a tag or another ref.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::NameError;

/// A branch or tag by its short name, any ref by its whole name `refs/...`, or `HEAD`; it obeys git-check-ref-format. The ID of a
/// commit has the form of a short name, and is one of a commit ([`RemoteRef::commit`](super::RemoteRef::commit)).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefName(String);

impl RefName {
    /// The longest name in bytes; file systems that keep refs as files allow no longer one.
    const MAX_LEN: usize = 255;

    /// What the repository shows who asks for nothing else.
    pub fn head() -> Self {
        RefName("HEAD".to_owned())
    }

    /// The whole names that this one can stand for: of a short one, a tag and a branch.
    pub fn whole_names(&self) -> Vec<String> {
        match self.0.as_str() {
            "HEAD" => vec!["HEAD".to_owned()],
            name if name.starts_with("refs/") => vec![name.to_owned()],
            name => vec![format!("refs/tags/{name}"), format!("refs/heads/{name}")],
        }
    }

    /// What a short name with a slash stands for where there is neither a tag nor a branch: `pull/7/head` for
    /// `refs/pull/7/head`, as hosts of repositories write it.
    pub fn elsewhere(&self) -> Option<String> {
        let name = self.0.as_str();
        let is_one = name.contains('/') && !["refs/", "tags/", "heads/"].iter().any(|start| name.starts_with(start));
        is_one.then(|| format!("refs/{name}"))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RefName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let fail = |reason| Err(NameError::Ref { name: name.escape_debug().to_string(), reason });
        let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
        match name {
            "" => fail("is empty"),
            "@" => fail("is `@` alone"),
            _ if name.len() > Self::MAX_LEN => fail("has more than 255 bytes"),
            _ if name.starts_with('-') => fail("begins with `-`"),
            _ if name.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c)) => {
                fail("has a blank, a control character or one of `~^:?*[\\`")
            }
            _ if name.contains("..") || name.contains("@{") => fail("has `..` or `@{`"),
            _ if name.ends_with('.') => fail("ends with a dot"),
            _ if name.split('/').any(bad_part) => {
                fail("has a part between slashes that is empty, begins with a dot or ends with `.lock`")
            }
            _ => Ok(RefName(name.to_owned())),
        }
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RefName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<RefName> for String {
    fn from(name: RefName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_would_not_take_or_take_for_an_option_is_no_name() {
        for name in ["main", "v1.4", "release/1.x", "refs/pull/7/head", "HEAD", "a-b", "größe"] {
            assert_eq!(name.parse::<RefName>().unwrap().as_str(), name);
        }
        let long = "x".repeat(256);
        for name in [
            "",
            "@",
            "-x",
            "--upload-pack=x",
            "a b",
            "a\n",
            "\u{1b}[2J",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "a..b",
            "../../x",
            "a@{0}",
            "a.",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            &long,
        ] {
            let error = name.parse::<RefName>().unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn a_short_name_is_a_tag_or_a_branch() {
        let whole = |name: &str| name.parse::<RefName>().unwrap().whole_names();
        assert_eq!(whole("v1"), ["refs/tags/v1", "refs/heads/v1"]);
        assert_eq!(whole("refs/heads/v1"), ["refs/heads/v1"]);
        assert_eq!(whole("HEAD"), ["HEAD"]);
        let elsewhere = |name: &str| name.parse::<RefName>().unwrap().elsewhere();
        assert_eq!(elsewhere("pull/7/head").as_deref(), Some("refs/pull/7/head"));
        assert_eq!([elsewhere("v1"), elsewhere("tags/v1"), elsewhere("refs/pull/7/head")], [None, None, None]);
    }
}
