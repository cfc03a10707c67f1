//! Paths that try to lead out of the image: from the entries of layers to the files on disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use ocify::entry::{Content, Entry, Kind, Metadata};
use ocify::path::ImagePath;
use ocify::tree::{Changeset, Skipped, SkippedPart, Tree, TreeError, extract};

pub fn path(text: &str) -> ImagePath {
    ImagePath::parse(text).unwrap()
}

pub fn entry(text: &str, kind: Kind) -> Entry {
    let mode = if kind.is_directory() { 0o755 } else { 0o644 };
    Entry { path: path(text), metadata: Metadata::root_owned(mode, 0), kind }
}

pub fn file(path: &str, text: &str) -> Entry {
    entry(path, Kind::File { content: Content::inline(text.as_bytes()) })
}

pub fn directory(path: &str) -> Entry {
    entry(path, Kind::Directory)
}

pub fn link(path: &str, target: impl AsRef<Path>) -> Entry {
    entry(path, Kind::Symlink { target: target.as_ref().as_os_str().as_bytes().into() })
}

pub fn hard_link(text: &str, target: &str) -> Entry {
    entry(text, Kind::HardLink { target: path(target) })
}

pub fn with_mode(mode: u32, mut entry: Entry) -> Entry {
    entry.metadata.mode = mode;
    entry
}

/// The tree of some layers, lowest first, each in archive order.
pub fn merge(layers: impl IntoIterator<Item = Vec<Entry>>) -> Result<Tree, TreeError> {
    let layers = layers.into_iter().map(Changeset::from_layer).collect::<Result<Vec<_>, _>>()?;
    Tree::of(&layers)
}

