//! Numbers in the fixed fields of a tar header.

/// The number in a header field: octal digits, or base-256 when the first byte's high bit is set (two's complement, as
/// GNU tar and star write it). An empty field is 0, as every reader has it. `None` if it is neither.
///
/// Digits may be surrounded by spaces, and what follows a NUL is not looked at; a sign or any other character is not
/// accepted, though `from_str_radix` and `strtol` would take `+5`.
pub(super) fn parse_field(field: &[u8]) -> Option<i128> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => {
            let sign = i128::from(first & 0x40);
            let start = i128::from(first & 0x3f) - sign;
            Some(rest.iter().fold(start, |value, &byte| value << 8 | i128::from(byte)))
        }
        _ => {
            let text = field.split(|&b| b == 0).next().unwrap_or_default().trim_ascii();
            text.iter().try_fold(0i128, |value, &digit| {
                matches!(digit, b'0'..=b'7').then(|| value << 3 | i128::from(digit - b'0'))
            })
        }
    }
}

/// A decimal number without sign or space, as PAX records have them. `None` also if it is above `u64::MAX`.
pub(super) fn parse_decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Seconds since 1970 in a PAX time, `-12.75`, rounded towards the past as encoding v1 keeps no fractions. `None` if it
/// is no such number or does not fit.
pub(super) fn parse_time(text: &[u8]) -> Option<i64> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let dot = text.iter().position(|&b| b == b'.');
    let (whole, fraction) = dot.map_or((text, &[][..]), |dot| (&text[..dot], &text[dot + 1..]));
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let whole = i128::from(parse_decimal(whole)?);
    let below = negative && fraction.iter().any(|&b| b != b'0');
    i64::try_from(if negative { -whole - i128::from(below) } else { whole }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_fields() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"777777777777", Some(0o777777777777)),
            (b"12\0 garbage", Some(0o12)),
            (b"\0\0\0", Some(0)),
            (b"     ", Some(0)),
            (b"+5\0", None),
            (b"-1\0", None),
            (b"8\0", None),
            (b"1 2\0", None),
            (b"0x1\0", None),
        ] {
            assert_eq!(parse_field(field), value, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn base_256_fields() {
        let mut field = [0; 12];
        field[0] = 0x80;
        field[11] = 5;
        assert_eq!(parse_field(&field), Some(5));
        assert_eq!(parse_field(&[0xff; 12]), Some(-1));
        assert_eq!(parse_field(&[0xff; 8]), Some(-1));
        assert_eq!(parse_field(&[0xbf, 0xff]), Some(0x3fff));
        assert_eq!(parse_field(&[0xc0, 0]), Some(-0x4000));
        field[1] = 1;
        assert_eq!(parse_field(&field), Some((1 << 80) + 5), "nothing is cut off");
    }

    #[test]
    fn decimals() {
        assert_eq!(parse_decimal(b"18446744073709551615"), Some(u64::MAX));
        for text in ["", "+5", "-1", "18446744073709551616", "1e3", " 1", "0x5"] {
            assert_eq!(parse_decimal(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_are_rounded_towards_the_past() {
        for (text, value) in [
            ("0", Some(0)),
            ("1700000000.999999999", Some(1_700_000_000)),
            ("-1.5", Some(-2)),
            ("-1.000", Some(-1)),
            ("-0.5", Some(-1)),
            ("5.", Some(5)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775808.1", None),
            (".5", None),
            ("1.5.5", None),
            ("+1", None),
            ("1e9", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(parse_time(text.as_bytes()), value, "{text}");
        }
    }
}
