//! Writing a merged tree to disk.

mod attributes;
mod directories;
mod error;
mod skipped;
mod writer;

pub use error::ExtractError;
pub use skipped::{Skipped, SkippedPart};

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::scratch::Scratch;
use crate::tree::extract::attributes::Rights;
use crate::tree::extract::writer::Writer;
use crate::tree::merge::Tree;
use crate::tree::stratum::Stratum;

/// Writes `tree` into the directory `destination`, which must not exist or be empty and whose parent must exist. It is
/// written beside that under a temporary name and renamed at the end, so a failure leaves nothing behind.
///
/// No link of the tree is followed: the work is done relative to directory descriptors that are opened without following
/// links, one component at a time, and every file is created anew. The bytes written are compared with their digests.
///
/// Modes and times are as in the tree. Owners are set only when this process runs as root, else everything belongs to
/// its user and the tree's owners are recorded nowhere. What cannot or must not come about is left out and returned,
/// sorted by path:
/// - devices and FIFOs, and hard links to them: they would act on this machine;
/// - setuid and setgid bits of what does not get its owner: they would lend the user's rights to the image's programs;
/// - extended attributes other than `user.*` and `security.capability`, those of overlayfs (`user.overlay.*`), and all
///   that the file system or the kernel refuses.
///
/// # Errors
/// The destination is in use, the disk refuses, or a content cannot be read or is not what its digest says.
pub fn extract(tree: &Tree, destination: &Path) -> Result<Vec<Skipped>, ExtractError> {
    extract_with(&tree.clone().into(), destination, Rights::of_process())
}

/// As [`extract`], for a directory of an overlay, with overlayfs's own whiteouts at what it removes: devices 0/0, which nothing of a
/// tree becomes. Setuid and setgid bits are always set: it is for the root of a sandbox, which nobody else can reach and in which
/// they have no effect.
///
/// # Errors
/// As [`extract`].
pub fn extract_for_step(stratum: &Stratum, destination: &Path) -> Result<Vec<Skipped>, ExtractError> {
    extract_with(stratum, destination, Rights { set_ids: true, ..Rights::of_process() })
}

fn extract_with(stratum: &Stratum, destination: &Path, rights: Rights) -> Result<Vec<Skipped>, ExtractError> {
    check_free(destination)?;
    let parent = match destination.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let make = || tempfile::Builder::new().prefix(".ocify-extract-").tempdir_in(parent);
    let (temporary, _scratch) =
        Scratch::listed(make, TempDir::path).map_err(ExtractError::host("make a temporary directory in", parent))?;
    let mut writer = Writer::new(temporary.path(), rights)?;
    let written = writer.write(stratum).and_then(|skipped| {
        let renamed = fs::rename(temporary.path(), destination);
        renamed.map_err(ExtractError::host("rename the finished tree to", destination)).map(|()| skipped)
    });
    match &written {
        Ok(_) => drop(temporary.keep()),
        // The temporary directory removes itself, for which its directories must be writable.
        Err(_) => writer.unlock_directories(&stratum.tree, temporary.path()),
    }
    written
}

