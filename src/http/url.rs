//! URLs as specs and servers give them, checked before anything is done with them.

use std::net::{IpAddr, Ipv4Addr};

use ureq::http::Uri;

use super::resolver;

/// Parses an absolute `https://` or `http://` URL without credentials.
pub fn parse_url(url: &str) -> Result<Uri, &'static str> {
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
pub fn redirected(here: &Uri, reference: &str) -> Result<Uri, &'static str> {
    let scheme = here.scheme_str().unwrap_or("https");
    let authority = here.authority().map_or("", |authority| authority.as_str());
    let directory = here.path().rsplit_once('/').map_or("", |(directory, _)| directory);
    let reference = reference.split('#').next().unwrap_or("");
    let has_scheme = reference.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(['/', '?']));
    let target = if has_scheme {
        parse_url(reference)?
    } else if reference.starts_with("//") {
        parse_url(&format!("{scheme}:{reference}"))?
    } else if reference.starts_with('/') {
        parse_url(&format!("{scheme}://{authority}{reference}"))?
    } else if reference.starts_with('?') {
        parse_url(&format!("{scheme}://{authority}{}{reference}", here.path()))?
    } else {
        // Dot segments are left to the server: a path means what it makes of it.
        parse_url(&format!("{scheme}://{authority}{directory}/{reference}"))?
    };
    if scheme == "https" && target.scheme_str() != Some("https") {
        return Err("it leaves TLS");
    }
    if is_hidden(&target) {
        return Err("its address is link-local or unspecified");
    }
    Ok(target)
}

/// True if the host of `url` is an address that the resolver would refuse. Behind a proxy nothing is resolved here.
pub fn is_hidden(url: &Uri) -> bool {
    let legacy = || IpAddr::V4(legacy_address(url.host()?)?).into();
    address(url).or_else(legacy).is_some_and(resolver::is_hidden)
}

/// An address as `inet_aton` of POSIX takes it: one to four numbers, also in octal and hexadecimal, of which the last
/// fills what is left. Resolvers take it for one.
fn legacy_address(host: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some("") => Some(0),
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8).ok(),
        None => part.parse().ok(),
    };
    let parts: Vec<u32> = host.strip_suffix('.').unwrap_or(host).split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|&part| part > 255) {
        return None;
    }
    let high = first.iter().fold(0, |high: u64, &part| high << 8 | u64::from(part)) << (8 * (4 - first.len()));
    u32::try_from(high + u64::from(*last)).ok().map(Ipv4Addr::from)
}

/// True if `url` leads to this machine.
pub fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or("");
    host == "localhost" || host.ends_with(".localhost") || address(url).is_some_and(|address| address.is_loopback())
}

/// True if both are served by the same scheme, host and port: what is secret to one is not to the other.
pub fn is_same_origin(a: &Uri, b: &Uri) -> bool {
    let origin = |url: &Uri| {
        let scheme = url.scheme_str().unwrap_or("").to_owned();
        let default = if scheme == "http" { 80 } else { 443 };
        (scheme, url.host().unwrap_or("").to_ascii_lowercase(), url.port_u16().unwrap_or(default))
    };
    origin(a) == origin(b)
}

/// A URL for messages: without credentials, and without its query, which may be a signature.
pub fn shown(url: &str) -> String {
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

fn address(url: &Uri) -> Option<IpAddr> {
    url.host()?.trim_matches(['[', ']']).parse().ok()
}

fn authority(url: &str) -> Option<&str> {
    let rest = url.split_once("//")?.1;
    rest.split(['/', '?', '#']).next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        for reference in [
            "http://a.example/x",
            "file:///etc/passwd",
            "ftp://b/x",
            "https://u:p@b/x",
            "//u@b/x",
            "https://[fe80::1]/x",
        ] {
            assert!(redirected(&here, reference).is_err(), "{reference}");
        }
        let plain: Uri = "http://a.example".parse().unwrap();
        assert_eq!(redirected(&plain, "z").unwrap(), "http://a.example/z");
        assert_eq!(redirected(&plain, "https://a.example/z").unwrap(), "https://a.example/z");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| is_same_origin(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://a.example/x", "https://A.example:443/y?z"));
        assert!(!same("https://a.example/x", "https://a.example:5000/x"));
        assert!(!same("https://a.example/x", "http://a.example/x"));
        assert!(!same("https://a.example/x", "https://b.a.example/x"));
    }

    #[test]
    fn a_hidden_address_is_known_in_every_spelling() {
        for (host, expected) in [
            ("169.254.169.254", true),
            ("169.254.169.254.", true),
            ("2852039166", true),
            ("0xa9fea9fe", true),
            ("0251.0376.0251.0376", true),
            ("169.254.43518", true),
            ("0", true),
            ("[::ffff:a9fe:a9fe]", true),
            ("[64:ff9b::a9fe:a9fe]", true),
            ("10.1", false),
            ("256.1.1.1", false),
            ("1.2.3.4.5", false),
            ("99999999999", false),
            ("a9fea9fe", false),
            ("r.example", false),
        ] {
            assert_eq!(is_hidden(&format!("http://{host}:80/").parse().unwrap()), expected, "{host}");
        }
    }

    #[test]
    fn loopback_is_known_by_its_names_and_addresses() {
        for (url, expected) in [
            ("http://localhost:5000", true),
            ("http://127.1.2.3", true),
            ("http://[::1]:80/", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_redirect_is_judged(reference in prop_oneof![any::<String>(), "(https?:)?/{0,3}[a-z0-9.:@?#\\[\\]%-]{0,20}"]) {
            let here: Uri = "https://a.example/x/y?q".parse().unwrap();
            if let Ok(target) = redirected(&here, &reference) {
                prop_assert_eq!(target.scheme_str(), Some("https"));
                prop_assert!(!is_hidden(&target) && !target.authority().unwrap().as_str().contains('@'));
            }
            let _ = (shown(&reference), parse_url(&reference));
        }
    }
}
