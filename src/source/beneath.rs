//! Opening a path below a directory without ever leaving it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// What becomes of symbolic links on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// They are followed; one that is absolute or leads out is [`Errno::XDEV`]. With [`OFlags::NOFOLLOW`] the last
    /// component is taken as it is.
    Inside,
    /// [`Errno::LOOP`].
    Never,
}

/// Opens `path`, relative to and beneath `root`; the empty path is `root` itself.
pub(super) fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
    let resolve = match links {
        Links::Inside => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        Links::Never => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    };
    let flags = flags | OFlags::CLOEXEC;
    let name = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    // The kernel gives AGAIN when something was renamed under a `..` of a link: it cannot tell, so we ask again.
    for _ in 0..16 {
        match rustix::fs::openat2(root, name, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => continue,
            // Linux before 5.6; a seccomp filter older than the call refuses it with PERM.
            Err(Errno::NOSYS | Errno::PERM) => break,
            result => return result,
        }
    }
    open_by_steps(root, path, flags, links)
}

/// As [`open`], one component at a time, for kernels that lack `openat2`. `..` goes back to a descriptor that was
/// passed on the way here, so a directory that is moved meanwhile leads nowhere else.
fn open_by_steps(root: BorrowedFd<'_>, path: &Path, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
    const MOST_LINKS: usize = 40; // as the kernel, path_resolution(7)
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut ahead = components(path.as_os_str());
    let mut followed = 0;
    while let Some(name) = ahead.pop() {
        let here = passed.last().map_or(root, |directory| directory.as_fd());
        if name == "." {
            continue;
        }
        if name == ".." {
            passed.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let last = ahead.is_empty();
        let step = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat(here, &name, step, Mode::empty())?;
        match FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) {
            FileType::Symlink if !(last && links == Links::Inside && flags.contains(OFlags::NOFOLLOW)) => {
                followed += 1;
                if links == Links::Never || followed > MOST_LINKS {
                    return Err(Errno::LOOP);
                }
                let text = rustix::fs::readlinkat(&found, "", Vec::new())?.into_bytes();
                if text.starts_with(b"/") {
                    return Err(Errno::XDEV);
                }
                ahead.extend(components(&OsString::from_vec(text)));
            }
            _ if last => return rustix::fs::openat(here, &name, flags | OFlags::NOFOLLOW, Mode::empty()),
            FileType::Directory => passed.push(found),
            _ => return Err(Errno::NOTDIR),
        }
    }
    let here = passed.last().map_or(root, |directory| directory.as_fd());
    rustix::fs::openat(here, ".", flags, Mode::empty())
}

/// The components, last first.
fn components(path: &OsStr) -> Vec<OsString> {
    let names = path.as_bytes().split(|&b| b == b'/').filter(|name| !name.is_empty());
    names.rev().map(|name| OsStr::from_bytes(name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    type Opener = fn(BorrowedFd<'_>, &Path, OFlags, Links) -> Result<OwnedFd, Errno>;

    /// Both ways must agree on every row.
    fn both(check: impl Fn(&dyn Fn(&str, OFlags, Links) -> Result<String, Errno>)) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("w");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(directory.path().join("secret"), "secret").unwrap();
        fs::write(root.join("a/b/f"), "inside").unwrap();
        for (target, link) in [
            ("b/f", "a/link"),
            ("../a/b", "a/up"),
            ("../../w/a/b/f", "a/out_and_in"),
            ("../secret", "out"),
            ("..", "parent"),
            ("loop", "loop"),
            ("a/b/f/..", "through_file"),
            ("a/b/.", "dotted"),
            ("a/b/..", "a2"),
            ("gone", "dangling"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        symlink(root.join("a/b/f"), root.join("absolute")).unwrap();
        symlink("/proc/self/root/etc/passwd", root.join("magic")).unwrap();
        let root = File::open(&root).unwrap();
        for opener in [open as Opener, open_by_steps] {
            check(&|path, flags, links| {
                let flags = flags | OFlags::CLOEXEC;
                let mut file = File::from(opener(root.as_fd(), Path::new(path), OFlags::RDONLY | flags, links)?);
                let mut text = String::new();
                match file.read_to_string(&mut text) {
                    Ok(_) => Ok(text),
                    Err(_) => Ok("directory".into()),
                }
            });
        }
    }

    #[test]
    fn links_are_followed_while_they_stay_inside() {
        both(|open| {
            for path in ["a/b/f", "a/link", "a/up/f", "dotted/f", "a2/b/f", "./a//b/f"] {
                assert_eq!(open(path, OFlags::empty(), Links::Inside), Ok("inside".into()), "{path}");
            }
            for path in ["", ".", "a", "a/up", "dotted"] {
                assert_eq!(open(path, OFlags::DIRECTORY, Links::Inside), Ok("directory".into()), "{path}");
            }
        });
    }

    #[test]
    fn nothing_leads_out() {
        both(|open| {
            for path in ["out", "parent/secret", "parent", "a/out_and_in", "absolute", "magic", "../secret", ".."] {
                assert_eq!(open(path, OFlags::empty(), Links::Inside), Err(Errno::XDEV), "{path}");
            }
        });
    }

    #[test]
    fn errors_are_those_of_the_kernel() {
        both(|open| {
            assert_eq!(open("loop", OFlags::empty(), Links::Inside), Err(Errno::LOOP));
            assert_eq!(open("a/gone", OFlags::empty(), Links::Inside), Err(Errno::NOENT));
            assert_eq!(open("dangling", OFlags::empty(), Links::Inside), Err(Errno::NOENT));
            assert_eq!(open("a/b/f/x", OFlags::empty(), Links::Inside), Err(Errno::NOTDIR));
            assert_eq!(open("through_file", OFlags::empty(), Links::Inside), Err(Errno::NOTDIR));
            assert_eq!(open("a/link", OFlags::NOFOLLOW, Links::Inside), Err(Errno::LOOP));
            assert_eq!(open("a/up/f", OFlags::NOFOLLOW, Links::Inside), Ok("inside".into()));
            assert_eq!(open("a/up/f", OFlags::empty(), Links::Never), Err(Errno::LOOP));
            assert_eq!(open("a/b/f", OFlags::empty(), Links::Never), Ok("inside".into()));
        });
    }
}
