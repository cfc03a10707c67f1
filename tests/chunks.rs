//! Chunks that are copied out of older layers: they change no byte, whatever the edit and whatever became of the old ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocify::archive::write::{EncodeError, EncodedLayer, Encoding, LayerPlan, PackedChunk, Reuse, encode};
use ocify::digest::Digest;
use ocify::entry::{Content, Entry, Kind, Metadata, Origin};
use ocify::format::Compression;
use ocify::path::ImagePath;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::workspace::Workspace;

/// Files by number: the length of each in KiB, and what its content is made from.
type Files = BTreeMap<u8, (usize, u8)>;
/// Files that are written or, without a value, removed.
type Edit = Vec<(u8, Option<(usize, u8)>)>;

fn file() -> impl Strategy<Value = (usize, u8)> {
    let kib = prop_oneof![20 => 0..700_usize, 1 => 3000..9000_usize];
    (kib, any::<u8>())
}

fn files() -> impl Strategy<Value = Files> {
    btree_map(any::<u8>(), file(), 0..40)
}

fn edit() -> impl Strategy<Value = Edit> {
    vec((any::<u8>(), option::weighted(0.7, file())), 0..4)
}

/// Text for most seeds, and bytes that no encoder makes shorter for the others.
fn content(kib: usize, seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    let mask = if seed.is_multiple_of(4) { 0xff } else { 0x1f };
    let block: Vec<u8> = (0..40 << 10).map(|_| next() & mask).collect();
    let mut content = block.repeat(kib.div_ceil(40));
    content.truncate(kib << 10);
    content
}

fn entries(files: &Files) -> Vec<Entry> {
    let entry = |(number, (kib, seed)): (&u8, &(usize, u8))| Entry {
        path: ImagePath::parse(format!("f{number:03}")).unwrap(),
        metadata: Metadata::root_owned(0o644, 0),
        kind: Kind::File { content: Content::inline(content(*kib, *seed)) },
    };
    files.iter().map(entry).collect()
}

fn edited(files: &Files, edit: &Edit) -> Files {
    let mut files = files.clone();
    for (number, file) in edit {
        match file {
            Some(file) => files.insert(*number, *file),
            None => files.remove(number),
        };
    }
    files
}

/// A layer that was written before.
struct Old {
    layer: EncodedLayer,
    blob: Vec<u8>,
}

impl Old {
    fn new(files: &Files, compression: Compression) -> Self {
        let mut blob = Vec::new();
        let layer = encode(&entries(files), &Encoding { compression }, &mut blob).unwrap();
        Old { layer, blob }
    }

