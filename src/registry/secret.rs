//! Passwords and tokens, which no message shows.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::query;

/// A password or a token. Formatted it is `...`, whatever it holds.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself, for the wire and for files of credentials.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` without the secret, as it is, in base64 or as a form has it: servers and helpers may repeat what they were
    /// told.
    pub(super) fn redacted(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        let encoded = STANDARD.encode(&self.0);
        let forms = [&self.0, encoded.as_str(), encoded.trim_end_matches('='), &query::encoded(&self.0)];
        forms.into_iter().fold(text.to_owned(), |text, form| text.replace(form, "..."))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// A message of others in one line of bounded length: control characters become spaces, what is too much is left out.
pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let words: String = text.chars().take(4 * LONGEST).map(visible).collect();
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "... ... Some(...)");
        assert_eq!(secret.redacted("Basic aHVudGVyMg== for hunter2"), "Basic ... for ...");
        assert_eq!(Secret::new("").redacted("as it is"), "as it is");
    }

    #[test]
    fn messages_of_others_are_one_short_line() {
        assert_eq!(one_line(" a\u{1b}[31m\r\nb\t c "), "a [31m b c");
        assert_eq!(one_line(&"x".repeat(10_000)).len(), 403);
    }
}
