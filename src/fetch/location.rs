//! URLs as specs and servers give them, checked before anything is done with them.

use ureq::http::Uri;

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
        parse_http(url).map(Location::Http).map_err(|reason| fail(reason.into()))
    }
}

/// Parses an absolute `https://` or `http://` URL without credentials.
pub(super) fn parse_http(url: &str) -> Result<Uri, &'static str> {
    if authority(url).is_some_and(|authority| authority.contains('@')) {
        return Err("holds a user name or password");
    }
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err("has a scheme that is not supported");
    }
    let uri: Uri = url.parse().map_err(|_| "is not a URL")?;
    match uri.host() {
        None | Some("") => Err("names no host"),
        // `Uri` takes anything for a port.
        Some(host) if uri.port().is_none() && uri.authority().is_some_and(|whole| whole.as_str() != host) => {
            Err("has a port that is not a number")
        }
        Some(_) => Ok(uri),
    }
}

/// Where a redirect from `here` leads: the target URL of RFC 9110, 10.2.2, a reference resolved by RFC 3986, 5.2.
pub(super) fn redirected(here: &Uri, reference: &str) -> Result<Uri, &'static str> {
    let scheme = here.scheme_str().unwrap_or("https");
    let authority = here.authority().map_or("", |authority| authority.as_str());
    let directory = here.path().rsplit_once('/').map_or("", |(directory, _)| directory);
    let reference = reference.split('#').next().unwrap_or("");
    let has_scheme = reference.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(['/', '?']));
    let target = if has_scheme {
        parse_http(reference)?
    } else if reference.starts_with("//") {
        parse_http(&format!("{scheme}:{reference}"))?
    } else if reference.starts_with('/') {
        parse_http(&format!("{scheme}://{authority}{reference}"))?
    } else if reference.starts_with('?') {
        parse_http(&format!("{scheme}://{authority}{}{reference}", here.path()))?
    } else {
        // Dot segments are left to the server: a path means what it makes of it.
        parse_http(&format!("{scheme}://{authority}{directory}/{reference}"))?
    };
    if scheme == "https" && target.scheme_str() != Some("https") {
        return Err("it leaves TLS");
    }
    Ok(target)
}

/// A URL for messages: without credentials, and without its query, which may be a signature.
pub(super) fn shown(url: &str) -> String {
    if url.starts_with("file://") {
        return url.to_owned();
    }
    let (url, query) = match url.find(['?', '#']) {
        Some(end) => (&url[..end], "?..."),
        None => (url, ""),
    };
    let (scheme, rest) = url.split_at(url.find("//").map_or(0, |at| at + 2));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rsplit_once(':').filter(|_| !host.ends_with(']')).map_or("", |(_, port)| port);
    if port.bytes().all(|b| b.is_ascii_digit()) {
        format!("{scheme}{host}{path}{query}")
    } else {
        // Not a port, so perhaps the beginning of a password with a `/` or `?` in it.
        format!("{scheme}...")
    }
}

fn authority(url: &str) -> Option<&str> {
    let rest = url.split_once("//")?.1;
    rest.split(['/', '?', '#']).next()
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

    #[test]
    fn redirects_resolve_as_references() {
        let here: Uri = "https://a.example/x/y?q".parse().unwrap();
        for (reference, expected) in [
            ("https://b.example/z", "https://b.example/z"),
            ("//b.example/z", "https://b.example/z"),
            ("/z?r#f", "https://a.example/z?r"),
            ("z", "https://a.example/x/z"),
            ("?r", "https://a.example/x/y?r"),
            ("/z?u=http://c", "https://a.example/z?u=http://c"),
        ] {
            assert_eq!(redirected(&here, reference).unwrap(), expected, "{reference}");
        }
        for reference in ["http://a.example/x", "file:///etc/passwd", "ftp://b/x", "https://u:p@b/x", "//u@b/x"] {
            assert!(redirected(&here, reference).is_err(), "{reference}");
        }
        let plain: Uri = "http://a.example".parse().unwrap();
        assert_eq!(redirected(&plain, "z").unwrap(), "http://a.example/z");
        assert_eq!(redirected(&plain, "https://a.example/z").unwrap(), "https://a.example/z");
    }
}
