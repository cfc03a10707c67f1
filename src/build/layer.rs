//! The bytes of layers into the store.

use crate::archive::write::{
    ChunkRecord, EncodeError, EncodedLayer, Encoding, LayerPlan, PackedChunk, Reuse, StreamStates, encode,
};
use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::entry::{Entry, Kind, Origin};
use crate::format::Compression;
use crate::store::{Draft, FoundChunk, Store, StoredChunk};

use super::execute::unwritable;
use super::filesystem::Layers;
use super::listing::content;

/// Encodes a layer into the store and keeps its directory index, so that nobody has to read it again, and its chunks, so
/// that a layer that shares some need not pack these again. The contents of the entries lie on disk, in archives, or in
/// `layers`.
pub(super) fn write_layer(
    mut entries: Vec<Entry>,
    layers: &Layers,
    compression: Compression,
    store: &Store,
) -> Result<EncodedLayer, Diagnostic> {
    layers.make_readable(store, &mut entries.iter_mut().filter_map(content).collect::<Vec<_>>())?;
    let encoded = write_blob(&entries, compression, store)?;
    for (entry, offset) in entries.iter_mut().zip(&encoded.offsets) {
        if let Kind::File { content } = &mut entry.kind {
            content.origin = Origin::Layer { diff_id: encoded.diff_id, offset: *offset };
        }
    }
    store.put_layer_index(&encoded.diff_id, &entries).map_err(|error| unwritable().caused_by(error))?;
    Ok(encoded)
}

fn write_blob(entries: &[Entry], compression: Compression, store: &Store) -> Result<EncodedLayer, Diagnostic> {
    let unencodable = |error| Diagnostic::failure("the layer cannot be written").caused_by(error);
    let encoding = Encoding { compression };
    let plan = LayerPlan::new(entries, &encoding).map_err(unencodable)?;
    let reuse = reuse(&plan, store);
    let mut draft = new_draft(store)?;
    let mut encoded = plan.write(&reuse, &mut draft);
    if let Err(EncodeError::Copy(_)) = encoded {
        // An older blob is damaged. That is rare enough to begin anew, without what else it has.
        draft = new_draft(store)?;
        encoded = encode(entries, &encoding, &mut draft);
    }
    let encoded = encoded.map_err(unencodable)?;
    draft.commit(&encoded.digest, encoded.size).map_err(|error| unwritable().caused_by(error))?;
    if compression != Compression::None {
        // Without the table, the next build takes longer and gives the same.
        let _ = store.put_chunks(&encoded.digest, &stored_chunks(&encoded));
    }
    Ok(encoded)
}

/// What the store has of the layer's chunks.
fn reuse(plan: &LayerPlan, store: &Store) -> Reuse {
    let identities: Vec<Digest> = plan.identities().collect();
    let found = store.find_chunks(&identities);
    let packed = |FoundChunk { file, offset, len, crc }| PackedChunk { file, offset, len, crc };
    let states = |(uncompressed, written)| StreamStates { uncompressed, written };
    Reuse {
        packed: found.chunks.into_iter().map(|chunk| chunk.map(packed)).collect(),
        head: found.head.into_iter().map(states).collect(),
    }
}

fn stored_chunks(encoded: &EncodedLayer) -> Vec<StoredChunk> {
    let chunk = |chunk: &ChunkRecord| {
        let StreamStates { uncompressed, written } = chunk.states;
        let (len, crc) = (chunk.packed_len, chunk.packed_crc);
        StoredChunk { identity: chunk.identity, len, crc, uncompressed, written }
    };
    encoded.chunks.iter().map(chunk).collect()
}

