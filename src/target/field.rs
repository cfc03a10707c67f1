//! Values that several builtins share: owners and modes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `user[:group]`, each a number or a name in the image's own `/etc/passwd` and `/etc/group`.
///
/// For files without a group, a number stands for both, and a name takes its group from `/etc/passwd`, as BuildKit does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub user: Id,
    pub group: Option<Id>,
}

/// A user or group: by number, or by a name that the image resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    Number(u32),
    Name(String),
}

impl FromStr for Id {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            let number = text.parse().map_err(|_| FieldError::Id { text: text.to_owned() })?;
            return Ok(Id::Number(number));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-$".contains(&b);
        if text.is_empty() || text.starts_with('-') || !text.bytes().all(plain) {
            return Err(FieldError::Id { text: text.to_owned() });
        }
        Ok(Id::Name(text.to_owned()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => number.fmt(f),
            Id::Name(name) => name.fmt(f),
        }
    }
}

impl FromStr for Owner {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        match text.split_once(':') {
            Some((user, group)) => Ok(Owner { user: user.parse()?, group: Some(group.parse()?) }),
            None => Ok(Owner { user: text.parse()?, group: None }),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(f)?;
        self.group.iter().try_for_each(|group| write!(f, ":{group}"))
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer, "an owner, such as \"1000:1000\" or \"app\"")?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Owner {
    fn schema_name() -> Cow<'static, str> {
        "Owner".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`user[:group]`, each a number or a name in the image's own /etc/passwd and /etc/group. \
                For files without a group, a number stands for both, and a name takes its group from /etc/passwd.",
            "type": ["string", "integer"],
        })
    }
}

/// Permission bits with setuid, setgid and sticky: `"0644"` or `0o644`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl FromStr for Mode {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let octal = !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if octal && mode <= 0o7777 => Ok(Mode(mode)),
            _ => Err(FieldError::Mode { text: text.to_owned() }),
        }
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:04o}", self.0))
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ModeVisitor;

        impl Visitor<'_> for ModeVisitor {
            type Value = Mode;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a mode, such as \"0644\" or 0o644")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Mode, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Mode, E> {
                match u32::try_from(number) {
                    Ok(mode) if mode <= 0o7777 => Ok(Mode(mode)),
                    _ => Err(E::custom(FieldError::Mode { text: number.to_string() })),
                }
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Mode, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(-1))
            }
        }

        deserializer.deserialize_any(ModeVisitor)
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Permission bits with setuid, setgid and sticky: \"0644\" or 0o644.",
            "type": ["string", "integer"],
            "pattern": "^(0o)?[0-7]+$",
            "minimum": 0,
            "maximum": 0o7777,
        })
    }
}

/// A text that is not the value of a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    #[error("`{text}` is neither a number below 2^32 nor the name of a user or group")]
    Id { text: String },
    #[error("`{text}` is not a mode: it should be octal, from \"0000\" to \"7777\"")]
    Mode { text: String },
}

/// A string, or a number as its decimal text.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D, expected: &'static str) -> Result<String, D::Error> {
    struct TextVisitor(&'static str);

    impl Visitor<'_> for TextVisitor {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }

    deserializer.deserialize_any(TextVisitor(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_round_trip() {
        for text in ["0", "1000:1000", "app", "app:100", "4294967295:0"] {
            assert_eq!(text.parse::<Owner>().unwrap().to_string(), text);
        }
        for text in ["", ":", "1:", ":1", "4294967296", "-1", "a b", "1:2:3"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!("0644".parse(), Ok(Mode(0o644)));
        assert_eq!("0o4755".parse(), Ok(Mode(0o4755)));
        for text in ["", "+644", "888", "10000", "u+x"] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
    }
}