fn check_free(destination: &Path) -> Result<(), ExtractError> {
    let in_use = |reason| Err(ExtractError::InUse { path: destination.to_owned(), reason });
    let inspect = ExtractError::host("inspect", destination);
    match fs::symlink_metadata(destination) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(inspect(error)),
        Ok(metadata) if !metadata.is_dir() => in_use("is not a directory"),
        Ok(_) => match fs::read_dir(destination).map_err(inspect)?.next() {
            None => Ok(()),
            Some(_) => in_use("is not empty"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::digest::Digest;
    use crate::entry::{Content, Entry, Kind, Origin};
    use crate::tree::sample::{directory, entry, file, hard_link, link, tree, with_mode};

    fn ground() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let destination = place.path().join("out");
        (place, destination)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn with_mtime(mtime: i64, mut entry: Entry) -> Entry {
        entry.metadata.mtime = mtime;
        entry
    }

    #[test]
    fn everything_arrives_on_disk() {
        let (_place, out) = ground();
        let big: Vec<u8> = (0..3_000_000_u32).map(|i| (i / 7) as u8).collect();
        let mut tagged = file("d/tagged", "");
        tagged.metadata.xattrs.insert("user.tag".into(), b"1".to_vec());
        let tree = tree([
            with_mode(0o750, with_mtime(9, directory(""))),
            with_mode(0o500, with_mtime(11, directory("d"))),
            with_mode(0o4711, with_mtime(12, file("d/f", "text"))),
            hard_link("d/g", "d/f"),
            entry("big", Kind::File { content: Content::inline(big.clone()) }),
            with_mtime(13, link("l", "/no/where")),
            with_mode(0, directory("locked")),
            with_mode(0, file("locked/f", "")),
            tagged,
        ]);
        let skipped = extract(&tree, &out).unwrap();

        let stat = |path: &str| fs::symlink_metadata(out.join(path)).unwrap();
        assert_eq!((stat("").mode() & 0o7777, stat("").mtime()), (0o750, 9));
        assert_eq!((stat("d").mode() & 0o7777, stat("d").mtime()), (0o500, 11));
        assert_eq!((stat("d/f").mtime(), stat("d/f").ino()), (12, stat("d/g").ino()));
        assert_eq!(stat("d/f").mode() & 0o777, 0o711);
        assert_eq!(stat("locked").mode() & 0o7777, 0);
        assert_eq!(stat("l").mtime(), 13);
        assert_eq!(fs::read_link(out.join("l")).unwrap(), Path::new("/no/where"));
        assert_eq!(fs::read(out.join("big")).unwrap(), big);
        let mut value = [0; 8];
        match rustix::fs::getxattr(out.join("d/tagged"), "user.tag", &mut value[..]) {
            Ok(len) => assert_eq!(&value[..len], b"1"),
            Err(_) => assert!(skipped.iter().any(|skipped| skipped.part == SkippedPart::Xattr("user.tag".into()))),
        }
        fs::set_permissions(out.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(out.join("d"), fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let (place, out) = ground();
        let content = |bytes: &'static [u8], origin| Content { size: 4, digest: Digest::of(bytes), origin };
        let unreadable = content(b"text", Origin::Unknown);
        let other = content(b"text", Origin::Inline(Arc::from(*b"TEXT")));
        let short = content(b"text", Origin::Inline(Arc::from(*b"t")));
        for content in [unreadable, other, short] {
            let tree = tree([with_mode(0, directory("a")), file("a/b/c", "x"), entry("z", Kind::File { content })]);
            let error = extract(&tree, &out).unwrap_err();
            assert!(error.to_string().contains("`/z`"), "{error}");
            assert!(names(place.path()).is_empty());
        }
    }

    #[test]
    fn a_failure_at_the_last_step_removes_locked_directories() {
        let (place, out) = ground();
        let tree = tree([with_mode(0, directory("")), with_mode(0, directory("a")), with_mode(0, directory("a/b"))]);
        let temporary = tempfile::tempdir_in(place.path()).unwrap();
        let mut writer = Writer::new(temporary.path(), Rights::of_process()).unwrap();
        writer.write(&tree.clone().into()).unwrap();
        writer.unlock_directories(&tree, temporary.path());
        assert_eq!(fs::metadata(temporary.path().join("a/b")).unwrap().mode() & 0o7777, 0o700);
        temporary.close().unwrap();
        assert!(names(place.path()).is_empty());
        assert!(!out.exists());
    }

    #[test]
    fn an_empty_directory_may_be_the_destination() {
        let (place, out) = ground();
        fs::create_dir(&out).unwrap();
        extract(&tree([file("f", "")]), &out).unwrap();
        assert_eq!(names(&out), ["f"]);
        let error = extract(&tree([file("g", "")]), &out).unwrap_err();
        assert!(matches!(error, ExtractError::InUse { .. }), "{error}");
        assert_eq!((names(&out), names(place.path())), (vec!["f".to_owned()], vec!["out".to_owned()]));
    }

    #[test]
    fn a_missing_parent_is_an_error() {
        let (place, out) = ground();
        let error = extract(&tree([]), &out.join("x/y")).unwrap_err();
        assert!(matches!(error, ExtractError::Host { .. }), "{error}");
        assert!(names(place.path()).is_empty());
    }

    #[test]
    fn names_that_are_not_text_and_deep_paths_arrive() {
        let (_place, out) = ground();
        let deep = vec!["x".repeat(200); 20].join("/");
        let mut odd = file("odd", "");
        odd.path = crate::path::ImagePath::parse([0xff, b'\n', b'\\']).unwrap();
        extract(&tree([file(&deep, "deep"), odd]), &out).unwrap();
        let mut found = 0;
        let mut here = out.clone();
        while let Some(entry) = fs::read_dir(&here)
            .ok()
            .and_then(|mut entries| entries.find_map(|entry| entry.ok().filter(|entry| entry.file_name().len() == 200)))
        {
            here = entry.path();
            found += 1;
        }
        assert!(found >= 18, "only {found} levels");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
    }
}
