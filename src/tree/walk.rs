//! Following a path inside the root.

use std::borrow::Cow;
use std::ops::Range;

use crate::entry::Kind;
use crate::path::ImagePath;
use crate::tree::error::TreeError;

/// As many symbolic links as the kernel follows in one path (path_resolution(7)). Their texts together are bounded too, so
/// that a layer cannot make each of its entries cost thousands of steps.
const MAX_LINKS: usize = 40;

/// Where `path` leads, in a tree that `lookup` knows by full path (`None`: nothing there). Links are followed below the
/// root: absolute ones start there, and `..` stops there. The last component is followed if `follow_last`. Components
/// that do not exist are taken as directories that will be made, so the result need not exist.
///
/// # Errors
/// [`TreeError::SymlinkLoop`]; [`TreeError::ParentNotDirectory`] when the path passes through a file;
/// [`TreeError::Path`] when it becomes too long.
pub(super) fn walk<'a>(
    lookup: impl Fn(&[u8]) -> Option<&'a Kind>,
    path: &ImagePath,
    follow_last: bool,
) -> Result<ImagePath, TreeError> {
    let mut here: Vec<u8> = Vec::new();
    let mut rest = Cow::Borrowed(path.as_bytes());
    let mut at = 0;
    let (mut links, mut text) = (0, 0);
    while let Some(range) = next_component(&rest, at) {
        at = range.end;
        let parent_len = here.len();
        match &rest[range] {
            b"." => continue,
            b".." => {
                here.truncate(here.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                continue;
            }
            name => {
                if !here.is_empty() {
                    here.push(b'/');
                }
                here.extend_from_slice(name);
            }
        }
        let is_last = next_component(&rest, at).is_none();
        match lookup(&here) {
            None | Some(Kind::Directory) => {}
            Some(Kind::Symlink { target }) if !is_last || follow_last => {
                links += 1;
                text += target.len();
                if links > MAX_LINKS || text > ImagePath::MAX_LEN {
                    return Err(TreeError::SymlinkLoop { path: path.clone() });
                }
                here.truncate(if target.first() == Some(&b'/') { 0 } else { parent_len });
                rest = Cow::Owned([target, &b"/"[..], &rest[at..]].concat());
                at = 0;
            }
            Some(_) if is_last => {}
            Some(kind) => {
                let parent = ImagePath::parse(&here)?;
                return Err(TreeError::ParentNotDirectory { path: path.clone(), parent, kind: kind.name() });
            }
        }
    }
    Ok(ImagePath::parse(here)?)
}

/// The next run of bytes that are not slashes, from `from` on.
fn next_component(path: &[u8], from: usize) -> Option<Range<usize>> {
    let start = from + path[from..].iter().position(|&byte| byte != b'/')?;
    let len = path[start..].iter().position(|&byte| byte == b'/').unwrap_or(path.len() - start);
    Some(start..start + len)
}
