//! Extended attributes as PAX records hold them.

use crate::archive::read::Fault;

/// The name behind `LIBARCHIVE.xattr.`, in which some bytes are written `%41`.
pub(super) fn decode_name(text: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                name.push((digit(high)? * 16 + digit(low)?) as u8);
                tail
            }
            (b'%', _) => return None,
            (&byte, tail) => {
                name.push(byte);
                tail
            }
        };
    }
    Some(name)
}

/// A value behind `LIBARCHIVE.xattr.`: base64 (RFC 4648, section 4), with or without padding.
pub(super) fn decode_value(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|&&b| b == b'=').count();
    let digits = &text[..text.len() - padding];
    if padding > 2 || digits.len() % 4 == 1 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut value = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let bits = group.iter().try_fold(0u32, |bits, &digit| Some(bits << 6 | sextet(digit)?))?;
        let bytes = (bits << (8 * 4 - 6 * group.len())).to_be_bytes();
        value.extend_from_slice(&bytes[..group.len() * 3 / 4]);
    }
    Some(value)
}

fn sextet(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// An attribute's name as text.
pub(super) fn check_name(name: Vec<u8>) -> Result<String, Fault> {
    match String::from_utf8(name) {
        Ok(name) if name.is_empty() => Err(Fault::Xattr("has no name")),
        Ok(name) if name.contains('\0') => Err(Fault::Xattr("has a NUL byte in its name")),
        Ok(name) => Ok(name),
        Err(_) => Err(Fault::Xattr("has a name that is not UTF-8")),
    }
}

/// True for the attributes in which overlayfs keeps whiteouts, opaque marks and redirects. One that came out of an
/// archive into an upper or lower directory would hide or show files that no layer names.
pub(super) fn belongs_to_overlayfs(name: &str) -> bool {
    name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        for (text, value) in [
            ("", Some(&b""[..])),
            ("Zg", Some(b"f")),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYmE", Some(b"fooba")),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
            ("Z", None),
            ("Zg=", None),
            ("Z===", None),
            ("====", None),
            ("Zm9v====", None),
            ("Zm-v", None),
        ] {
            assert_eq!(decode_value(text.as_bytes()).as_deref(), value, "{text}");
        }
    }

    #[test]
    fn names_behind_percent_signs() {
        assert_eq!(decode_name(b"user.a%3db%25").as_deref(), Some(&b"user.a=b%"[..]));
        assert_eq!(decode_name(b"user.%4"), None);
        assert_eq!(decode_name(b"user.%xx"), None);
    }
}
