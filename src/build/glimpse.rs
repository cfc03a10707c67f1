//! What earlier builds asked of a tree, kept so that the next one need not read it.
//!
//! Of a tree below a layer only a few names matter: the directories above what the layer adds, and links among them. What
//! was found there is kept under what makes up the tree, so it never changes and is right for every workspace. What files
//! hold is no part of it, so that an edit in one layer does not make the next one read the tree: who wants the content of a
//! file reads the tree anyway.

use serde::{Deserialize, Serialize};

use crate::action::key::Preimage;
use crate::digest::{CacheKey, DiffId, Digest};
use crate::entry::{Content, Entry, Kind, Origin};
use crate::format::Compression;
use crate::oci::canonical_json;
use crate::path::ImagePath;
use crate::store::{ActionRecord, Store};
use crate::tree::{Changeset, Glimpse, TreeSize};

/// Of the record, and of the rules by which layers are merged ([`crate::tree`]): another version is another name.
const VERSION: u32 = 1;

/// What makes up a tree.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Made {
    /// Of the layers of an image, lowest first.
    Image { version: u32, diff_ids: Vec<DiffId> },
    /// Of the tree of this name, and a layer with these entries.
    Layer { version: u32, below: Digest, entries: CacheKey },
}

impl Made {
    pub(super) fn of_image(diff_ids: Vec<DiffId>) -> Self {
        Made::Image { version: VERSION, diff_ids }
    }

    pub(super) fn of_layer(below: Digest, changes: &Changeset) -> Self {
        let entries: Vec<Entry> = changes.entries(0).into_iter().map(without_content).collect();
        let entries = Preimage::layer(&entries, "tree", Compression::None).key();
        Made::Layer { version: VERSION, below, entries }
    }

    /// The name under which the store keeps what is known of the tree.
    pub(super) fn name(&self) -> Digest {
        Digest::of(&canonical_json(self))
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    entries: usize,
    bytes: usize,
    there: Vec<Entry>,
    absent: Vec<ImagePath>,
}

/// What the store knows of the tree `name`; nothing if it cannot be read.
pub(super) fn find(name: &Digest, store: &Store) -> Option<Glimpse> {
    let record: ActionRecord<(), Record> = store.action(&CacheKey(*name)).ok()??;
    let Record { entries, bytes, there, absent } = record.result;
    Some(Glimpse::new(TreeSize { entries, bytes }, there, absent))
}

/// Keeps what is known of the tree `name` as long as one of `outputs` is needed. A store that cannot be written is no error: the
/// next build reads the tree again.
pub(super) fn keep(name: &Digest, glimpse: &Glimpse, outputs: Vec<Digest>, store: &Store) {
    let TreeSize { entries, bytes } = glimpse.size();
    let absent = glimpse.absent().cloned().collect();
    let result = Record { entries, bytes, there: glimpse.entries().map(without_content).collect(), absent };
    let record = ActionRecord { preimage: (), result, outputs, documents: Vec::new() };
    let _ = store.put_action(&CacheKey(*name), &record);
}

fn without_content(mut entry: Entry) -> Entry {
    if let Kind::File { content } = &mut entry.kind {
        *content = Content { size: 0, digest: Digest::of(b""), origin: Origin::Unknown };
    }
    entry
}
