//! Lists of tags (distribution-spec, "Listing Tags"), and the pages of lists.

use std::collections::BTreeSet;
use std::time::Instant;

use serde::Deserialize;
use ureq::Body;
use ureq::http::{Method, Response, Uri};

use crate::http::{is_same_origin, redirected, shown};
use crate::oci::{Reference, Repository};

use super::client::{Action, Client};
use super::error::RegistryError;
use super::exchange::{Exchange, Request, in_time, text};

/// The largest page, in bytes.
const LARGEST_PAGE: u64 = 4 << 20;

/// The largest list, in bytes; what is kept of it is in memory.
const LARGEST_LIST: u64 = 64 << 20;

/// The most pages of a list.
const MOST_PAGES: usize = 1000;

/// The most tags of a repository.
const MOST_TAGS: usize = 1 << 20;

#[derive(Deserialize)]
struct Page {
    /// `null` from some registries that have none.
    tags: Option<Vec<String>>,
}

impl Client {
    /// The tags of a repository, sorted.
    ///
    /// # Errors
    /// There is no such repository; its list leads elsewhere or does not end.
    pub fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError> {
        let exchange = self.writing(repository, Action::Pull)?;
        let url = exchange.endpoint.url(&repository.path, "tags/list");
        let mut tags = BTreeSet::new();
        let found = exchange.pages(&url, |request, bytes| {
            let page: Page = serde_json::from_slice(bytes)
                .map_err(|error| request.malformed(format!("the list of tags is not valid: {error}")))?;
            for tag in page.tags.into_iter().flatten() {
                // A tag is shown to people and put into URLs.
                if !Reference::is_tag(&tag) {
                    return Err(request.malformed(format!("{tag:?} is not a tag")));
                }
                tags.insert(tag);
            }
            if tags.len() > MOST_TAGS {
                return Err(request.malformed(format!("more than {MOST_TAGS} tags")));
            }
            Ok(())
        })?;
        let missing = || RegistryError::NotFound {
            registry: repository.registry.clone(),
            what: format!("repository {}", repository.path),
        };
        found.then(|| tags.into_iter().collect()).ok_or_else(missing)
    }
}

impl Exchange<'_> {
    /// Reads a list page by page; false if there is none. The time for a document is for all of it.
    pub(super) fn pages(
        &self,
        url: &str,
        mut page: impl FnMut(&Request, &[u8]) -> Result<(), RegistryError>,
    ) -> Result<bool, RegistryError> {
        let deadline = Instant::now() + self.client.options.http.total;
        let mut left = LARGEST_LIST;
        let mut request = Request::new(Method::GET, url)?;
        for _ in 0..MOST_PAGES {
            let read = self.attempts(|attempts| {
                let response = self.send(&request)?;
                match response.status().as_u16() {
                    200 => {}
                    404 => return Ok(None),
                    _ => return Err(self.unexpected(&request, response)),
                }
                let next = next_page(&request, &response)?;
                Ok(Some((self.body(&request, response, LARGEST_PAGE, attempts.deadline().min(deadline))?, next)))
            })?;
            in_time(&request, deadline).map_err(|failed| failed.error)?;
            let Some((bytes, next)) = read else { return Ok(false) };
            let too_large = || RegistryError::TooLarge { request: request.line(), limit: LARGEST_LIST };
            left = left.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
            page(&request, &bytes)?;
            match next {
                Some(next) => request = Request::new(Method::GET, &next.to_string())?,
                None => return Ok(true),
            }
        }
        Err(request.malformed(format!("the list has more than {MOST_PAGES} pages")))
    }
}

/// Where `Link` says that the list goes on (RFC 8288).
fn next_page(request: &Request, response: &Response<Body>) -> Result<Option<Uri>, RegistryError> {
    let Some(reference) = text(response, "link").and_then(next_link) else { return Ok(None) };
    let fail = |reason: &str| request.malformed(format!("the list goes on at `{}`: {reason}", shown(reference)));
    let next = redirected(&request.url, reference).map_err(fail)?;
    if is_same_origin(&next, &request.url) { Ok(Some(next)) } else { Err(fail("that is another host")) }
}

/// The target of the first link to the next page, of the links of one header.
fn next_link(header: &str) -> Option<&str> {
    let is_next = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        let mut relations = value.trim().trim_matches('"').split_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
    };
    let mut others = header;
    loop {
        let (reference, rest) = others.trim_start_matches([' ', '\t', ',']).strip_prefix('<')?.split_once('>')?;
        let (mut parameters, next) = cut(rest, ',');
        while !parameters.is_empty() {
            let (parameter, further) = cut(parameters, ';');
            if is_next(parameter) {
                return Some(reference);
            }
            parameters = further;
        }
        others = next;
    }
}

/// What is before the first `separator` that is not in quotes, and what is behind it.
fn cut(text: &str, separator: char) -> (&str, &str) {
    let mut quoted = false;
    let at = text.find(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    });
    at.map_or((text, ""), |at| (&text[..at], &text[at + separator.len_utf8()..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_to_the_next_page_are_read() {
        for (link, expected) in [
            (r#"</v2/a/tags/list?n=2&last=b>; rel="next""#, Some("/v2/a/tags/list?n=2&last=b")),
            ("<x>;title=y; REL=Next", Some("x")),
            (r#"<x>; rel="prev""#, None),
            ("x; rel=next", None),
            ("<x", None),
            ("<a>; rel=prev, <b>; rel=\"last next\"", Some("b")),
            ("<a>; title=\"x, <b>; rel=next\"", None),
            (&",<".repeat(10_000), None),
            (&"<>,".repeat(10_000), None),
        ] {
            assert_eq!(next_link(link), expected, "{link}");
        }
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece =
            prop::sample::select(&["<", ">", ";", ",", "\"", "rel=next", "rel=\"", "next", " ", "/v2", "é"][..]);
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_header_of_links_is_read(header in prop_oneof![pieces(), any::<String>()]) {
            let found = next_link(&header);
            let is_in_brackets = |found: &str| header.contains(&["<", found, ">"].concat());
            prop_assert!(found.is_none_or(is_in_brackets));
        }
    }
}
