//! Where a repository is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::http::{is_hidden, parse_url, shown};
use crate::path::WorkspacePath;

use super::NameError;

/// The URL of a repository, without credentials, query and fragment. The order is that of the texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RepositoryUrl {
    /// `file://` and a path: of a directory in the workspace.
    Workspace(WorkspacePath),
    /// `https://`, `http://` or `ssh://`.
    Remote(String),
}

impl RepositoryUrl {
    /// As it is named from the workspace's root, if it is written in `package`.
    pub fn in_package(&self, package: &WorkspacePath) -> Self {
        match self {
            RepositoryUrl::Workspace(path) => RepositoryUrl::Workspace(package.join(path)),
            RepositoryUrl::Remote(_) => self.clone(),
        }
    }

    /// The part before `://`: one of `file`, `http`, `https` and `ssh`.
    pub fn scheme(&self) -> &str {
        match self {
            RepositoryUrl::Workspace(_) => "file",
            RepositoryUrl::Remote(url) => url.split_once("://").map_or("", |(scheme, _)| scheme),
        }
    }

    /// The repository's own name: the last component, without `.git`.
    pub fn title(&self) -> &str {
        let path = match self {
            RepositoryUrl::Workspace(path) => path.as_str(),
            RepositoryUrl::Remote(url) => url,
        };
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
        name.strip_suffix(".git").filter(|name| !name.is_empty()).unwrap_or(name)
    }
}

impl FromStr for RepositoryUrl {
    type Err = NameError;

    fn from_str(url: &str) -> Result<Self, NameError> {
        let fail = |reason: String| NameError::Url { url: shown(url).escape_debug().to_string(), reason };
        if let Some(path) = url.strip_prefix("file://") {
            let path = WorkspacePath::parse(path).map_err(|error| fail(format!("is outside the package: {error}")))?;
            return match path.is_root() {
                true => Err(fail("names no directory".into())),
                false => Ok(RepositoryUrl::Workspace(path)),
            };
        }
        if let Some(url) = of_scp_form(url) {
            return Err(NameError::Scheme { url });
        }
        let reason = match url.split_once("://") {
            _ if !url.bytes().all(|b| b.is_ascii_graphic()) => Some("has a character that no URL has"),
            Some(("https" | "http", _)) => match parse_url(url) {
                Err(reason) => Some(reason),
                Ok(uri) if is_hidden(&uri) => Some("has an address that is link-local or unspecified"),
                Ok(_) => None,
            },
            Some(("ssh", rest)) => wrong_ssh(rest),
            _ => Some("begins with none of `https://`, `http://`, `ssh://` and `file://`"),
        };
        let parts = || url.split('/').any(|part| part == "..");
        let reason = reason
            .or_else(|| url.contains(['?', '#']).then_some("has a query or a fragment; a ref is given as `ref`"))
            .or_else(|| parts().then_some("has a `..` component"));
        reason.map_or_else(|| Ok(RepositoryUrl::Remote(url.to_owned())), |reason| Err(fail(reason.into())))
    }
}

/// The URL of `[USER@]HOST:PATH`, as scp and git take it; `None` if it is something else.
fn of_scp_form(text: &str) -> Option<String> {
    let (authority, path) = text.split_once(':')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-@/~".contains(&b);
    let is_one =
        authority.contains(['.', '@']) && !path.starts_with(['/', ':']) && text.bytes().all(|b| plain(b) || b == b':');
    let rest = format!("{authority}/{path}");
    (is_one && wrong_ssh(&rest).is_none()).then(|| format!("ssh://{rest}"))
}

/// What is wrong with `[USER@]HOST[:PORT]/PATH`, which goes to the program ssh.
fn wrong_ssh(rest: &str) -> Option<&'static str> {
    let Some((authority, path)) = rest.split_once('/') else { return Some("names no repository of the host") };
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (host, "22"),
    };
    let plain = |text: &str| {
        let chars = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        chars && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = address.map_or_else(|| plain(host), |address| address.parse::<std::net::Ipv6Addr>().is_ok());
    match user {
        Some(user) if user.contains(':') => Some("holds a password"),
        Some(user) if !plain(user) => Some("has a user name that is none"),
        _ if !is_host => Some("names no host"),
        _ if port.parse::<u16>().is_err() => Some("has a port that is not a number"),
        _ if path.is_empty() => Some("names no repository of the host"),
        _ => None,
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RepositoryUrl::Workspace(path) => write!(f, "file://{path}"),
            RepositoryUrl::Remote(url) => f.write_str(url),
        }
    }
}

impl TryFrom<String> for RepositoryUrl {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<RepositoryUrl> for String {
    fn from(url: RepositoryUrl) -> String {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_kept_as_they_are_written() {
        for (url, title) in [
            ("https://example.com/a/lib.git", "lib"),
            ("http://localhost:3000/lib", "lib"),
            ("ssh://git@example.com/a/lib.git/", "lib"),
            ("ssh://example.com:2222/~me/lib", "lib"),
            ("ssh://git@[::1]:22/lib.git", "lib"),
            ("file://vendor/lib.git", "lib"),
        ] {
            let parsed: RepositoryUrl = url.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((parsed.to_string().as_str(), parsed.title()), (url, title));
        }
        let package = WorkspacePath::parse("shop").unwrap();
        let url = "file://./vendor/lib".parse::<RepositoryUrl>().unwrap().in_package(&package);
        assert_eq!(url.to_string(), "file://shop/vendor/lib");
    }

    #[test]
    fn what_could_be_a_command_a_secret_or_elsewhere_is_refused() {
        for url in [
            "",
            "example.com/lib",
            "git@example.com:a/lib.git",
            "git://example.com/lib",
            "ext::sh -c 'touch /tmp/x'",
            "ext::touch%20/tmp/x",
            "--upload-pack=touch /tmp/x",
            "-oProxyCommand=x",
            "ssh://-oProxyCommand=x/lib",
            "ssh://-l@example.com/lib",
            "ssh://a b/lib",
            "ssh://example.com",
            "ssh://example.com/",
            "ssh://example.com:x/lib",
            "ssh://me:hunter2@example.com/lib",
            "ssh://$(hunter2)/lib",
            "https://me:hunter2@example.com/lib",
            "https://hunter2@example.com/lib",
            "https://example.com/lib?token=hunter2",
            "https://example.com/lib#../../",
            "https://example.com/../lib",
            "https://example.com/l ib",
            "https://example.com/lib\n",
            "https://169.254.169.254/lib",
            "https:///lib",
            "file:///etc",
            "file://../lib",
            "file://",
            "file://.",
        ] {
            let error = url.parse::<RepositoryUrl>().unwrap_err().to_string();
            assert!(!error.contains("hunter2@") && !error.contains("=hunter2"), "{error}");
            assert!(!error.contains(char::is_control), "{error}");
        }
    }
}
