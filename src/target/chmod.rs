//! Modes as `--chmod` gives them.

use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::field::{FieldError, Mode};

/// How the mode of a file changes: `0644`, or `u=rwX,go=rX` as chmod(1) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chmod {
    text: String,
    change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Mode(u32),
    Clauses(Vec<Clause>),
}

/// Whose permissions, `+`, `-` or `=`, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Clause {
    /// Of user, group and others.
    who: [bool; 3],
    operator: char,
    permissions: String,
}

impl Chmod {
    /// The mode that a file or directory with `mode` gets.
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match &self.change {
            Change::Mode(mode) => *mode,
            Change::Clauses(clauses) => clauses.iter().fold(mode, |mode, clause| clause.apply(mode, is_directory)),
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let executable = is_directory || mode & 0o111 != 0;
        let (mut bits, mut special) = (0, 0);
        for permission in self.permissions.chars() {
            match permission {
                'r' => bits |= 4,
                'w' => bits |= 2,
                'x' => bits |= 1,
                'X' if executable => bits |= 1,
                's' => special |= if self.who[0] { 0o4000 } else { 0 } | if self.who[1] { 0o2000 } else { 0 },
                't' => special |= 0o1000,
                'u' => bits |= mode >> 6 & 7,
                'g' => bits |= mode >> 3 & 7,
                'o' => bits |= mode & 7,
                _ => {}
            }
        }
        let spread = |bits: u32| {
            let shifted = [6, 3, 0].iter().zip(self.who).filter(|(_, is_meant)| *is_meant);
            shifted.fold(0, |all, (shift, _)| all | bits << shift)
        };
        match self.operator {
            '+' => mode | spread(bits) | special,
            '-' => mode & !(spread(bits) | special),
            _ => mode & !spread(7) | spread(bits) | special,
        }
    }
}

impl FromStr for Chmod {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let fail = || FieldError::Mode { text: text.to_owned() };
        let change = if text.starts_with(|c: char| c.is_ascii_digit()) {
            Change::Mode(text.parse::<Mode>()?.0)
        } else {
            Change::Clauses(
                text.split(',').map(|clause| parse_clause(clause).ok_or_else(fail)).collect::<Result<_, _>>()?,
            )
        };
        Ok(Chmod { text: text.to_owned(), change })
    }
}

fn parse_clause(text: &str) -> Option<Clause> {
    let at = text.find(['+', '-', '='])?;
    let (who, rest) = text.split_at(at);
    let mut chars = rest.chars();
    let (operator, permissions) = (chars.next()?, chars.as_str());
    let known = who.chars().all(|c| "ugoa".contains(c)) && permissions.chars().all(|c| "rwxXstugo".contains(c));
    let is_meant = |letter: char| who.is_empty() || who.contains([letter, 'a']);
    known.then(|| Clause { who: ['u', 'g', 'o'].map(is_meant), operator, permissions: permissions.to_owned() })
}

impl Serialize for Chmod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_with_chmod() {
        for (text, mode, is_directory, expected) in [
            ("755", 0o600, false, 0o755),
            ("01777", 0o600, true, 0o1777),
            ("u+x", 0o644, false, 0o744),
            ("a-w", 0o666, false, 0o444),
            ("+x", 0o644, false, 0o755),
            ("go=", 0o777, false, 0o700),
            ("u=rwX,go=rX", 0o640, false, 0o644),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("a+X", 0o744, false, 0o755),
            ("g=u", 0o640, false, 0o660),
            ("u+s,g+s", 0o755, false, 0o6755),
            ("+t", 0o777, true, 0o1777),
        ] {
            assert_eq!(text.parse::<Chmod>().unwrap().apply(mode, is_directory), expected, "{text} {mode:o}");
        }
        for text in ["", "888", "10000", "x", "u", "u?x", "k+x", "u+q", "u+x,"] {
            assert!(text.parse::<Chmod>().is_err(), "{text}");
        }
    }
}
