//! URLs as specs give them, checked before anything is done with them.

use ureq::http::Uri;

use crate::http::{parse_url, shown};
use crate::path::WorkspacePath;

use super::error::FetchError;

/// Where a file can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// `https://` or `http://`.
    Http(Uri),
    /// A file of the workspace.
    File(WorkspacePath),
}

impl Location {
    /// Parses a URL that is written in `package`.
    pub fn parse(url: &str, package: &WorkspacePath) -> Result<Self, FetchError> {
        let fail = |reason: String| FetchError::Url { url: shown(url), reason };
        if let Some(path) = url.strip_prefix("file://") {
            let path = WorkspacePath::parse(path).map_err(|error| fail(format!("is outside the package: {error}")))?;
            if path.is_root() {
                return Err(fail("names no file".into()));
            }
            return Ok(Location::File(package.join(&path)));
        }
        parse_url(url).map(Location::Http).map_err(|reason| fail(reason.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> WorkspacePath {
        WorkspacePath::parse("p").unwrap()
    }

    #[test]
    fn files_are_relative_to_the_package() {
        let file = Location::parse("file://vendor/a.tar", &package()).unwrap();
        assert_eq!(file, Location::File(WorkspacePath::parse("p/vendor/a.tar").unwrap()));
        for url in ["file:///etc/passwd", "file://../x", "file://a/../../x", "file://", "file://."] {
            assert!(matches!(Location::parse(url, &package()), Err(FetchError::Url { .. })), "{url}");
        }
    }

    #[test]
    fn bad_urls_are_rejected_and_credentials_never_shown() {
        for url in [
            "https://me:hunter2@example.com/f",
            "https://hunter2@example.com",
            "http://a@hunter2@b/",
            "https://me:hunter2@example.com?x=/",
            "https://me:hunter2/x@example.com/f",
            "https://me:hunter2?x@example.com/f",
            "ftp://me:hunter2@example.com/f",
            "https://example.com/\n?hunter2",
            "me:hunter2@example.com/f",
            "https:///f?hunter2",
            "https://exa mple/f?hunter2",
            "HTTPS://example.com/f",
            "//me:hunter2@example.com/f",
            "example.com/f",
            "",
        ] {
            let error = Location::parse(url, &package()).unwrap_err();
            assert!(error.is_spec_error(), "{error}");
            assert!(!format!("{error} {error:?} {:?}", error.help()).contains("hunter2"), "{error}");
        }
    }
}
