//! How COPY and ADD name their sources.

use crate::diagnostic::Diagnostic;
use crate::source::PathPattern;

use super::context::clamped;

/// One source: a path, or a pattern for several.
pub(super) struct SourcePattern {
    /// Its components; each is a pattern of its own unless there is a `**`.
    components: Vec<Component>,
    /// With `--parents`, how many components lie above the directories that are kept.
    pub(super) pivot: usize,
}

enum Component {
    Name(String),
    Pattern(PathPattern),
    /// `**`
    Any,
}

impl SourcePattern {
    /// Reads a source: relative to the root, `..` stays there. `deep` makes `**` stand for any directories, and `/./` the pivot.
    ///
    /// # Errors
    /// A malformed pattern.
    pub(super) fn new(text: &str, deep: bool) -> Result<Self, Diagnostic> {
        let (above, rest) = match text.split_once("/./").filter(|_| deep) {
            Some((above, rest)) => (above, rest),
            None => match text.strip_prefix("./") {
                Some(rest) => ("", rest),
                None => ("", text),
            },
        };
        let (above, rest) = (clamped(above.as_bytes()), clamped(rest.as_bytes()));
        let names = |path: &[u8]| -> Result<Vec<Component>, Diagnostic> {
            let text = String::from_utf8_lossy(path).into_owned();
            text.split('/').filter(|name| !name.is_empty()).map(|name| component(name, deep)).collect()
        };
        let above = names(&above)?;
        let pivot = above.len();
        Ok(SourcePattern { components: above.into_iter().chain(names(&rest)?).collect(), pivot })
    }

    /// Exactly this path.
    pub(super) fn literal(path: &str) -> Self {
        let names = path.split('/').filter(|name| !name.is_empty());
        SourcePattern { components: names.map(|name| Component::Name(name.to_owned())).collect(), pivot: 0 }
    }

    /// A pattern below a path.
    pub(super) fn below(path: &str, rest: &str) -> Result<Self, Diagnostic> {
        let mut pattern = SourcePattern::literal(path);
        pattern.components.extend(SourcePattern::new(rest, false)?.components);
        Ok(pattern)
    }

    /// True if it names one path.
    pub(super) fn is_literal(&self) -> bool {
        self.components.iter().all(|component| matches!(component, Component::Name(_)))
    }

    /// The path down to the first component that is a pattern.
    pub(super) fn top(&self) -> String {
        let names = self.components.iter().map_while(|component| match component {
            Component::Name(name) => Some(name.as_str()),
            _ => None,
        });
        names.collect::<Vec<_>>().join("/")
    }

    /// What stands below [`SourcePattern::top`], as text; nothing for a literal.
    pub(super) fn below_top(&self) -> String {
        let patterns = self.components.iter().skip_while(|component| matches!(component, Component::Name(_)));
        let text = patterns.map(|component| match component {
            Component::Name(name) => name.clone(),
            Component::Pattern(pattern) => pattern.text().to_owned(),
            Component::Any => "**".to_owned(),
        });
        text.collect::<Vec<_>>().join("/")
    }

    /// True if the path is one of those named.
    pub(super) fn is_match(&self, path: &[u8]) -> bool {
        matches(&self.components, &split(path))
    }

    /// True if the path, or a directory above it, is one of those named.
    pub(super) fn wants(&self, path: &[u8]) -> bool {
        let names = split(path);
        (0..=names.len()).any(|end| matches(&self.components, &names[..end]))
    }

    /// True if something below the path may be one of those named.
    pub(super) fn may_lead_to(&self, path: &[u8]) -> bool {
        let names = split(path);
        let any = self.components.iter().position(|component| matches!(component, Component::Any));
        match any.filter(|at| *at <= names.len()) {
            Some(at) => matches(&self.components[..at], &names[..at]),
            None => names.len() <= self.components.len() && matches(&self.components[..names.len()], &names),
        }
    }
}

fn component(name: &str, deep: bool) -> Result<Component, Diagnostic> {
    if name == "**" && deep {
        return Ok(Component::Any);
    }
    if !name.contains(['*', '?', '[', '\\']) {
        return Ok(Component::Name(name.to_owned()));
    }
    let mut single = name.to_owned();
    while single.contains("**") {
        single = single.replace("**", "*");
    }
    PathPattern::new(&single).map(Component::Pattern).map_err(|error| Diagnostic::spec(error.to_string()))
}

fn matches(components: &[Component], names: &[&[u8]]) -> bool {
    match (components.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Component::Any, rest)), _) => (0..=names.len()).any(|skipped| matches(rest, &names[skipped..])),
        (Some((first, rest)), Some((name, names))) => {
            let is_match = match first {
                Component::Name(own) => own.as_bytes() == *name,
                Component::Pattern(pattern) => pattern.matches(name),
                Component::Any => false,
            };
            is_match && matches(rest, names)
        }
        _ => false,
    }
}

fn split(path: &[u8]) -> Vec<&[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_paths_and_patterns() {
        for (text, deep, path, expected) in [
            ("a", false, "a", true),
            ("/a/", false, "a", true),
            ("../../a", false, "a", true),
            ("./a/../b", false, "b", true),
            (".", false, "", true),
            ("*.txt", false, "a.txt", true),
            ("*.txt", false, "d/a.txt", false),
            ("d/*", false, "d/a", true),
            ("**/a", false, "x/a", true),
            ("**/a", false, "x/y/a", false),
            ("**/a", true, "x/y/a", true),
            ("**/a", true, "a", true),
            ("x/./**/a", true, "x/y/a", true),
            ("h?me.[a-t]*", false, "home.txt", true),
            ("a\\*", false, "a*", true),
        ] {
            assert_eq!(SourcePattern::new(text, deep).unwrap().is_match(path.as_bytes()), expected, "{text} {path}");
        }
        let pattern = SourcePattern::new("a/b*/c", false).unwrap();
        assert!(pattern.may_lead_to(b"a/bb") && pattern.may_lead_to(b"a") && !pattern.may_lead_to(b"b"));
        assert!(pattern.wants(b"a/bb/c/d") && !pattern.wants(b"a/bb"));
        assert_eq!((pattern.top(), pattern.below_top()), ("a".into(), "b*/c".into()));
    }
}
