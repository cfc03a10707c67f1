//! `WWW-Authenticate`: how a registry wants to be authenticated to (RFC 9110, 11.6.1; distribution's "Token
//! Authentication Specification").

use std::collections::BTreeMap;

/// The longest header that is read, in bytes.
const LONGEST: usize = 16 << 10;

/// One way to authenticate; those that are not known here are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer {
        /// The URL of the token server, not checked yet.
        realm: String,
        service: Option<String>,
        /// As the server gives it: scopes separated by spaces.
        scope: Option<String>,
    },
}

/// The challenges of one header's value.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(value: &str) -> Result<Vec<Challenge>, &'static str> {
    if value.len() > LONGEST {
        return Err("the header is too long");
    }
    let mut reader = Reader { rest: value };
    let mut found = Vec::new();
    reader.skip(", \t");
    while !reader.rest.is_empty() {
        let scheme = reader.token()?;
        let parameters = reader.parameters()?;
        let get = |name: &str| parameters.get(name).cloned();
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer") {
            let realm = get("realm").ok_or("a Bearer challenge without `realm`")?;
            found.push(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
        }
        reader.skip(", \t");
    }
    Ok(found)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, characters: &str) {
        self.rest = self.rest.trim_start_matches(|c| characters.contains(c));
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    fn token(&mut self) -> Result<&'a str, &'static str> {
        let token = self.run(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
        if token.is_empty() { Err("a name is missing") } else { Ok(token) }
    }

    /// What follows a scheme, up to the next scheme: `name=value` separated by commas, or one token68.
    fn parameters(&mut self) -> Result<BTreeMap<String, String>, &'static str> {
        let mut parameters = BTreeMap::new();
        self.skip(" \t");
        if self.token68() {
            return Ok(parameters);
        }
        loop {
            let before = self.rest;
            self.skip(", \t");
            if self.rest.is_empty() {
                return Ok(parameters);
            }
            let name = self.token()?.to_ascii_lowercase();
            self.skip(" \t");
            let Some(rest) = self.rest.strip_prefix('=') else {
                // Not a parameter but the next scheme.
                self.rest = before;
                return Ok(parameters);
            };
            self.rest = rest;
            self.skip(" \t");
            let value = self.value()?;
            if parameters.insert(name, value).is_some() {
                return Err("a parameter is given twice");
            }
            self.skip(" \t");
            if !self.rest.is_empty() && !self.rest.starts_with(',') {
                return Err("a comma is missing between parameters");
            }
        }
    }

    /// Skips a token68, as in `Negotiate YWJj==`.
    fn token68(&mut self) -> bool {
        let before = self.rest;
        let run = self.run(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        self.run(|c| c == '=');
        let rest = self.rest.trim_start_matches([' ', '\t']);
        if !run.is_empty() && (rest.is_empty() || rest.starts_with(',')) {
            return true;
        }
        self.rest = before;
        false
    }

    fn value(&mut self) -> Result<String, &'static str> {
        let Some(rest) = self.rest.strip_prefix('"') else { return self.token().map(str::to_owned) };
        let mut value = String::new();
        let mut characters = rest.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.rest = &rest[at + 1..];
                    return Ok(value);
                }
                '\\' => value.push(characters.next().ok_or("a quoted value has no end")?.1),
                c if c.is_control() => return Err("a control character in a quoted value"),
                c => value.push(c),
            }
        }
        Err("a quoted value has no end")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer { realm: realm.to_owned(), service: own(service), scope: own(scope) }
    }

    #[test]
    fn challenges_of_registries_are_read() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let hub_parts =
            bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a/b:pull,push"));
        for (header, expected) in [
            (hub, vec![hub_parts]),
            (r#"Basic realm="Registry, \"the\" one""#, vec![Challenge::Basic]),
            (
                r#"basic realm=x, BEARER Realm = "https://t" , service=s"#,
                vec![Challenge::Basic, bearer("https://t", Some("s"), None)],
            ),
            (r#"Negotiate YWJj==, Basic realm="x""#, vec![Challenge::Basic]),
            ("Negotiate, Basic", vec![Challenge::Basic]),
            (r#"Digest realm="x", nonce="y""#, vec![]),
            ("", vec![]),
        ] {
            assert_eq!(parse(header), Ok(expected), "{header}");
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for header in [
            "Bearer service=x",
            r#"Bearer realm="https://a",realm="https://b""#,
            r#"Bearer realm="https://a"#,
            r#"Bearer realm="https://a" service="x""#,
            "Bearer realm=\"a\u{7}\"",
            r#"Bearer realm="a\"#,
            r#""quoted""#,
            &format!("Basic realm=\"{}\"", "x".repeat(20_000)),
        ] {
            assert!(parse(header).is_err(), "{header}");
        }
    }

    /// Text of the pieces that challenges consist of.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(
            &["Bearer", "Basic", " ", ",", "=", "\"", "\\", "realm", "scope", "https://t", "\t", "é", "x"][..],
        );
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(header in prop_oneof![pieces(), any::<String>()]) {
            let _ = parse(&header);
        }

        #[test]
        fn what_is_quoted_is_read_back(realm in "[ -~]{0,40}", scope in "[ -~é]{0,40}") {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!(r#"Bearer realm="{}",scope="{}", Basic"#, quoted(&realm), quoted(&scope));
            prop_assert_eq!(parse(&header), Ok(vec![bearer(&realm, None, Some(&scope)), Challenge::Basic]));
        }
    }
}
