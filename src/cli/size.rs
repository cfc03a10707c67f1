//! Sizes as people write them.

use std::fmt;

pub(super) use crate::diagnostic::human_size;

/// Decimal and binary units, as `docker builder prune --keep-storage` takes them.
const UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1000),
    ("mb", 1000 * 1000),
    ("gb", 1000 * 1000 * 1000),
    ("tb", 1000 * 1000 * 1000 * 1000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// A number of bytes in an argument: `10GB`, `1.5GiB`, `500`. Without a unit, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl std::str::FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let unit = unit.trim_start().to_ascii_lowercase();
        let unit = if unit.is_empty() { "b" } else { &unit };
        let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotASize)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let whole: u64 = whole.parse().map_err(|_| NotASize)?;
        // Nine digits are more than anyone writes, and keep the product in range.
        let places = u32::try_from(fraction.len()).ok().filter(|places| (1..=9).contains(places)).ok_or(NotASize)?;
        let fraction: u128 = fraction.parse().map_err(|_| NotASize)?;
        let part = fraction * u128::from(*bytes) / 10u128.pow(places);
        let part = u64::try_from(part).map_err(|_| NotASize)?;
        whole.checked_mul(*bytes).and_then(|bytes| bytes.checked_add(part)).map(Size).ok_or(NotASize)
    }
}

/// Why a text is not a [`Size`].
#[derive(Debug)]
pub(super) struct NotASize;

impl fmt::Display for NotASize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it should look like 10GB, 500MB or 1.5GiB")
    }
}

impl std::error::Error for NotASize {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_both_kinds_of_units() {
        for (text, bytes) in [
            ("0", 0),
            ("500", 500),
            ("1kB", 1000),
            ("1.5 MB", 1_500_000),
            ("10gb", 10_000_000_000),
            ("1GiB", 1 << 30),
            ("0.5KiB", 512),
        ] {
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes), "{text}");
        }
        for text in ["", "GB", "-1", "1XB", "1..5MB", "1.MB", "1e3", "99999999999TB", "0.1234567890GB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
