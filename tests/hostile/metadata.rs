//! Whiteouts and metadata that try to pass for something else: from the entries of layers to the files on disk.

use std::fs;
use std::os::unix::fs::MetadataExt;

use ocify::entry::{Entry, Kind};
use ocify::path::ImagePath;
use ocify::tree::{Changeset, Skipped, SkippedPart, Tree, TreeError, diff};

use super::paths::{Ground, directory, entry, file, hard_link, link, merge, path, with_mode};

fn paths(tree: &Tree) -> Vec<String> {
    tree.entries().map(|entry| entry.path.to_string()).collect()
}

fn with_xattr(name: &str, value: &[u8], mut entry: Entry) -> Entry {
    entry.metadata.xattrs.insert(name.into(), value.to_vec());
    entry
}

#[test]
fn reserved_names_are_no_whiteouts() {
    for name in [".wh.", ".wh..", ".wh...", ".wh..wh.foo", ".wh..wh.plnk", ".wh..wh.aufs", ".wh..wh..opqx", ".wh..wh."]
    {
        for name in [name.to_owned(), format!("d/{name}")] {
            let error = merge([vec![file(&name, "")]]).unwrap_err();
            assert!(matches!(error, TreeError::Whiteout { .. }), "{name}: {error}");
        }
    }
    let below = merge([vec![file("d/.wh.x/y", "")]]).unwrap_err();
    assert!(matches!(below, TreeError::ReservedName { .. }), "{below}");
    let target = merge([vec![file("x", ""), hard_link("h", ".wh.x")]]).unwrap_err();
    assert!(matches!(target, TreeError::ReservedName { .. }), "{target}");
}

#[test]
fn an_ordinary_archive_cannot_bring_whiteouts_into_a_layer() {
    for name in [".wh.x", "d/.wh..wh..opq", ".wh.d/x"] {
        let error = Changeset::from_archive(vec![file(name, "")]).unwrap_err();
        assert!(matches!(error, TreeError::ReservedName { .. }), "{name}: {error}");
    }
}

#[test]
fn a_whiteout_through_a_linked_parent_stays_in_the_image() {
    let ground = Ground::new();
    let canary = ground.canary();
    let inside = canary.to_str().unwrap().trim_start_matches('/');
    let (gone, kept) = (format!("{inside}/file"), format!("{inside}/hard"));
    let base = vec![file(&gone, "1"), file(&kept, "1"), file("e/x", "1"), link("d", &canary), link("o", "../../e")];
    ground.extract([base, vec![file("d/.wh.file", ""), file("o/.wh..wh..opq", ""), file("d/.wh.never", "")]]);
    assert!(!ground.image().join(&gone).exists());
    assert!(ground.image().join(&kept).exists());
    assert!(fs::read_dir(ground.image().join("e")).unwrap().next().is_none());
    assert!(fs::symlink_metadata(ground.image().join("d")).unwrap().is_symlink());
}

#[test]
fn an_opaque_mark_acts_alike_wherever_it_stands() {
    let base = vec![directory("d"), file("d/old", ""), file("d/sub/old", ""), file("keep", "")];
    let siblings = [directory("d"), file("d/new", ""), file("d/sub/new", "")];
    for at in 0..=siblings.len() {
        let mut layer = siblings.to_vec();
        layer.insert(at, file("d/.wh..wh..opq", ""));
        let tree = merge([base.clone(), layer]).unwrap();
        assert_eq!(paths(&tree), ["/d", "/d/new", "/d/sub", "/d/sub/new", "/keep"]);
    }
}

#[test]
fn a_whiteout_spares_its_own_layer_wherever_it_stands() {
    for layer in [vec![file(".wh.f", ""), file("f", "new")], vec![file("f", "new"), file(".wh.f", "")]] {
        let tree = merge([vec![file("f/old", "")], layer.clone()]).unwrap();
        assert_eq!(paths(&tree), ["/f"]);
        let canonical = Changeset::from_layer(layer).unwrap().entries(0);
        assert_eq!(canonical, [file("f", "new")], "engines that go by archive order would remove the new file");
    }
}

#[test]
fn marks_that_are_not_empty_files_are_rejected() {
    for name in ["d/.wh..wh..opq", "d/.wh.f"] {
        let marks = [
            link(name, "/etc"),
            directory(name),
            file(name, "x"),
            hard_link(name, "f"),
            entry(name, Kind::CharDevice { major: 0, minor: 0 }),
            entry(name, Kind::Fifo),
        ];
        for mark in marks {
            let error = merge([vec![file("f", ""), mark]]).unwrap_err();
            assert!(matches!(error, TreeError::Whiteout { .. }), "{error}");
        }
    }
}

#[test]
fn a_character_device_is_never_a_whiteout() {
    let ground = Ground::new();
    let device = Kind::CharDevice { major: 0, minor: 0 };
    let layers = [vec![file("d/f", ""), file("d/g", "")], vec![entry("d/f", device.clone())]];
    let tree = merge(layers.clone()).unwrap();
    assert_eq!(tree.get(&path("d/f")).unwrap().kind, device);
    let skipped = ground.extract(layers);
    assert_eq!(skipped, [Skipped { path: path("d/f"), part: SkippedPart::Entry("character device") }]);
    assert!(fs::symlink_metadata(ground.image().join("d/f")).is_err());
}