/// A place to extract into, with a canary tree beside it that must stay as it is: bytes, modes, owners, times, number of
/// links.
pub struct Ground {
    place: tempfile::TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Ground {
    pub fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let canary = place.path().join("image_canary");
        fs::create_dir_all(canary.join("d")).unwrap();
        fs::write(canary.join("file"), "alive").unwrap();
        fs::write(canary.join("d/inner"), "alive").unwrap();
        fs::set_permissions(canary.join("file"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(canary.join("d"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::hard_link(canary.join("file"), canary.join("hard")).unwrap();
        symlink("file", canary.join("link")).unwrap();
        let before = snapshot(&canary);
        Ground { place, before }
    }

    /// The canary tree's directory.
    pub fn canary(&self) -> PathBuf {
        self.place.path().join("image_canary")
    }

    /// Where an image is extracted: its name is the beginning of the canary's.
    pub fn image(&self) -> PathBuf {
        self.place.path().join("image")
    }

    /// Extracts the merged layers and returns what was skipped.
    pub fn extract(&self, layers: impl IntoIterator<Item = Vec<Entry>>) -> Vec<Skipped> {
        let skipped = extract(&merge(layers).unwrap(), &self.image()).unwrap();
        assert_eq!(self.names(), ["image", "image_canary"]);
        skipped
    }

    /// A file of the extracted image, which must not be reached through a link.
    pub fn read(&self, path: &str) -> String {
        let path = self.image().join(path);
        assert!(path.parent().unwrap().canonicalize().unwrap().starts_with(self.image().canonicalize().unwrap()));
        fs::read_to_string(path).unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.place.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(snapshot(&self.canary()), self.before, "the canary tree changed");
        }
    }
}

fn snapshot(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        let m = fs::symlink_metadata(&path).unwrap();
        let bytes = match m.file_type() {
            kind if kind.is_dir() => {
                pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                String::new()
            }
            kind if kind.is_symlink() => format!("-> {:?}", fs::read_link(&path).unwrap()),
            _ => fs::read_to_string(&path).unwrap(),
        };
        let state = format!(
            "{:o} {}:{} {} links, {}.{}, {bytes}",
            m.mode(),
            m.uid(),
            m.gid(),
            m.nlink(),
            m.mtime(),
            m.mtime_nsec()
        );
        found.insert(path, state);
    }
    found
}

#[test]
fn names_with_dots_that_lead_out_are_no_paths() {
    for text in ["../x", "a/../../x", "..", "/..", "a/..", "../image_canary/file"] {
        assert!(ImagePath::parse(text).is_err(), "{text}");
    }
}

#[test]
fn absolute_names_begin_at_the_image_root() {
    let ground = Ground::new();
    let absolute = ground.canary().join("file");
    let absolute = absolute.to_str().unwrap();
    ground.extract([vec![file(absolute, "in the image")]]);
    assert_eq!(ground.read(absolute.trim_start_matches('/')), "in the image");
}

#[test]
fn a_sibling_whose_name_begins_alike_is_not_inside() {
    let ground = Ground::new();
    let base = vec![file("app/f", "1"), file("app_config/f", "1"), file("app-x", "1")];
    let tree = merge([base.clone(), vec![file(".wh.app", "")]]).unwrap();
    assert_eq!(tree.children(&ImagePath::root()).collect::<Vec<_>>(), [&path("app-x"), &path("app_config")]);
    let below: Vec<_> = merge([base]).unwrap().below(&path("app"), |_| true).map(|entry| entry.path).collect();
    assert_eq!(below, [path("app/f")]);

    ground.extract([vec![link("d", "../image_canary"), file("d/file", "in the image")]]);
    assert_eq!(ground.read("image_canary/file"), "in the image");
}

#[test]
fn the_root_cannot_be_a_link() {
    for name in [".", "/.", "./", ""] {
        let error = merge([vec![link(name, "/tmp"), file("f", "")]]).unwrap_err();
        assert_eq!(error, TreeError::RootNotDirectory { kind: "symbolic link" }, "{name}");
    }
}

#[test]
fn files_below_a_link_to_the_outside_stay_in_the_image() {
    for target in ["absolute", "../image_canary", "../../../../../image_canary"] {
        let ground = Ground::new();
        let target = if target == "absolute" { ground.canary() } else { target.into() };
        let inside = target.to_str().unwrap().replace("../", "");
        let inside = inside.trim_start_matches('/');
        let same_layer = vec![link("d", &target), file("d/file", "same layer")];
        let later_layer = vec![file("d/hard", "later layer"), file("d/d/inner", "later layer")];
        ground.extract([same_layer, later_layer]);
        assert_eq!(ground.read(&format!("{inside}/file")), "same layer");
        assert_eq!(ground.read(&format!("{inside}/hard")), "later layer");
        assert_eq!(ground.read(&format!("{inside}/d/inner")), "later layer");
        assert_eq!(fs::read_link(ground.image().join("d")).unwrap(), target);
    }
}

#[test]
fn a_directory_at_the_name_of_a_link_replaces_it() {
    let ground = Ground::new();
    let layers = [vec![link("d", ground.canary().join("d"))], vec![with_mode(0o700, directory("d"))]];
    ground.extract(layers.clone());
    let metadata = fs::symlink_metadata(ground.image().join("d")).unwrap();
    assert!(metadata.is_dir());
    assert_eq!(metadata.mode() & 0o7777, 0o700);

    let one_layer = Changeset::from_layer(layers.concat()).unwrap();
    assert_eq!(one_layer.warnings(), ["`/d` appears again: the symbolic link before is replaced"]);
    assert!(Tree::of([&one_layer]).unwrap().get(&path("d")).unwrap().kind.is_directory());
}

#[test]
fn nothing_is_done_to_the_outside_through_a_linked_parent() {
    let ground = Ground::new();
    let mut owned = file("d/file", "owned");
    (owned.metadata.uid, owned.metadata.gid) = (1234, 1234);
    let mut timed = file("d/d/inner", "timed");
    timed.metadata.mtime = 1_000_000;
    let mut tagged = file("d/link", "tagged");
    tagged.metadata.xattrs.insert("user.tag".into(), b"1".to_vec());
    let made = with_mode(0o777, directory("d/d"));
    let node = entry("d/node", Kind::BlockDevice { major: 8, minor: 0 });
    let relinked = hard_link("d/hard", "d/file");
    let base = vec![link("d", ground.canary()), directory("keep")];
    let skipped = ground.extract([base, vec![owned, made, timed, tagged, node, relinked, file("d/.wh.gone", "")]]);

    let inside = ground.canary();
    let inside = inside.strip_prefix("/").unwrap();
    let image = ground.image().join(inside);
    assert_eq!(fs::metadata(image.join("d/inner")).unwrap().mtime(), 1_000_000);
    assert_eq!(fs::metadata(image.join("d")).unwrap().mode() & 0o777, 0o777);
    assert_eq!(fs::metadata(image.join("hard")).unwrap().nlink(), 2);
    assert!(fs::symlink_metadata(image.join("link")).unwrap().is_file());
    assert!(!image.join("node").exists());
    let node = Skipped { path: path(&format!("{}/node", inside.display())), part: SkippedPart::Entry("block device") };
    assert!(skipped.contains(&node), "{skipped:?}");
    if rustix::process::geteuid().is_root() && !skipped.iter().any(|skipped| skipped.part == SkippedPart::Owner) {
        assert_eq!(fs::metadata(image.join("file")).unwrap().uid(), 1234);
    }
}

#[test]
fn hard_links_do_not_reach_the_outside() {
    let ground = Ground::new();
    assert!(ImagePath::parse("../image_canary/file").is_err());
    let outside = ground.canary().join("file");
    let error = merge([vec![hard_link("h", outside.to_str().unwrap())]]).unwrap_err();
    assert!(matches!(error, TreeError::LinkMissing { .. }), "{error}");

    let through_link = vec![link("d", ground.canary()), hard_link("h", "d/file")];
    let error = merge([through_link]).unwrap_err();
    assert!(matches!(error, TreeError::LinkMissing { .. }), "{error}");
}

#[test]
fn hard_links_begin_at_the_image_root_and_not_in_the_working_directory() {
    for name in fs::read_dir(".").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok()) {
        let error = merge([vec![hard_link("the link", &name)]]).unwrap_err();
        assert_eq!(error, TreeError::LinkMissing { path: path("the link"), target: path(&name) });
    }

    let ground = Ground::new();
    ground.extract([vec![file("Cargo.toml", "the image's")], vec![hard_link("h", "Cargo.toml")]]);
    assert_eq!(ground.read("h"), "the image's");
    assert_eq!(fs::metadata(ground.image().join("h")).unwrap().nlink(), 2);
}

#[test]
fn hard_links_that_cannot_be_made_are_rejected() {
    let before = merge([vec![hard_link("h", "f"), file("f", "")]]).unwrap_err();
    assert_eq!(before, TreeError::LinkBeforeTarget { path: path("h"), target: path("f") });
    let itself = merge([vec![hard_link("h", "./h")]]).unwrap_err();
    assert_eq!(itself, TreeError::LinkToItself { path: path("h") });
    let to_itself_through_a_link =
        merge([vec![directory("a"), link("l", "a")], vec![hard_link("l/h", "a/h")]]).unwrap_err();
    assert_eq!(to_itself_through_a_link, TreeError::LinkToItself { path: path("a/h") });
    let to_directory = TreeError::LinkToDirectory { path: path("h"), target: path("d") };
    assert_eq!(merge([vec![directory("d"), hard_link("h", "d")]]).unwrap_err(), to_directory);
    assert_eq!(merge([vec![directory("d")], vec![hard_link("h", "d")]]).unwrap_err(), to_directory);
    assert_eq!(merge([vec![file("d/f", ""), hard_link("h", "d")]]).unwrap_err(), to_directory);
    let below_itself = merge([vec![file("d/f", "")], vec![hard_link("d", "d/f")]]).unwrap_err();
    assert_eq!(below_itself, TreeError::LinkMissing { path: path("d"), target: path("d/f") });
    let removed = merge([vec![file("f", "")], vec![file(".wh.f", ""), hard_link("h", "f")]]).unwrap_err();
    assert_eq!(removed, TreeError::LinkMissing { path: path("h"), target: path("f") });
}

#[test]
fn a_hard_link_to_a_link_is_a_link() {
    let ground = Ground::new();
    let target = ground.canary().join("file");
    ground.extract([vec![link("s", &target), with_mode(0o777, hard_link("h", "s"))]]);
    assert_eq!(fs::read_link(ground.image().join("h")).unwrap(), target);
    assert_eq!(fs::symlink_metadata(ground.image().join("h")).unwrap().nlink(), 2);
}

#[test]
fn a_link_with_more_dots_than_depth_stops_at_the_root() {
    let ground = Ground::new();
    let base = vec![directory("usr"), link("usr/up", "../../../../image_canary/d")];
    let tree = merge([base.clone()]).unwrap();
    assert_eq!(tree.locate(&path("usr/up/inner")), Ok(path("image_canary/d/inner")));
    ground.extract([base, vec![file("usr/up/inner", "in the image")]]);
    assert_eq!(ground.read("image_canary/d/inner"), "in the image");
}

#[test]
fn a_file_replaces_a_link() {
    let ground = Ground::new();
    ground.extract([vec![link("f", ground.canary().join("file"))], vec![with_mode(0o600, file("f", "mine"))]]);
    assert_eq!(ground.read("f"), "mine");
    assert!(fs::symlink_metadata(ground.image().join("f")).unwrap().is_file());
}

#[test]
fn loops_of_links_are_kept_and_not_followed() {
    let ground = Ground::new();
    let base = vec![link("a", "b"), link("b", "a"), link("self", "self/x"), link("here", ".")];
    ground.extract([base.clone()]);
    assert_eq!(fs::read_link(ground.image().join("a")).unwrap(), Path::new("b"));

    let looping = |name: &str| TreeError::SymlinkLoop { path: path(name) };
    assert_eq!(merge([base.clone()]).unwrap().resolve(&path("a")).unwrap_err(), looping("a"));
    for name in ["a/f", "self/f"] {
        assert_eq!(merge([base.clone(), vec![file(name, "")]]).unwrap_err(), looping(name));
        let redirected = Changeset::from_layer(vec![file(name, "")]).unwrap().redirect(&merge([base.clone()]).unwrap());
        assert_eq!(redirected.unwrap_err(), looping(name));
    }
    assert_eq!(merge([base.clone(), vec![file("a/.wh.f", "")]]).unwrap_err(), looping("a/f"));
    let tree = merge([base, vec![file("here/here/f", "")]]).unwrap();
    assert!(tree.get(&path("f")).is_some());
}

#[test]
fn nothing_lies_below_a_file() {
    let below = |kind| TreeError::ParentNotDirectory { path: path("f/x/y"), parent: path("f"), kind };
    assert_eq!(merge([vec![file("f", "")], vec![file("f/x/y", "")]]).unwrap_err(), below("file"));
    assert_eq!(merge([vec![file("f", ""), file("f/x/y", "")]]).unwrap_err(), below("file"));
    let device = entry("f", Kind::CharDevice { major: 1, minor: 3 });
    assert_eq!(merge([vec![device, file("f/x/y", "")]]).unwrap_err(), below("character device"));
}

#[test]
fn a_destination_that_is_a_link_or_in_use_is_refused() {
    let ground = Ground::new();
    let tree = merge([vec![file("file", "new")]]).unwrap();
    symlink("image_canary", ground.image()).unwrap();
    for destination in [ground.image(), ground.canary(), ground.canary().join("file")] {
        let error = extract(&tree, &destination).unwrap_err();
        assert!(error.to_string().contains("choose a new or empty directory"), "{error}");
    }
    assert_eq!(ground.names(), ["image", "image_canary"]);
}
