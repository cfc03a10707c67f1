//! Patterns over paths: those of a `.dockerignore`, and those with which COPY names files.

/// Patterns of which the last that matches a path, or a directory above it, decides; one that begins with `!` takes back
/// what earlier ones matched. The syntax is that of `.dockerignore` (moby/patternmatcher): `*` and `?` within a name, `**`
/// for any directories, `[a-z]`, `[^a-z]`, and `\` before a character that is meant itself.
#[derive(Clone, Debug, Default)]
pub struct IgnorePatterns(Vec<(bool, PathPattern)>);

/// One pattern over whole paths.
#[derive(Clone, Debug)]
pub struct PathPattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Byte(u8),
    /// `?`
    Any,
    /// `*`
    Star,
    /// `**` at the end.
    Rest,
    /// `**/`: nothing, or what [`Part::Directories`] takes.
    MaybeDirectories,
    /// Any bytes, up to a slash.
    Directories,
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

/// A pattern that is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{0}` is malformed")]
pub struct PatternError(String);

impl IgnorePatterns {
    /// The lines of a `.dockerignore` that are patterns, as [`IgnorePatterns::new`] takes them: without comments, which begin
    /// in the first column, and cleaned.
    pub fn lines(text: &str) -> Vec<String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::trim).filter(|line| !line.is_empty());
        let cleaned = lines.map(|line| match line.strip_prefix('!').map(str::trim) {
            Some("") => "!".to_owned(),
            Some(pattern) => format!("!{}", clean(pattern)),
            None => clean(line),
        });
        cleaned.collect()
    }

    /// The patterns in their order.
    ///
    /// # Errors
    /// One that is malformed, or `!` alone.
    pub fn new(patterns: &[String]) -> Result<Self, PatternError> {
        let compile = |text: &String| {
            let (takes_back, pattern) = text.strip_prefix('!').map_or((false, text.as_str()), |rest| (true, rest));
            if pattern.is_empty() {
                return Err(PatternError(text.clone()));
            }
            PathPattern::new(&clean(pattern)).map(|pattern| (takes_back, pattern))
        };
        patterns.iter().map(compile).collect::<Result<_, _>>().map(IgnorePatterns)
    }

    /// True if the path, relative and without slashes at its ends, is ignored.
    pub fn is_ignored(&self, path: &[u8]) -> bool {
        self.0.iter().fold(false, |ignored, (takes_back, pattern)| match ignored == *takes_back {
            true if pattern.matches_or_above(path) => !takes_back,
            _ => ignored,
        })
    }

    /// True if something below an ignored directory may not be ignored.
    pub fn takes_back(&self) -> bool {
        self.0.iter().any(|(takes_back, _)| *takes_back)
    }
}

