//! The time of creation.

use jiff::Timestamp;

use crate::target::{ImageSpec, Settings};

use super::fields::problem;
use crate::image::ImageError;

/// The image's time of creation: the spec's as it is written, else the epoch in the form `1970-01-01T00:00:00Z`.
pub fn created(spec: &ImageSpec, settings: &Settings) -> Result<String, ImageError> {
    match &spec.created {
        Some(text) if is_rfc3339(text) => Ok(text.clone()),
        Some(text) => problem("created", format!("`{text}` is not a time such as \"2024-02-29T12:00:00Z\" (RFC 3339)")),
        None => {
            let epoch = Timestamp::from_second(settings.epoch.into());
            Ok(epoch.expect("a 32-bit number of seconds ends in the year 2106").to_string())
        }
    }
}

/// The form that Go's `time.RFC3339Nano` reads, as most readers of a config are written in Go: capital `T` and `Z`, no
/// leap second. jiff, which reads much more than that, then checks the calendar.
fn is_rfc3339(text: &str) -> bool {
    let digits = |text: &str| text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    let Some((date, rest)) = text.split_at_checked(19) else { return false };
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |rest| rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len());
    let zone = match (rest.starts_with('.'), fraction) {
        (true, 0) | (true, 10..) => return false,
        (true, n) => &rest[1 + n..],
        (false, _) => rest,
    };
    let offset = matches!(digits(zone).as_str(), "Z" | "+00:00" | "-00:00");
    digits(date) == "0000-00-00T00:00:00" && offset && &date[17..] < "60" && text.parse::<Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_reader_takes_is_a_time() {
        for text in ["2024-02-29T12:00:00Z", "2024-02-29T12:00:00.123456789+05:30", "1969-12-31T23:59:59-00:00"] {
            assert!(is_rfc3339(text), "{text}");
        }
        for text in [
            "",
            "now",
            "2024-02-29",
            "2024-02-29T12:00:00",
            "2024-02-29 12:00:00Z",
            "2024-02-29t12:00:00z",
            "2023-02-29T12:00:00Z",
            "2024-02-29T12:00:00.Z",
            "2024-02-29T12:00:00.1234567890Z",
            "2024-12-31T23:59:60Z",
            "2024-02-29T24:00:00Z",
            "2024-02-29T12:00:00Z[UTC]",
            "+02024-02-29T12:00:00Z",
            "2024-02-29T12:00:00+99:00",
            "２024-02-29T12:00:00Z",
        ] {
            assert!(!is_rfc3339(text), "{text}");
        }
    }
}
