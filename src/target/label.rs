//! Names of targets, and patterns that select several.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::path::WorkspacePath;

/// The name of a target: `//path:name`. `//path` is short for the target named after the directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    pub package: WorkspacePath,
    pub name: String,
}

impl Label {
    /// Parses `//path:name`, `//path`, or `:name` in the package where it is written.
    pub fn parse(text: &str, here: &WorkspacePath) -> Result<Self, LabelError> {
        let fail = |reason| Err(LabelError { text: text.to_owned(), reason });
        let (package, name) = match text.strip_prefix("//") {
            Some(rest) => {
                let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)));
                let Ok(package) = WorkspacePath::parse(path) else {
                    return fail("its path leads out of the workspace");
                };
                if package.as_str() != path {
                    return fail("its path has an empty or `.` component");
                }
                (package, name)
            }
            None => match text.strip_prefix(':') {
                Some(name) => (here.clone(), Some(name)),
                None => return fail("a label begins with `//` or `:`"),
            },
        };
        let Some(name) = name.or(package.file_name()) else {
            return fail("the workspace's root needs a name, as in `//:name`");
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return fail("a name is made of letters, digits, `.`, `_`, `-` and `+`");
        }
        Ok(Label { name: name.to_owned(), package })
    }

    /// True for a text that can only be meant as a label, not as an image reference.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with("//") || text.starts_with(':')
    }

    /// The name under which an image layout lists the target: the label without its leading `//`, and without the
    /// package where that is the root (image-spec, "Pre-Defined Annotation Keys", grammar of `ref.name`).
    pub fn ref_name(&self) -> String {
        if self.package.is_root() { self.name.clone() } else { format!("{}:{}", self.package, self.name) }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "//{}:{}", self.package, self.name)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What selects targets on a command line: a label, `//path:all` (or `:all`) for a package, `//path/...` for all
/// packages below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    One(Label),
    Package(WorkspacePath),
    Below(WorkspacePath),
}

impl Pattern {
    /// Parses a pattern as it is written in the directory of the package `here`.
    pub fn parse(text: &str, here: &WorkspacePath) -> Result<Self, LabelError> {
        let path = |path: &str| {
            WorkspacePath::parse(path)
                .map_err(|_| LabelError { text: text.to_owned(), reason: "its path leads out of the workspace" })
        };
        if text == "..." {
            return Ok(Pattern::Below(here.clone()));
        }
        if text == ":all" {
            return Ok(Pattern::Package(here.clone()));
        }
        if let Some(rest) = text.strip_prefix("//") {
            if rest == "..." {
                return Ok(Pattern::Below(WorkspacePath::root()));
            }
            if let Some(below) = rest.strip_suffix("/...") {
                return Ok(Pattern::Below(path(below)?));
            }
            if let Some(package) = rest.strip_suffix(":all") {
                return Ok(Pattern::Package(path(package)?));
            }
        }
        Label::parse(text, here).map(Pattern::One)
    }

    /// True if the pattern selects `label`.
    pub fn matches(&self, label: &Label) -> bool {
        match self {
            Pattern::One(one) => one == label,
            Pattern::Package(package) => *package == label.package,
            Pattern::Below(directory) => label.package.strip_prefix(directory).is_some(),
        }
    }
}

/// A text that is not a label, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a label: {reason}")]
pub struct LabelError {
    text: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> WorkspacePath {
        WorkspacePath::parse("shop/web").unwrap()
    }

    #[test]
    fn short_forms_name_the_same_target() {
        for text in ["//shop/web:web", "//shop/web", ":web"] {
            assert_eq!(Label::parse(text, &here()).unwrap().to_string(), "//shop/web:web");
        }
        assert_eq!(Label::parse("//:x", &here()).unwrap().ref_name(), "x");
    }

    #[test]
    fn what_is_not_a_label_is_rejected() {
        for text in ["web", "//", "//../x:y", "///x", "//a//b:c", "//a:", "//a:b c", "//a:b/c", "//a:b:c"] {
            assert!(Label::parse(text, &here()).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_select_packages_and_subtrees() {
        let label = Label::parse("//shop/web:web", &here()).unwrap();
        for text in ["//...", "//shop/...", "//shop/web/...", "...", ":all", "//shop/web:all", ":web"] {
            assert!(Pattern::parse(text, &here()).unwrap().matches(&label), "{text}");
        }
        for text in ["//shop:all", "//sho/...", ":other", "//shop/web/x/..."] {
            assert!(!Pattern::parse(text, &here()).unwrap().matches(&label), "{text}");
        }
    }
}
