//! What the command line lends to steps: secrets and ssh agents, by name.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Values that are in no key, record or message.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The values.
    pub values: BTreeMap<String, Vec<u8>>,
    /// The sockets of ssh agents.
    pub agents: BTreeMap<String, PathBuf>,
}

/// What stands for a secret in what a step writes.
const HIDDEN: &str = "***";
/// A shorter text is not looked for: it would be found everywhere.
const SHORTEST: usize = 4;

impl Secrets {
    /// A text without the secrets of these names, of which each line is looked for by itself.
    pub(super) fn hidden<'a>(&self, ids: impl IntoIterator<Item = &'a String>, text: &str) -> String {
        let values = ids.into_iter().filter_map(|id| self.values.get(id));
        let texts: Vec<String> = values.map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim).filter(|line| line.len() >= SHORTEST);
        let mut lines: Vec<&str> = lines.collect();
        // What is left of a longer one, once a shorter one in it is hidden, would not be found.
        lines.sort_by_key(|line| Reverse(line.len()));
        lines.into_iter().fold(text.to_owned(), |text, line| text.replace(line, HIDDEN))
    }
}

/// The names only.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).entries(self.agents.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_writes_a_secret_is_shown_without_it() {
        let value = |text: &str| text.as_bytes().to_vec();
        let values = [("key", value("-----BEGIN\nMIIE0\n--\n")), ("pin", value("123"))];
        let values = values.into_iter().map(|(id, value)| (id.to_owned(), value)).collect();
        let secrets = Secrets { values, agents: BTreeMap::new() };
        let ids = ["key".to_owned(), "pin".to_owned()];
        assert_eq!(secrets.hidden(&ids, "-----BEGIN MIIE0 123 --"), "*** *** 123 --");
        assert_eq!(secrets.hidden(&ids[1..], "MIIE0"), "MIIE0");
        let values = [("a", value("pass")), ("b", value("password1"))].map(|(id, value)| (id.to_owned(), value));
        let nested = Secrets { values: values.into(), agents: BTreeMap::new() };
        assert_eq!(nested.hidden(&["a".to_owned(), "b".to_owned()], "password1 pass"), "*** ***");
        assert!(!format!("{secrets:?}").contains("MIIE0"));
    }
}
