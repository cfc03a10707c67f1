//! Queries of URLs.

/// `url` with `pairs` added to its query.
pub(super) fn with_query<'a>(url: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut url = url.to_owned();
    for (name, value) in pairs {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.push_str(&encoded(value));
    }
    url
}

/// `pairs` as a form's body (`application/x-www-form-urlencoded`).
pub(super) fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// All but RFC 3986's unreserved characters in percent encoding, and but `:` and `/`, which a query may hold: some
/// servers compare scopes and digests before they decode them.
pub(super) fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/".contains(&b);
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, b| {
        if plain(b) {
            encoded.push(b as char)
        } else {
            encoded.push_str(&format!("%{b:02X}"))
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_added_to() {
        assert_eq!(with_query("http://a/b", [("x", "1 2&3"), ("y", "é=")]), "http://a/b?x=1%202%263&y=%C3%A9%3D");
        assert_eq!(with_query("http://a/b?s=%2F", [("digest", "sha256:ab")]), "http://a/b?s=%2F&digest=sha256:ab");
        assert_eq!(form([("a", "+"), ("b", "repository:x/y:pull,push")]), "a=%2B&b=repository:x/y:pull%2Cpush");
    }
}