    /// What it has of a plan.
    fn reuse(&self, plan: &LayerPlan) -> Reuse {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&self.blob).unwrap();
        let file = Arc::new(file);
        let find = |identity: Digest| {
            let chunk = self.layer.chunks.iter().find(|chunk| chunk.identity == identity)?;
            let (offset, len, crc) = (chunk.packed_offset, chunk.packed_len, chunk.packed_crc);
            Some(PackedChunk { file: file.clone(), offset, len, crc })
        };
        let same = self.layer.chunks.iter().zip(plan.identities()).take_while(|(chunk, new)| chunk.identity == *new);
        Reuse { packed: plan.identities().map(find).collect(), head: same.map(|(chunk, _)| chunk.states).collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_layer_with_copied_chunks_is_the_layer_without(
        files in files(),
        edit in edit(),
        compression in select(vec![Compression::Zstd, Compression::Gzip, Compression::Zstd, Compression::None]),
        cut in option::of(0..12_usize),
    ) {
        let old = Old::new(&files, compression);
        let files = edited(&files, &edit);
        let (entries, encoding) = (entries(&files), Encoding { compression });
        let cold = Old::new(&files, compression);

        let plan = LayerPlan::new(&entries, &encoding).unwrap();
        let mut reuse = old.reuse(&plan);
        // What is known need not be all, and the states need not reach as far as the chunks, or farther.
        match cut {
            Some(cut) if cut % 2 == 0 => reuse.head.truncate(cut / 2),
            Some(cut) => reuse.packed.iter_mut().skip(cut / 2).step_by(2).for_each(|chunk| *chunk = None),
            None => {}
        }
        let known = reuse.packed.iter().flatten().count();
        let mut blob = Vec::new();
        let warm = plan.write(&reuse, &mut blob).unwrap();
        prop_assert!(blob == cold.blob, "the bytes differ");
        prop_assert_eq!(warm.copied, if compression == Compression::None { 0 } else { known });
        prop_assert_eq!(EncodedLayer { copied: 0, ..warm }, cold.layer);
    }

    #[test]
    fn what_was_damaged_is_not_copied(
        files in files(),
        edit in edit(),
        compression in select(vec![Compression::Zstd, Compression::Gzip]),
        at in any::<proptest::sample::Index>(),
        cut_off in any::<bool>(),
    ) {
        let mut old = Old::new(&files, compression);
        let at = at.index(old.blob.len());
        match cut_off {
            true => old.blob.truncate(at),
            false => old.blob[at] ^= 0x40,
        }
        let files = edited(&files, &edit);
        let (entries, encoding) = (entries(&files), Encoding { compression });
        let plan = LayerPlan::new(&entries, &encoding).unwrap();
        let reuse = old.reuse(&plan);
        let is_hit = |chunk: &PackedChunk| chunk.offset + chunk.len > at as u64 && (cut_off || chunk.offset <= at as u64);
        let hits = reuse.packed.iter().flatten().any(is_hit);
        let mut blob = Vec::new();
        match plan.write(&reuse, &mut blob) {
            Err(EncodeError::Copy(_)) => prop_assert!(hits),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
            Ok(_) => prop_assert!(!hits && blob == Old::new(&files, compression).blob),
        }
    }
}

#[test]
fn what_is_copied_at_the_head_is_not_read() {
    let files: Files = (0..40).map(|number| (number, (300, number))).collect();
    let old = Old::new(&files, Compression::Zstd);
    let files = edited(&files, &vec![(30, Some((300, 99)))]);
    let cold = Old::new(&files, Compression::Zstd);

    let mut entries = entries(&files);
    let encoding = Encoding { compression: Compression::Zstd };
    let reuse = old.reuse(&LayerPlan::new(&entries, &encoding).unwrap());
    let last = &old.layer.chunks[reuse.head.len() - 1];
    let mut unreadable = 0;
    for (entry, offset) in entries.iter_mut().zip(&cold.layer.offsets) {
        let Kind::File { content } = &mut entry.kind else { unreachable!("all are files") };
        if offset + content.size <= last.offset + last.len {
            content.origin = Origin::Unknown;
            unreadable += 1;
        }
    }
    assert!(unreadable > 20, "{unreadable}");

    let mut blob = Vec::new();
    LayerPlan::new(&entries, &encoding).unwrap().write(&reuse, &mut blob).unwrap();
    assert!(blob == cold.blob);
    let without_states = Reuse { head: Vec::new(), ..reuse };
    let error = LayerPlan::new(&entries, &encoding).unwrap().write(&without_states, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, EncodeError::Read { .. }), "{error}");
}

/// A workspace with a layer of several chunks that was built.
fn built() -> (Workspace, String) {
    let workspace = Workspace::new().file("BUILD.star", "image(name = 'x', layers = [files(srcs = ['src'])])");
    (0..20).for_each(|number| workspace.write(&format!("src/{number:02}"), content(500, number)));
    let digest = workspace.build("//:x");
    (workspace, digest)
}

/// The digest that a new store gives.
fn cold(workspace: &Workspace) -> String {
    let empty = tempfile::tempdir().unwrap();
    let mut command = workspace.command(&["build", "//:x"]);
    let output = command.env("OCIFY_STORE", empty.path().join("store")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    crate::workspace::digest(&String::from_utf8(output.stdout).unwrap())
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Alters every file of a directory in the middle.
fn damage(directory: &Path) {
    for path in files_in(directory) {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        // Not in place: names of one table would undo it for one another.
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_build_with_older_layers_is_the_build_without() {
    let (workspace, before) = built();
    assert_eq!(files_in(&workspace.store().join("chunks")).len(), 4);
    workspace.write("src/11", "changed");
    let warm = workspace.build("//:x");
    assert_ne!(warm, before);
    assert_eq!(warm, cold(&workspace));
    workspace.ok(&["inspect", "--check", "//:x"]);

    // Another place in the same image, another title.
    workspace.write("BUILD.star", "image(name = 'x', layers = [write('/a', 'a'), files(srcs = ['src'])])");
    assert_eq!(workspace.build("//:x"), cold(&workspace));
}

#[test]
fn damage_in_the_store_does_not_spread() {
    for directory in ["chunks", "blobs/sha256"] {
        let (workspace, _) = built();
        damage(&workspace.store().join(directory));
        workspace.write("src/19", "changed");
        assert_eq!(workspace.build("//:x"), cold(&workspace), "{directory}");
        workspace.ok(&["inspect", "--check", "//:x"]);
    }
}
