//! What must hold for every tree and layer, tried on random ones.

mod model;

use std::collections::BTreeMap;

use ocify::archive::read::{Limits, decompress, read_tar};
use ocify::archive::write::{EncodedLayer, Encoding, encode};
use ocify::entry::{Content, Entry, Kind, Metadata};
use ocify::format::Compression;
use ocify::path::ImagePath;
use ocify::tree::{Changeset, Tree, TreeError, diff};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use self::model::{Disk, Refusal};

/// Few names, so that layers meet; `a-b` sorts between `a` and what lies in it, `.x` before `.wh.`.
fn path() -> impl Strategy<Value = ImagePath> {
    let name = select(vec!["a", "b", "c", "a-b", ".x"]);
    vec(name, 1..4).prop_map(|names| ImagePath::parse(names.join("/")).unwrap())
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let xattrs = select(vec![BTreeMap::new(), BTreeMap::from([("user.x".to_owned(), b"1".to_vec())])]);
    (select(vec![0o644, 0o755, 0o4755]), 0..2u32, 0..2i64, xattrs).prop_map(|(mode, uid, mtime, xattrs)| Metadata {
        mode,
        uid,
        gid: uid,
        mtime,
        xattrs,
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let texts = vec!["a", "b", "../c", "/a", "/b/c", "..", ".", "/", "a/../../b/.", "nowhere/x", "a-b"];
    prop_oneof![
        4 => select(vec!["", "one", "two"]).prop_map(|text| Kind::File { content: Content::inline(text.as_bytes()) }),
        4 => Just(Kind::Directory),
        2 => select(texts).prop_map(|text| Kind::Symlink { target: text.as_bytes().into() }),
        2 => path().prop_map(|target| Kind::HardLink { target }),
        1 => Just(Kind::CharDevice { major: 0, minor: 0 }),
    ]
}

fn whiteout() -> impl Strategy<Value = Entry> {
    (path(), any::<bool>()).prop_map(|(path, opaque)| {
        let name = if opaque { b".wh..wh..opq".to_vec() } else { [b".wh.", path.file_name().unwrap()].concat() };
        let path = path.parent().unwrap().child(&name).unwrap();
        Entry { path, metadata: Metadata::root_owned(0, 0), kind: Kind::File { content: Content::inline(*b"") } }
    })
}

/// The entries of a layer without duplicates, sorted, with nothing below what is not a directory, and hard links last.
fn layer() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (path(), metadata(), kind()).prop_map(|(path, metadata, kind)| Entry { path, metadata, kind });
    let entries = btree_map(path(), entry, 0..10);
    (entries, vec(whiteout(), 0..3)).prop_map(|(entries, marks)| {
        let mut layer: Vec<Entry> = Vec::new();
        for (path, entry) in entries {
            if !layer.iter().any(|other| !other.kind.is_directory() && path.starts_with(&other.path)) {
                layer.push(Entry { path, ..entry });
            }
        }
        layer.extend(marks);
        layer.sort_by_key(|entry| matches!(entry.kind, Kind::HardLink { .. }));
        layer
    })
}

/// A tree made of some layers; those that do not fit are left out.
fn tree() -> impl Strategy<Value = Tree> {
    vec(layer(), 0..4).prop_map(|layers| {
        let mut tree = Tree::new();
        for layer in layers.into_iter().filter_map(|layer| Changeset::from_layer(layer).ok()) {
            let _ = tree.apply(&layer);
        }
        tree
    })
}

/// Anything that a layer can hold: bytes that are no text, names longer than a header's fields, numbers up to the edge.
fn archive() -> impl Strategy<Value = Vec<Entry>> {
    let short = vec(any::<u8>().prop_filter("not in a name", |byte| !matches!(byte, 0 | b'/' | b'.')), 1..4);
    let long = (select(b"xy-".to_vec()), 90..250_usize).prop_map(|(byte, len)| vec![byte; len]);
    let path =
        vec(prop_oneof![6 => short, 1 => long], 1..5).prop_map(|names| ImagePath::parse(names.join(&b'/')).unwrap());
    let names = select(vec!["security.capability", "user.a", "user.b c", "user.\u{e9}"]).prop_map(str::to_owned);
    let metadata =
        (0..0o10000_u32, any::<u32>(), any::<u32>(), any::<i64>(), btree_map(names, vec(any::<u8>(), 0..30), 0..3))
            .prop_map(|(mode, uid, gid, mtime, xattrs)| Metadata { mode, uid, gid, mtime, xattrs });
    let text = vec(1..=u8::MAX, 1..200);
    let number = || 0..0o10_000_000_u32;
    let kind = prop_oneof![
        4 => vec(any::<u8>(), 0..2000).prop_map(|bytes| Kind::File { content: Content::inline(bytes) }),
        2 => Just(Kind::Directory),
        1 => text.prop_map(|target| Kind::Symlink { target: target.into() }),
        1 => (number(), number()).prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
        1 => (number(), number()).prop_map(|(major, minor)| Kind::BlockDevice { major, minor }),
        1 => Just(Kind::Fifo),
    ];
    (btree_map(path, (metadata, kind), 0..8), any::<bool>()).prop_map(|(entries, link)| {
        let mut archive: Vec<Entry> = Vec::new();
        for (path, (metadata, kind)) in entries {
            if !archive.iter().any(|other| !other.kind.is_directory() && path.starts_with(&other.path)) {
                archive.push(Entry { path, metadata, kind });
            }
        }
        let first = archive.iter().find(|entry| link && !entry.kind.is_directory()).cloned();
        archive.extend(first.map(|target| Entry {
            path: ImagePath::parse([&[0xff; 5], target.path.as_bytes()].concat()).unwrap(),
            kind: Kind::HardLink { target: target.path },
            ..target
        }));
        archive
    })
}

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

fn encoded(entries: &[Entry], compression: Compression) -> (EncodedLayer, Vec<u8>) {
    let mut bytes = Vec::new();
    let layer = encode(entries, &Encoding { compression }, &mut bytes).unwrap();
    (layer, bytes)
}

fn changeset(entries: Vec<Entry>) -> Changeset {
    let mut changeset = Changeset::new();
    entries.into_iter().try_for_each(|entry| changeset.insert(entry)).unwrap();
    changeset
}

fn entries(tree: &Tree) -> Vec<Entry> {
    tree.entries().collect()
}

/// True for a layer that has `l/x` where `l` is a link below, and with another path comes to lie at `l` itself. What such a
/// layer means depends on the order in which its entries are applied, in every engine.
fn replaces_a_link_it_goes_through(layer: &[Entry], below: &Tree) -> bool {
    layer.iter().any(|entry| {
        let found = below.locate(&entry.path).ok().filter(|found| *found != entry.path);
        found.and_then(|found| below.get(&found)).is_some_and(|node| matches!(node.kind, Kind::Symlink { .. }))
    })
}

/// Stacks the layers in a tree and in the model, and fails where the two differ. Returns the entries of both.
fn merge_both(layers: Vec<Vec<Entry>>) -> Result<Vec<Entry>, TestCaseError> {
    let (mut tree, mut disk) = (Tree::new(), Disk::new());
    for layer in layers {
        if replaces_a_link_it_goes_through(&layer, &tree) {
            continue;
        }
        let mut next = disk.clone();
        let modelled = next.apply_set(&layer);
        if modelled == Err(Refusal::TwoEntriesOfOneLayerAtOnePath) {
            continue;
        }
        let merged = Changeset::from_layer(layer.clone()).and_then(|layer| tree.apply(&layer));
        if matches!(merged, Err(TreeError::LinkBeforeTarget { .. })) {
            continue;
        }
        prop_assert_eq!(merged.is_ok(), modelled.is_ok(), "{:?} {:?} {:?}", merged, modelled, layer);
        if modelled.is_ok() {
            disk = next;
        }
        prop_assert_eq!(entries(&tree), disk.entries());
    }
    Ok(entries(&tree))
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry { path: ImagePath::parse(path).unwrap(), metadata: Metadata::root_owned(0o644, 0), kind }
}

fn file(path: &str) -> Entry {
    entry(path, Kind::File { content: Content::inline(*b"") })
}

fn link(path: &str, target: &str) -> Entry {
    entry(path, Kind::Symlink { target: target.as_bytes().into() })
}

fn hard_link(path: &str, target: &str) -> Entry {
    entry(path, Kind::HardLink { target: ImagePath::parse(target).unwrap() })
}

/// The kernel finds that `/a` is no directory before it goes on to `..` and round to the link again.
#[test]
fn a_mark_behind_a_link_through_a_file_removes_nothing() {
    let below = vec![file("a"), link("b", "a/../../b/.")];
    let merged = merge_both(vec![below.clone(), vec![file("b/.wh.a")]]).unwrap();
    assert_eq!(merged, below);
}

/// A hard link to a symbolic link is one too, so `/.x` leads to the root.
#[test]
fn a_hard_link_may_lead_through_a_hard_link_to_a_symbolic_link_below() {
    let below = vec![link("b/a/.x", ".."), link("b/c", "a")];
    let (first, second) = (hard_link(".x", "b/a/.x"), hard_link("a", ".x/b/c"));
    for links in [vec![first.clone(), second.clone()], vec![second, first]] {
        let merged = merge_both(vec![below.clone(), links]).unwrap();
        let expected = [(".x", ".."), ("a", "a")].map(|(path, target)| link(path, target));
        assert_eq!(merged[..2], expected);
    }
}

/// A hard link to a symbolic link of its own layer is that link from the beginning.
#[test]
fn a_hard_link_to_a_symbolic_link_of_its_layer_is_followed() {
    let layer = vec![file("b/x"), link("c", "d"), hard_link("a", "c")];
    let merged = merge_both(vec![vec![link("b", "a")], layer]).unwrap();
    assert!(merged.contains(&file("d/x")), "{merged:?}");
}

/// `/c/b` would make `/b` a directory, but comes after `/b/a` whatever their order in the archive.
#[test]
fn entries_that_are_not_direct_take_their_places_in_bytewise_order() {
    let below = vec![file("b"), link("c", "..")];
    let (below_file, through_link) = (hard_link("b/a", "c"), entry("c/b", Kind::Directory));
    for layer in [vec![below_file.clone(), through_link.clone()], vec![through_link, below_file]] {
        let merged = merge_both(vec![below.clone(), layer]).unwrap();
        assert_eq!(merged, below, "`/b/a` lies below a file, so the layer does not fit");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_agrees_with_the_model(layers in vec(layer(), 1..5)) {
        merge_both(layers)?;
    }

    #[test]
    fn a_difference_leads_from_one_tree_to_the_other(lower in tree(), upper in tree()) {
        let layer = diff(&lower, &upper).unwrap();
        let mut merged = lower.clone();
        merged.apply(&layer).unwrap();
        prop_assert_eq!(entries(&merged), entries(&upper));

        let mut archived = lower.clone();
        archived.apply(&Changeset::from_layer(layer.entries(0)).unwrap()).unwrap();
        prop_assert_eq!(entries(&archived), entries(&upper));
    }

    #[test]
    fn there_is_no_difference_between_equal_trees(tree in tree()) {
        prop_assert!(diff(&tree, &tree).unwrap().is_empty());
        let copy = Tree::of([&Changeset::from_layer(entries(&tree)).unwrap()]).unwrap();
        prop_assert!(diff(&tree, &copy).unwrap().is_empty());
    }

    #[test]
    fn a_tree_survives_being_one_layer(tree in tree()) {
        let layer = Changeset::from_layer(entries(&tree)).unwrap();
        prop_assert_eq!(layer.entries(0), entries(&tree));
        prop_assert!(Tree::of([&layer]).unwrap() == tree);
    }

    #[test]
    fn a_layer_does_not_depend_on_the_order_of_its_entries(
        (layer, shuffled) in layer().prop_flat_map(|layer| (Just(layer.clone()), Just(layer).prop_shuffle()))
    ) {
        let build = |entries: Vec<Entry>| {
            let mut changeset = Changeset::new();
            let mut entries = entries.into_iter().filter(|entry| !entry.path.file_name().unwrap().starts_with(b".wh."));
            entries.try_for_each(|entry| changeset.insert(entry)).map(|()| changeset.entries(7))
        };
        let (ordered, shuffled) = (build(layer), build(shuffled));
        prop_assert_eq!(ordered.is_ok(), shuffled.is_ok());
        if let (Ok(ordered), Ok(shuffled)) = (ordered, shuffled) {
            prop_assert_eq!(ordered, shuffled);
        }
    }

    #[test]
    fn the_canonical_form_of_a_layer_means_the_same(tree in tree(), layer in layer()) {
        let Ok(layer) = Changeset::from_layer(layer) else { return Ok(()) };
        let (mut direct, mut canonical) = (tree.clone(), tree);
        let applied = Changeset::from_layer(layer.entries(0)).and_then(|layer| canonical.apply(&layer));
        prop_assert_eq!(direct.apply(&layer).is_ok(), applied.is_ok());
        prop_assert_eq!(entries(&direct), entries(&canonical));
    }

    #[test]
    fn engines_that_go_by_archive_order_come_to_the_same_tree(tree in tree(), layer in layer()) {
        let Ok(layer) = Changeset::from_layer(layer).and_then(|layer| layer.redirect(&tree)) else { return Ok(()) };
        let mut layer = layer;
        prop_assume!(layer.get(&ImagePath::root()).is_none(), "the model has no entry for its root");
        layer.add_parents(&tree, 5).unwrap();
        let archive = layer.entries(5);
        prop_assert!(archive.is_sorted_by(|a, b| a.path < b.path));

        let mut disk = Disk::new();
        disk.apply_in_order(&entries(&tree)).unwrap();
        disk.apply_in_order(&archive).unwrap();
        let mut merged = tree.clone();
        merged.apply(&layer).unwrap();
        prop_assert_eq!(disk.entries(), entries(&merged));
    }

    #[test]
    fn redirected_layers_keep_the_links_below(tree in tree(), layer in layer()) {
        let only_files = layer.into_iter().filter(|entry| matches!(entry.kind, Kind::Directory)).collect();
        let Ok(layer) = Changeset::from_layer(only_files).and_then(|layer| layer.redirect(&tree)) else { return Ok(()) };
        let mut merged = tree.clone();
        merged.apply(&layer).unwrap();
        for entry in tree.entries().filter(|entry| matches!(entry.kind, Kind::Symlink { .. })) {
            prop_assert_eq!(&merged.get(&entry.path).unwrap().kind, &entry.kind);
        }
        prop_assert_eq!(layer.entries(0), layer.redirect(&tree).unwrap().entries(0), "a second time moves nothing");
    }

    #[test]
    fn reading_what_was_written_gives_the_same_entries(archive in archive()) {
        let entries = changeset(archive).entries(0);
        for compression in COMPRESSIONS {
            let (layer, bytes) = encoded(&entries, compression);
            let read = read_tar(decompress(&bytes[..], &Limits::default()).unwrap(), &Limits::default(), None).unwrap();
            prop_assert_eq!(&read.entries, &entries);
            prop_assert_eq!((read.digest, read.size), (layer.diff_id.0, layer.uncompressed_size));
            prop_assert!(read.warnings.is_empty(), "{:?}", read.warnings);
            let tree = Tree::of([&Changeset::from_layer(read.entries).unwrap()]).unwrap();
            prop_assert!(entries.iter().all(|entry| tree.get(&entry.path).is_some()));
        }
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_the_entries(
        (archive, shuffled) in archive().prop_flat_map(|archive| (Just(archive.clone()), Just(archive).prop_shuffle()))
    ) {
        let (ordered, shuffled) = (changeset(archive), changeset(shuffled));
        for compression in COMPRESSIONS {
            let digest = |layer: &Changeset| encoded(&layer.entries(0), compression).0.digest;
            prop_assert_eq!(digest(&ordered), digest(&shuffled));
        }
    }
}
