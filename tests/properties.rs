//! What must hold for every tree and layer, tried on random ones.

mod model;

use std::collections::BTreeMap;

use ocify::entry::{Content, Entry, Kind, Metadata};
use ocify::path::ImagePath;
use ocify::tree::{Changeset, Tree, TreeError, diff};
use proptest::prelude::*;
use proptest::sample::select;

use self::model::{Disk, Refusal};

/// Few names, so that layers meet; `a-b` sorts between `a` and what lies in it, `.x` before `.wh.`.
fn path() -> impl Strategy<Value = ImagePath> {
    let name = select(vec!["a", "b", "c", "a-b", ".x"]);
    proptest::collection::vec(name, 1..4).prop_map(|names| ImagePath::parse(names.join("/")).unwrap())
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
    let entries = proptest::collection::btree_map(path(), entry, 0..10);
    (entries, proptest::collection::vec(whiteout(), 0..3)).prop_map(|(entries, marks)| {
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
    proptest::collection::vec(layer(), 0..4).prop_map(|layers| {
        let mut tree = Tree::new();
        for layer in layers.into_iter().filter_map(|layer| Changeset::from_layer(layer).ok()) {
            let _ = tree.apply(&layer);
        }
        tree
    })
}

fn entries(tree: &Tree) -> Vec<Entry> {
    tree.entries().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_agrees_with_the_model(layers in proptest::collection::vec(layer(), 1..5)) {
        let (mut tree, mut disk) = (Tree::new(), Disk::new());
        for layer in layers {
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
            let entries = entries.into_iter().filter(|entry| !entry.path.file_name().unwrap().starts_with(b".wh."));
            entries.map(|entry| changeset.insert(entry)).collect::<Result<(), _>>().map(|()| changeset.entries(7))
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
}
