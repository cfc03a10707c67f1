//! The variables that an instruction sees.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::platform::Platform;

use super::expand::{ExpandError, expand, expand_heredoc};
use super::word::Word;

/// Variables by name. Of ARG and ENV, the later one counts.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    escape: char,
    values: BTreeMap<String, String>,
}

impl Scope {
    pub(super) fn new(escape: char) -> Self {
        Scope { escape, values: BTreeMap::new() }
    }

    /// No variables, and the same escape character.
    pub(super) fn without_values(&self) -> Self {
        Scope::new(self.escape)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(super) fn set(&mut self, name: String, value: String) {
        self.values.insert(name, value);
    }

    /// The word with its variables expanded and its quotes gone.
    ///
    /// # Errors
    /// As [`expand`], at the word.
    pub(super) fn expand(&self, word: &Word) -> Result<String, Diagnostic> {
        expand(&word.value, self.escape, &self.lookup()).map_err(|error| failed(error, word))
    }

    /// As [`Scope::expand`], of the content of a heredoc that `word` opens.
    ///
    /// # Errors
    /// As [`expand_heredoc`], at the word.
    pub(super) fn expand_heredoc(&self, content: &str, word: &Word) -> Result<String, Diagnostic> {
        expand_heredoc(content, self.escape, &self.lookup()).map_err(|error| failed(error, word))
    }

    fn lookup(&self) -> impl Fn(&str) -> Option<String> {
        |name| self.values.get(name).cloned()
    }
}

fn failed(error: ExpandError, word: &Word) -> Diagnostic {
    let help = error.help();
    Diagnostic::spec(error.to_string()).at(word.span.clone()).help(help)
}

/// Arguments that have a value without being given one: those of a platform begin with `prefix`.
pub fn of_platform(prefix: &str, platform: &Platform) -> [(String, String); 4] {
    let Platform { os, architecture, variant, .. } = platform;
    let parts = [
        ("PLATFORM", platform.to_string()),
        ("OS", os.clone()),
        ("ARCH", architecture.clone()),
        ("VARIANT", variant.clone().unwrap_or_default()),
    ];
    parts.map(|(part, value)| (format!("{prefix}{part}"), value))
}

/// Arguments that need no ARG, in either case.
const PROXIES: [&str; 5] = ["all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy"];

/// True for an argument that needs no ARG: commands that have the network find it in their environment.
pub fn is_proxy(name: &str) -> bool {
    PROXIES.contains(&name.to_ascii_lowercase().as_str())
}