#[test]
fn attributes_of_overlayfs_mean_nothing_and_never_reach_the_disk() {
    for namespace in ["trusted", "user"] {
        let ground = Ground::new();
        let opaque = with_xattr(&format!("{namespace}.overlay.opaque"), b"y", directory("d"));
        let whiteout = with_xattr(&format!("{namespace}.overlay.whiteout"), b"", file("d/f", ""));
        let moved = with_xattr(&format!("{namespace}.overlay.redirect"), b"/etc", directory("m"));
        let layers = [vec![file("d/f", "old"), file("d/g", "old")], vec![opaque, whiteout, moved]];
        assert_eq!(paths(&merge(layers.clone()).unwrap()), ["/d", "/d/f", "/d/g", "/m"]);
        let skipped = ground.extract(layers);
        assert_eq!(skipped.len(), 3, "{skipped:?}");
        for name in ["d", "d/f", "m"] {
            let mut names = [0; 1024];
            let len = rustix::fs::listxattr(ground.image().join(name), &mut names[..]).unwrap_or(0);
            assert!(!String::from_utf8_lossy(&names[..len]).contains("overlay"), "{name}");
        }
    }
}

#[test]
fn special_files_are_recorded_and_never_created() {
    let ground = Ground::new();
    let special = vec![
        entry("block", Kind::BlockDevice { major: 8, minor: 0 }),
        entry("char", Kind::CharDevice { major: 1, minor: 5 }),
        entry("fifo", Kind::Fifo),
        hard_link("hard", "char"),
        file("last", "reached"),
    ];
    let tree = merge([special.clone()]).unwrap();
    assert_eq!(tree.get(&path("hard")).unwrap().kind, Kind::CharDevice { major: 1, minor: 5 });
    let expected: Vec<Entry> = {
        let mut entries = special.clone();
        entries[3] = hard_link("hard", "char");
        entries
    };
    assert_eq!(tree.entries().collect::<Vec<_>>(), expected, "a layer made of the tree has them all");

    let skipped: Vec<String> = ground.extract([special]).iter().map(|skipped| skipped.to_string()).collect();
    assert_eq!(
        skipped,
        [
            "`/block` was not created: it is a block device",
            "`/char` was not created: it is a character device",
            "`/fifo` was not created: it is a FIFO",
            "`/hard` was not created: it is a character device",
        ]
    );
    assert_eq!(fs::read_dir(ground.image()).unwrap().count(), 1);
    assert_eq!(ground.read("last"), "reached");
}

#[test]
fn setuid_bits_and_capabilities_are_kept_or_reported() {
    let ground = Ground::new();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let ping = with_xattr("security.capability", &capability, with_mode(0o755, file("ping", "")));
    let layer = vec![ping, with_mode(0o4755, file("su", "")), with_mode(0o1777, directory("tmp"))];
    let tree = merge([layer.clone()]).unwrap();
    assert_eq!(tree.entries().collect::<Vec<_>>(), layer);
    assert_eq!(diff(&Tree::new(), &tree).unwrap().entries(0), layer);

    let skipped = ground.extract([layer]);
    let is_reported = |name: &str, part| skipped.contains(&Skipped { path: path(name), part });
    let mode = |name: &str| fs::metadata(ground.image().join(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("su"), if is_reported("su", SkippedPart::SetId) { 0o755 } else { 0o4755 });
    assert_eq!(is_reported("su", SkippedPart::SetId), fs::metadata(ground.image().join("su")).unwrap().uid() != 0);
    assert_eq!(mode("tmp"), 0o1777);
    let mut value = [0; 64];
    let kept = rustix::fs::getxattr(ground.image().join("ping"), "security.capability", &mut value[..]);
    assert_eq!(kept.is_err(), is_reported("ping", SkippedPart::Xattr("security.capability".into())));
}

#[test]
fn ids_and_times_at_the_edge_do_not_wrap() {
    let ground = Ground::new();
    let mut edge = with_mode(0o4755, file("edge", ""));
    (edge.metadata.uid, edge.metadata.gid, edge.metadata.mtime) = (u32::MAX, u32::MAX, i64::MAX);
    let mut early = file("early", "");
    early.metadata.mtime = i64::MIN;
    let layer = vec![early, edge];
    assert_eq!(merge([layer.clone()]).unwrap().entries().collect::<Vec<_>>(), layer);

    let skipped = ground.extract([layer]);
    let metadata = fs::metadata(ground.image().join("edge")).unwrap();
    assert_eq!(metadata.uid(), rustix::process::geteuid().as_raw(), "`leave as it is` is not an owner");
    assert_eq!(metadata.mode() & 0o7777, 0o755, "so there is nobody whose rights setuid could lend");
    let is_reported = |part| skipped.contains(&Skipped { path: path("edge"), part });
    assert!(is_reported(SkippedPart::SetId));
    assert_eq!(is_reported(SkippedPart::Owner), rustix::process::geteuid().is_root());
    assert!(metadata.mtime() > 0);
    assert!(fs::metadata(ground.image().join("early")).unwrap().mtime() < 0);
}

#[test]
fn marks_on_the_root_are_contained() {
    let tree = merge([vec![file("a", ""), file("b/c", "")], vec![file(".wh..wh..opq", ""), file("d", "")]]).unwrap();
    assert_eq!(paths(&tree), ["/d"]);
    assert!(Changeset::new().whiteout(ImagePath::root()).is_err());
}
