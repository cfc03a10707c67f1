//! `ocify df`: how much room the store takes, and what for.

use serde_json::json;

use crate::diagnostic::Diagnostic;
use crate::store::{Kind, KindUsage, ReferenceUsage, StepCacheUsage, Usage};

use super::size::human_size;
use super::{environment, print};

/// Show how much room the store takes, what for, and how much of it `prune` would free.
#[derive(clap::Args)]
#[command(
    after_help = "SHARED is what other images of the list need too, UNIQUE what would be reclaimable without this one.

Examples:
  ocify df
  ocify df --json"
)]
pub(super) struct Arguments {
    /// Print one JSON object, sizes in bytes
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store_to_look_at()?;
    let usage = store.usage().map_err(|error| Diagnostic::failure("the store cannot be read").caused_by(error))?;
    for unreadable in &usage.unreadable {
        let (name, digest, reason) = (&unreadable.reference, unreadable.digest, &unreadable.reason);
        eprintln!("warning: `{name}` needs {digest}, which {reason}; what can be reclaimed is not known");
    }
    print(&if arguments.json { as_json(&usage) } else { tables(&usage) })
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Blob => "blobs",
        Kind::LayerIndex => "layer indexes",
        Kind::ActionRecord => "action records",
        Kind::ChunkTable => "chunk tables",
        Kind::Sources => "blob sources",
        Kind::Root => "roots of steps",
        Kind::FileDigests => "file digests",
        Kind::Quarantined => "quarantine",
    }
}

fn tables(usage: &Usage) -> String {
    let known = usage.unreadable.is_empty();
    let row = |name: &str, count: usize, size: u64, reclaimable: u64| {
        let share = (reclaimable * 100).checked_div(size).unwrap_or_default();
        let reclaimable = if known { format!("{} ({share}%)", human_size(reclaimable)) } else { "-".to_owned() };
        format!("{name:14}  {count:7}  {:8}  {reclaimable}\n", human_size(size))
    };
    let mut text = format!("{:14}  {:>7}  {:8}  {}\n", "TYPE", "COUNT", "SIZE", "RECLAIMABLE");
    text.extend(usage.kinds.iter().map(|kind| row(title(kind.kind), kind.count, kind.size, kind.reclaimable)));
    let sum = |field: fn(&KindUsage) -> u64| usage.kinds.iter().map(field).sum();
    let count = usage.kinds.iter().map(|kind| kind.count).sum();
    text.push_str(&row("total", count, sum(|kind| kind.size), sum(|kind| kind.reclaimable)));
    if !usage.caches.is_empty() {
        let size = human_size(usage.caches.iter().map(|cache| cache.size).sum());
        text.push_str(&format!("{:14}  {:7}  {size:8}  with `prune --caches`\n", "step caches", usage.caches.len()));
    }
    if usage.references.is_empty() {
        return text;
    }
    let width = usage.references.iter().map(|reference| reference.name.len()).max().unwrap_or(0).max("NAME".len());
    text.push_str(&format!("\n{:width$}  {:12}  {:8}  {:8}  {}\n", "NAME", "DIGEST", "SIZE", "SHARED", "UNIQUE"));
    for ReferenceUsage { name, digest, size, unique } in &usage.references {
        let (digest, shared) = (&digest.hex()[..12], human_size(size - unique));
        let (size, unique) = (human_size(*size), human_size(*unique));
        text.push_str(&format!("{name:width$}  {digest}  {size:8}  {shared:8}  {unique}\n"));
    }
    text
}

fn as_json(usage: &Usage) -> String {
    let known = usage.unreadable.is_empty();
    let kind = |usage: &KindUsage| {
        json!({
            "type": title(usage.kind),
            "count": usage.count,
            "size": usage.size,
            "reclaimable": known.then_some(usage.reclaimable),
        })
    };
    let reference = |usage: &ReferenceUsage| {
        let ReferenceUsage { name, digest, size, unique } = usage;
        json!({ "name": name, "digest": digest, "size": size, "shared": size - unique, "unique": unique })
    };
    let cache = |usage: &StepCacheUsage| json!({ "id": usage.id, "path": usage.path, "size": usage.size });
    let object = json!({
        "types": usage.kinds.iter().map(kind).collect::<Vec<_>>(),
        "caches": usage.caches.iter().map(cache).collect::<Vec<_>>(),
        "images": usage.references.iter().map(reference).collect::<Vec<_>>(),
    });
    format!("{object}\n")
}
