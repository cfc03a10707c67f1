//! The comments of a Dockerfile, each with the instruction above which it stands.

use crate::diagnostic::SourceText;
use crate::dockerfile::Dockerfile;

/// Comments as they are written, from their `#` on.
#[derive(Debug, Default)]
pub(super) struct Comments {
    /// Of the file, apart from its first instruction.
    pub(super) head: Vec<String>,
    /// Above each instruction and, where it is continued, in it.
    pub(super) of: Vec<Vec<String>>,
    /// Behind the last one.
    pub(super) tail: Vec<String>,
}

impl Comments {
    pub(super) fn read(source: &SourceText, dockerfile: &Dockerfile) -> Self {
        let text = source.text.as_str();
        let mut comments = Comments::default();
        let mut at = 0;
        for (index, instruction) in dockerfile.instructions.iter().enumerate() {
            let span = &instruction.span;
            let mut above = between(text, at, span.start, dockerfile.directives.escape);
            if index == 0 {
                let blank = text[..span.start].rfind("\n\n").or(text[..span.start].rfind("\n\r\n"));
                if let Some(blank) = blank {
                    comments.head = between(text, 0, blank + 1, dockerfile.directives.escape);
                    above = between(text, blank + 1, span.start, dockerfile.directives.escape);
                }
            }
            above.extend(within(span.text(), dockerfile.directives.escape));
            comments.of.push(above);
            at = span.end;
        }
        comments.tail = between(text, at, text.len(), dockerfile.directives.escape);
        comments
    }
}

/// The comments of lines in which no instruction stands.
fn between(text: &str, start: usize, end: usize, escape: char) -> Vec<String> {
    let mut lines = text[start..end].lines().map(|line| line.trim_start_matches('\u{feff}')).peekable();
    if start == 0 {
        // `# syntax=...` and the like say nothing to a reader.
        while lines.next_if(|line| is_directive(line)).is_some() {}
    }
    // What is left of the line of an instruction that ends in a continuation is no comment.
    lines.filter_map(|line| comment(line.trim_end_matches(escape))).collect()
}

/// The comments between the lines of one instruction; what a heredoc holds is none.
fn within(text: &str, escape: char) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        match comment(line) {
            Some(comment) => found.push(comment),
            None if line.trim().is_empty() || line.trim_end().ends_with(escape) => {}
            None => break,
        }
    }
    found
}

fn comment(line: &str) -> Option<String> {
    let text = line.trim().strip_prefix('#')?;
    // For a checker of Dockerfiles.
    if text.trim_start().starts_with("hadolint ") {
        return None;
    }
    let text = one_line(text.trim_end());
    Some(match text.chars().next() {
        Some(c) if !c.is_whitespace() && c != '#' && c != '!' => format!("# {text}"),
        _ => format!("#{text}"),
    })
}

/// A comment that ends where its line does. It may have the name of a file in it, and that the end of a line.
pub(super) fn one_line(comment: &str) -> String {
    comment.replace(|c: char| c.is_control() && c != '\t', " ")
}

fn is_directive(line: &str) -> bool {
    let key = line.trim().strip_prefix('#').and_then(|rest| rest.split_once('=')).map(|(key, _)| key.trim());
    key.is_some_and(|key| ["syntax", "escape", "check"].iter().any(|known| key.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_comment_finds_its_instruction() {
        let text = "# syntax=x\n# The shop.\n\n# Base\n#one\nFROM a\nRUN a \\\n  # in it\n  && b\nRUN <<E\n# no comment\nE\n\
            # last\n";
        let source = Arc::new(SourceText { name: "Dockerfile".into(), text: text.into() });
        let comments = Comments::read(&source, &crate::dockerfile::parse(&source).unwrap());
        assert_eq!(comments.head, ["# The shop."]);
        assert_eq!(comments.of, [vec!["# Base", "# one"], vec!["# in it"], vec![]]);
        assert_eq!(comments.tail, ["# last"]);
    }

    #[test]
    fn nothing_behind_a_comment_is_code() {
        assert_eq!(comment("# a\rprint(1)\u{85}b").as_deref(), Some("# a print(1) b"));
        assert_eq!(one_line("`a\nprint(1)`\t"), "`a print(1)`\t");
    }
}
