//! PAX extended headers (POSIX.1-2001, `pax`, "pax Extended Header").

use std::collections::BTreeMap;

use crate::archive::read::Fault;
use crate::archive::read::number::{parse_decimal, parse_time};
use crate::archive::read::xattr::{belongs_to_overlayfs, check_name, decode_name, decode_value};

/// What a PAX header says about the next entry. Of a repeated key the last value counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<i64>,
    pub major: Option<u64>,
    pub minor: Option<u64>,
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Names of attributes that were left out because they are overlayfs's own.
    pub dropped: Vec<String>,
}

impl Pax {
    /// Keys that say nothing about an entry as we keep it (`atime`, `uname`, `comment`, ...) and unknown ones are
    /// skipped, as POSIX asks for.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut pax = Pax::default();
        // bsdtar writes each attribute twice; where the two differ, what every other reader takes counts.
        let mut libarchive = BTreeMap::new();
        for record in Records(body) {
            let (key, value) = record?;
            match key {
                b"path" => pax.path = Some(text(value)?),
                b"linkpath" => pax.link = Some(text(value)?),
                b"size" => pax.size = Some(number("size", value)?),
                b"uid" => pax.uid = Some(number("uid", value)?),
                b"gid" => pax.gid = Some(number("gid", value)?),
                b"SCHILY.devmajor" => pax.major = Some(number("device number", value)?),
                b"SCHILY.devminor" => pax.minor = Some(number("device number", value)?),
                b"mtime" => {
                    let reason = "is not a number of seconds";
                    pax.mtime = Some(parse_time(value).ok_or(Fault::Number { field: "mtime", reason })?);
                }
                _ if key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize" => return Err(Fault::Sparse),
                _ => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        pax.xattrs.insert(check_name(name.to_vec())?, value.to_vec());
                    } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                        let name = decode_name(name).ok_or(Fault::Xattr("has a name that cannot be decoded"))?;
                        let value = decode_value(value).ok_or(Fault::Xattr("has a value that is not base64"))?;
                        libarchive.insert(check_name(name)?, value);
                    }
                }
            }
        }
        libarchive.into_iter().for_each(|(name, value)| {
            pax.xattrs.entry(name).or_insert(value);
        });
        pax.dropped = pax.xattrs.keys().filter(|name| belongs_to_overlayfs(name)).cloned().collect();
        pax.xattrs.retain(|name, _| !belongs_to_overlayfs(name));
        Ok(pax)
    }

    /// Checks a global header: `git archive` writes one with the commit as its `comment`. Any other key would change
    /// entries, and readers disagree about which.
    pub fn check_global(body: &[u8]) -> Result<(), Fault> {
        for record in Records(body) {
            let (key, _) = record?;
            if key != b"comment" {
                return Err(Fault::GlobalHeader { key: key.escape_ascii().to_string() });
            }
        }
        Ok(())
    }
}

/// A path or link. POSIX lets an empty value delete what the plain header says; who writes that means to confuse.
fn text(value: &[u8]) -> Result<Vec<u8>, Fault> {
    match value {
        [] => Err(Fault::Pax("has an empty path")),
        _ if value.contains(&0) => Err(Fault::Pax("has a path with a NUL byte")),
        _ => Ok(value.to_vec()),
    }
}

fn number(field: &'static str, value: &[u8]) -> Result<u64, Fault> {
    parse_decimal(value).ok_or(Fault::Number { field, reason: "is not a number, or is too large" })
}

/// The records of a body: `LENGTH KEY=VALUE\n`, where the length counts the whole record. A value may hold any byte,
/// also line feeds.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let record = self.split_first();
        if record.is_err() {
            self.0 = &[];
        }
        Some(record)
    }
}

impl<'a> Records<'a> {
    fn split_first(&mut self) -> Result<(&'a [u8], &'a [u8]), Fault> {
        let space = self.0.iter().take(20).position(|&b| b == b' ').ok_or(Fault::Pax("has no length"))?;
        let len = parse_decimal(&self.0[..space]).ok_or(Fault::Pax("has a length that is not a number"))?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (record, rest) = self.0.split_at_checked(len).ok_or(Fault::Pax("is longer than its header"))?;
        let pair = record.get(space + 1..).ok_or(Fault::Pax("is shorter than its own length"))?;
        let pair = pair.strip_suffix(b"\n").ok_or(Fault::Pax("does not end with a line feed"))?;
        let equals = pair.iter().position(|&b| b == b'=').ok_or(Fault::Pax("has no `=`"))?;
        if equals == 0 {
            return Err(Fault::Pax("has no key"));
        }
        self.0 = rest;
        Ok((&pair[..equals], &pair[equals + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_may_hold_any_byte_and_the_last_of_a_key_counts() {
        let pax = Pax::parse(b"25 SCHILY.xattr.user.a=\n\n9 path=a\n9 path=b\n13 unknown=1\n").unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"b"[..]));
        assert_eq!(pax.xattrs, BTreeMap::from([("user.a".to_owned(), b"\n".to_vec())]));
    }

    #[test]
    fn malformed_records_are_rejected() {
        for body in [
            &b"path=a\n"[..],
            b"x path=a\n",
            b"+9 path=a\n",
            b"-9 path=a\n",
            b" 9 path=a\n",
            b"0 path=a\n",
            b"1 path=a\n",
            b"2 path=a\n",
            b"8 path=a\n",
            b"11 path=a\n",
            b"99999999999999999999 path=a\n",
            b"18446744073709551615 path=a\n",
            b"8 path a\n",
            b"5 =a\n",
            b"9 path=a\n\0",
            b"9 path=a\n9 path=a",
        ] {
            assert!(matches!(Pax::parse(body), Err(Fault::Pax(_))), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn attributes_of_bsdtar_and_of_overlayfs() {
        let records = [
            (&b"LIBARCHIVE.xattr.user.a"[..], &b"Zm9v"[..]),
            (b"SCHILY.xattr.user.b", b"1"),
            (b"LIBARCHIVE.xattr.user.b", b"Zm9v"),
            (b"SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ];
        let body: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        let pax = Pax::parse(&body).unwrap();
        let kept: Vec<_> = pax.xattrs.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        assert_eq!(kept, [("user.a", &b"foo"[..]), ("user.b", b"1")]);
        assert_eq!(pax.dropped, ["trusted.overlay.opaque"]);
    }

    /// A record of 10 to 99 bytes.
    fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
        let length = 2 + 1 + key.len() + 1 + value.len() + 1;
        [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
    }

    #[test]
    fn a_global_header_may_only_comment() {
        Pax::check_global(b"").unwrap();
        Pax::check_global(b"14 comment=abc\n").unwrap_err();
        Pax::check_global(b"15 comment=abc\n").unwrap();
        let error = Pax::check_global(b"15 comment=abc\n9 path=x\n").unwrap_err();
        assert_eq!(error, Fault::GlobalHeader { key: "path".into() });
    }
}
