//! Parser directives: `# key=value` on the first lines of a Dockerfile.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText, Span};

/// What the directives say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// The character that continues a line and takes the next one's meaning away: `\` or a backtick.
    pub escape: char,
    /// The frontend that BuildKit would load. Nothing is loaded here.
    pub syntax: Option<String>,
    /// What `docker build --check` is told.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Directives { escape: '\\', syntax: None, check: None }
    }
}

impl Directives {
    /// Reads the directives. They end at the first line that is none: an empty one, another comment, an unknown key, an
    /// instruction.
    ///
    /// # Errors
    /// A key that is given twice, an escape character that is neither of the two.
    pub(super) fn read(source: &Arc<SourceText>) -> Result<Self, Diagnostic> {
        let mut directives = Directives::default();
        let mut seen: Vec<String> = Vec::new();
        let mut start = bom(&source.text);
        for line in source.text[start..].split_inclusive('\n') {
            let span = Span { source: source.clone(), start, end: start + line.trim_end().len() };
            start += line.len();
            let Some((key, value)) = line.trim().strip_prefix('#').and_then(|rest| rest.split_once('=')) else { break };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim().to_owned());
            if !matches!(key.as_str(), "syntax" | "escape" | "check") {
                break;
            }
            if seen.contains(&key) {
                let error = Diagnostic::spec(format!("the directive `{key}` is given twice")).at(span);
                return Err(error.label("the second").help("take one of them away"));
            }
            match key.as_str() {
                "syntax" => directives.syntax = Some(value),
                "check" => directives.check = Some(value),
                _ => match value.as_str() {
                    "\\" | "`" => directives.escape = value.chars().next().unwrap_or('\\'),
                    _ => {
                        let error = Diagnostic::spec(format!("`{value}` cannot be the escape character")).at(span);
                        return Err(error.help("it is `\\` or a backtick"));
                    }
                },
            }
            seen.push(key);
        }
        Ok(directives)
    }
}

/// Bytes of a byte order mark at the beginning.
pub(super) fn bom(text: &str) -> usize {
    if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Directives, Diagnostic> {
        Directives::read(&Arc::new(SourceText { name: "Dockerfile".into(), text: text.into() }))
    }

    #[test]
    fn directives_stand_at_the_very_top() {
        for (text, escape) in [
            ("# escape=`\nFROM a", '`'),
            ("\u{feff}#ESCAPE = `\n", '`'),
            ("# syntax=docker/dockerfile:1\n# escape=`\n", '`'),
            ("\n# escape=`\n", '\\'),
            ("# a comment\n# escape=`\n", '\\'),
            ("# unknown=x\n# escape=`\n", '\\'),
            ("FROM a\n# escape=`\n", '\\'),
        ] {
            assert_eq!(read(text).unwrap().escape, escape, "{text:?}");
        }
        assert_eq!(read("# check=skip=all;error=true").unwrap().check.as_deref(), Some("skip=all;error=true"));
    }

    #[test]
    fn what_is_wrong_with_a_directive_is_said() {
        assert_eq!(read("# escape=x\n").unwrap_err().to_string(), "`x` cannot be the escape character");
        let error = read("# escape=`\n# Escape=`\n").unwrap_err();
        assert_eq!(error.span().unwrap().line(), 2);
    }
}