fn new_draft(store: &Store) -> Result<Draft, Diagnostic> {
    store.draft().map_err(|error| unwritable().caused_by(error))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::entry::{Content, Metadata};
    use crate::path::ImagePath;

    /// About 16 MiB in files of 200 KiB, which compress.
    fn entries() -> Vec<Entry> {
        let block =
            |seed: usize| (0..8 << 10).map(|n: usize| ((n * n / 977) ^ (n * seed)) as u8 & 0x3f).collect::<Vec<_>>();
        (0..80).map(|index| file(index, block(index).repeat(25))).collect()
    }

    fn file(index: usize, content: Vec<u8>) -> Entry {
        let path = ImagePath::parse(format!("{index:03}")).unwrap();
        Entry { path, metadata: Metadata::root_owned(0o644, 0), kind: Kind::File { content: Content::inline(content) } }
    }

    /// A store, `entries` with one file changed, and what a store that is empty makes of them.
    struct Rebuild {
        directory: tempfile::TempDir,
        store: Store,
        before: EncodedLayer,
        entries: Vec<Entry>,
        cold: EncodedLayer,
    }

    impl Rebuild {
        fn new(compression: Compression) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = |name: &str| Store::open(directory.path().join(name)).unwrap();
            let mut entries = entries();
            let before = write_blob(&entries, compression, &store("store")).unwrap();
            assert_eq!(before.copied, 0);
            entries[40] = file(40, b"changed".to_vec());
            let cold = write_blob(&entries, compression, &store("empty")).unwrap();
            Rebuild { store: store("store"), before, entries, cold, directory }
        }

        /// The path of the blob before the change, which can be written.
        fn old_blob(&self) -> PathBuf {
            let path = self.directory.path().join("store/blobs/sha256").join(self.before.digest.hex());
            fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            path
        }

        /// Only the tables of the blob before the change are left.
        fn forget(&self) {
            self.tables().iter().for_each(|table| fs::remove_file(table).unwrap());
            self.store.put_chunks(&self.before.digest, &stored_chunks(&self.before)).unwrap();
        }

        fn tables(&self) -> Vec<PathBuf> {
            let tables = fs::read_dir(self.directory.path().join("store/chunks")).unwrap();
            tables.map(|table| table.unwrap().path()).collect()
        }

        /// Builds again, and gives the number of chunks that were copied. All else is as without a store.
        fn copied(&self, compression: Compression) -> usize {
            let warm = write_blob(&self.entries, compression, &self.store).unwrap();
            let blob = self.store.read_blob(&warm.digest, 1 << 30).unwrap();
            assert_eq!(blob.map(|blob| blob.len() as u64), Some(warm.size), "the blob has its digest");
            let copied = warm.copied;
            assert_eq!(EncodedLayer { copied: 0, ..warm }, self.cold);
            copied
        }
    }

    #[test]
    fn all_chunks_but_the_changed_ones_are_copied() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let rebuild = Rebuild::new(compression);
            let all = rebuild.cold.chunks.len();
            assert!(all >= 6, "{all}");
            let copied = rebuild.copied(compression);
            assert!((all - 3..all).contains(&copied), "{copied} of {all}");
            assert_eq!(rebuild.copied(compression), all, "what was copied is found again");
        }
    }

    #[test]
    fn an_older_blob_serves_its_own_compression_only() {
        let rebuild = Rebuild::new(Compression::Zstd);
        let gzip = write_blob(&rebuild.entries, Compression::Gzip, &rebuild.store).unwrap();
        assert_eq!(gzip.copied, 0);
        let plain = write_blob(&rebuild.entries, Compression::None, &rebuild.store).unwrap();
        assert_eq!((plain.copied, plain.digest), (0, plain.diff_id.0));
        assert!(rebuild.copied(Compression::Zstd) > 0);
    }

    #[test]
    fn a_bit_that_flipped_in_an_older_blob_is_not_copied() {
        let rebuild = Rebuild::new(Compression::Gzip);
        let path = rebuild.old_blob();
        let mut blob = fs::read(&path).unwrap();
        for at in [5, blob.len() - 5] {
            blob[at] ^= 0x10;
            fs::write(&path, &blob).unwrap();
            assert_eq!(rebuild.copied(Compression::Gzip), 0, "byte {at}");
            blob[at] ^= 0x10;
            rebuild.forget();
        }
    }

    #[test]
    fn an_older_blob_that_was_cut_off_or_is_gone_is_not_used() {
        let rebuild = Rebuild::new(Compression::Gzip);
        let path = rebuild.old_blob();
        fs::File::options().write(true).open(&path).unwrap().set_len(rebuild.before.size - 1).unwrap();
        assert_eq!(rebuild.copied(Compression::Gzip), 0);
        rebuild.forget();
        fs::remove_file(&path).unwrap();
        assert_eq!(rebuild.copied(Compression::Gzip), 0);
    }

    #[test]
    fn a_damaged_table_is_a_miss() {
        let rebuild = Rebuild::new(Compression::Gzip);
        let tables = rebuild.tables();
        assert_eq!(tables.len(), 4);
        for table in &tables {
            let mut bytes = fs::read(table).unwrap();
            bytes[100] ^= 1;
            fs::remove_file(table).unwrap();
            fs::write(table, bytes).unwrap();
        }
        assert_eq!(rebuild.copied(Compression::Gzip), 0);
        // And it has been replaced.
        assert!(rebuild.copied(Compression::Gzip) > 0);
    }

    #[test]
    fn a_layer_of_one_chunk_has_no_table() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        write_blob(&entries()[..3], Compression::Gzip, &store).unwrap();
        assert_eq!(fs::read_dir(directory.path().join("store/chunks")).unwrap().count(), 0);
    }
}
