//! Heredocs: `<<NAME` in an instruction, and the lines behind it.

use std::ops::Range;

/// A text that stands behind an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The name of the file that it makes.
    pub name: String,
    pub content: String,
    /// Variables in it are expanded: its name was not quoted.
    pub expand: bool,
    /// `<<-`: tabs at the beginning of its lines are dropped.
    pub(super) chomp: bool,
}

/// The heredocs that a line opens, each with its place in the line. Only RUN, COPY and ADD have any, also behind ONBUILD, and
/// not in their JSON form.
pub(super) fn openings(line: &str, escape: char) -> Vec<(Range<usize>, Heredoc)> {
    let mut rest = line.trim_start();
    loop {
        let (keyword, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = arguments.trim_start();
        match keyword.to_ascii_uppercase().as_str() {
            "ONBUILD" => continue,
            "RUN" | "COPY" | "ADD" if !rest.starts_with('[') => break,
            _ => return Vec::new(),
        }
    }
    let begin = line.len() - rest.len();
    let words = words(rest, escape).into_iter();
    words.filter_map(|word| Some((word.start + begin..word.end + begin, opening(&rest[word])?))).collect()
}

/// The heredoc that a word opens: `<<NAME`, `<<-NAME`, `3<<"NAME"`.
pub(super) fn opening(word: &str) -> Option<Heredoc> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (chomp, quoted) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let name: String = quoted.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    if name.is_empty() || name.contains('<') {
        return None;
    }
    let expand = name == quoted;
    Some(Heredoc { name, content: String::new(), expand, chomp })
}

/// The words of a text, as a shell would separate them; quotes stay.
fn words(text: &str, escape: char) -> Vec<Range<usize>> {
    let (mut words, mut start, mut quote) = (Vec::new(), None, None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => words.extend(start.take().map(|start| start..at)),
            _ => {
                start.get_or_insert(at);
                if c == escape && quote != Some('\'') {
                    chars.next();
                } else if quote == Some(c) {
                    quote = None;
                } else if quote.is_none() && matches!(c, '"' | '\'') {
                    quote = Some(c);
                }
            }
        }
    }
    words.extend(start.map(|start| start..text.len()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heredoc_is_a_word_of_its_own() {
        let names = |line: &str| openings(line, '\\').into_iter().map(|(_, h)| h.name).collect::<Vec<_>>();
        let cases: &[(&str, &[&str])] = &[
            ("RUN <<EOF", &["EOF"]),
            ("run cat <<EOF > /x", &["EOF"]),
            ("ONBUILD COPY <<A <<'B' /x/", &["A", "B"]),
            ("RUN 3<<-X cat", &["X"]),
            ("RUN cat <<<EOF", &[]),
            ("RUN echo '<<EOF'", &[]),
            ("RUN echo a<<EOF", &[]),
            ("RUN [\"<<EOF\"]", &[]),
            ("CMD cat <<EOF", &[]),
            ("ENV a=<<EOF", &[]),
        ];
        for (line, expected) in cases {
            assert_eq!(names(line), *expected, "{line}");
        }
    }
}