impl PathPattern {
    /// A pattern in which `**` stands for any directories.
    ///
    /// # Errors
    /// A `[` that is not closed, a range that runs backwards, a `\` at the end.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let malformed = || PatternError(text.to_owned());
        let mut parts = Vec::new();
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'*' if bytes.next_if_eq(&b'*').is_some() => {
                    while bytes.next_if_eq(&b'*').is_some() {}
                    match (bytes.next_if_eq(&b'/'), bytes.peek()) {
                        (None, None) => parts.push(Part::Rest),
                        _ => parts.extend([Part::MaybeDirectories, Part::Directories]),
                    }
                }
                b'*' => parts.push(Part::Star),
                b'?' => parts.push(Part::Any),
                b'\\' => parts.push(Part::Byte(bytes.next().ok_or_else(malformed)?)),
                b'[' => {
                    let negated = bytes.next_if_eq(&b'^').is_some();
                    let mut ranges = Vec::new();
                    loop {
                        let mut one = || match bytes.next() {
                            Some(b'\\') => bytes.next(),
                            byte => byte,
                        };
                        let low = one().ok_or_else(malformed)?;
                        if low == b']' && !ranges.is_empty() {
                            break;
                        }
                        let high = match bytes.next_if_eq(&b'-') {
                            Some(_) => bytes.next().ok_or_else(malformed)?,
                            None => low,
                        };
                        if high < low {
                            return Err(malformed());
                        }
                        ranges.push((low, high));
                    }
                    parts.push(Part::Class { negated, ranges });
                }
                byte => parts.push(Part::Byte(byte)),
            }
        }
        Ok(PathPattern { text: text.to_owned(), parts })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True if it matches the path. Time is the product of both lengths at most.
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut states = vec![false; self.parts.len() + 1];
        states[0] = true;
        self.pass(&mut states);
        for &byte in path {
            let mut next = vec![false; states.len()];
            for (at, part) in self.parts.iter().enumerate().filter(|(at, _)| states[*at]) {
                match part {
                    Part::Byte(own) => next[at + 1] |= *own == byte,
                    Part::Any => next[at + 1] |= byte != b'/',
                    Part::Star => next[at] |= byte != b'/',
                    Part::Rest => next[at] = true,
                    Part::MaybeDirectories => {}
                    Part::Directories => {
                        next[at] = true;
                        next[at + 1] |= byte == b'/';
                    }
                    Part::Class { negated, ranges } => {
                        let is_in = ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte));
                        next[at + 1] |= byte != b'/' && is_in != *negated;
                    }
                }
            }
            if next.iter().all(|state| !state) {
                return false;
            }
            self.pass(&mut next);
            states = next;
        }
        states.last().copied().unwrap_or(false)
    }

    /// True if it matches the path or a directory above it.
    pub fn matches_or_above(&self, path: &[u8]) -> bool {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        slashes.chain([path.len()]).any(|end| self.matches(&path[..end]))
    }

    /// Goes on past what may match nothing.
    fn pass(&self, states: &mut [bool]) {
        for (at, part) in self.parts.iter().enumerate() {
            match part {
                Part::Star | Part::Rest => states[at + 1] |= states[at],
                Part::MaybeDirectories => {
                    states[at + 1] |= states[at];
                    states[at + 2] |= states[at];
                }
                _ => {}
            }
        }
    }
}

/// The pattern without empty and `.` components, without a leading slash, and with `..` resolved as far as it goes.
fn clean(pattern: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    for component in pattern.split('/') {
        match component {
            "" | "." => {}
            ".." if components.last().is_some_and(|last| *last != "..") => drop(components.pop()),
            ".." if pattern.starts_with('/') => {}
            name => components.push(name),
        }
    }
    if components.is_empty() { ".".to_owned() } else { components.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_dockerignore() {
        for (pattern, path, expected) in [
            ("a", "a", true),
            ("a", "a/b/c", true),
            ("a", "ab", false),
            ("a", "x/a", false),
            ("*", "a", true),
            ("*", "a/b", true),
            ("*.md", "README.md", true),
            ("*.md", "docs/README.md", false),
            ("**/*.md", "README.md", true),
            ("**/*.md", "a/b/README.md", true),
            ("**", "a/b", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("**/b", "a/b/c", true),
            ("*/temp*", "some/temporary.txt", true),
            ("*/*/temp*", "a/b/temp", true),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("temp?", "temp/", false),
            ("[a-c].txt", "b.txt", true),
            ("[^a-c].txt", "b.txt", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("/a/", "a", true),
            ("./a//b/../c", "a/c", true),
            ("../a", "a", false),
        ] {
            let patterns = IgnorePatterns::new(&[pattern.to_owned()]).unwrap();
            assert_eq!(patterns.is_ignored(path.as_bytes()), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_match_wins() {
        let patterns =
            IgnorePatterns::new(&IgnorePatterns::lines("# c\n *.md \n!README*.md\nREADME-secret.md\n")).unwrap();
        let ignored = |path: &str| patterns.is_ignored(path.as_bytes());
        assert!(ignored("a.md") && ignored("README-secret.md"));
        assert!(!ignored("README.md") && !ignored("a.txt"));
        assert!(patterns.takes_back());
        assert_eq!(IgnorePatterns::lines("\u{feff}#c\n #d\n! a/\n/b\n\n"), ["#d", "!a", "b"]);
    }

    #[test]
    fn malformed_patterns_are_named() {
        for pattern in ["[a", "a\\", "[b-a]", "!"] {
            assert_eq!(IgnorePatterns::new(&[pattern.to_owned()]).unwrap_err(), PatternError(pattern.to_owned()));
        }
    }
}
