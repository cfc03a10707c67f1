//! The days on which passwords changed.

use std::collections::BTreeSet;
use std::io;

use crate::entry::Kind;
use crate::path::ImagePath;
use crate::tree::Node;

use super::{Images, LARGEST};

/// `/etc/shadow`, and what its tools keep of the version before.
const FILES: [&[u8]; 2] = [b"etc/shadow", b"etc/shadow-"];

/// True for a file of which [`scrubbed`] reads what it was below.
pub(super) fn is_read(path: &ImagePath) -> bool {
    FILES.contains(&path.as_bytes())
}

/// The file at `path` with fixed days in the lines that the command made; `None` if nothing is to be changed.
///
/// A day after that of the epoch is that of the epoch, as it is with times. On the first day of 1970 the field is empty, since
/// 0 means that the password has to be changed (shadow(5)); useradd(8) does the same.
pub(super) fn scrubbed(path: &ImagePath, node: &Node, images: &Images) -> io::Result<Option<Vec<u8>>> {
    let Kind::File { content } = &node.kind else { return Ok(None) };
    if !FILES.contains(&path.as_bytes()) || content.size > LARGEST {
        return Ok(None);
    }
    let old = FILES.into_iter().map(|name| below(name, images)).collect::<io::Result<Vec<_>>>()?;
    let old: BTreeSet<&[u8]> = old.iter().flat_map(|text| text.split(|&b| b == b'\n')).collect();
    let text = content.read_all(LARGEST)?;
    let last = images.epoch.div_euclid(24 * 60 * 60);
    let lines = text.split(|&b| b == b'\n').map(|line| match old.contains(line) {
        true => line.to_vec(),
        false => clamped(line, last),
    });
    let scrubbed = lines.collect::<Vec<_>>().join(&b'\n');
    Ok((scrubbed != text).then_some(scrubbed))
}

/// A line with no later day than `last`.
fn clamped(line: &[u8], last: i64) -> Vec<u8> {
    let mut fields: Vec<&[u8]> = line.split(|&b| b == b':').collect();
    let day = fields.get(2).and_then(|day| std::str::from_utf8(day).ok()?.parse::<i64>().ok());
    let fixed = if last > 0 { last.to_string() } else { String::new() };
    if day.is_some_and(|day| day > last) {
        fields[2] = fixed.as_bytes();
    }
    fields.join(&b':')
}

/// A file of the image below; nothing if it is none.
fn below(name: &[u8], images: &Images) -> io::Result<Vec<u8>> {
    let node = ImagePath::parse(name).ok().and_then(|path| images.below.get(&path));
    match node.map(|node| &node.kind) {
        Some(Kind::File { content }) if content.size <= LARGEST => content.read_all(LARGEST),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_never_after_the_last() {
        let day = |line: &str, last| String::from_utf8(clamped(line.as_bytes(), last)).unwrap();
        assert_eq!(day("app:!:19700:0:99999:7:::", 19000), "app:!:19000:0:99999:7:::");
        assert_eq!(day("app:!:19700:0:99999:7:::", 0), "app:!::0:99999:7:::");
        assert_eq!(day("app:!:18000:0:99999:7:::", 19000), "app:!:18000:0:99999:7:::");
        for line in ["app:!:0:0:99999:7:::", "app:!::0:99999:7:::", "app:!", "", "app:!:soon:"] {
            assert_eq!(day(line, 0), line);
        }
    }
}
