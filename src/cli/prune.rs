//! `ocify prune`: room back from what no image needs.

use std::time::{Duration, SystemTime};

use crate::diagnostic::Diagnostic;
use crate::store::PruneOptions;

use super::size::{Size, human_size};
use super::{environment, print};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Remove what no image of the store needs, and print each file and how much was freed.
#[derive(clap::Args)]
#[command(after_help = "Without options everything goes that no name of `ocify images` leads to: layers of images that
were rebuilt since, fetched files, bases, cached results, what is in quarantine. What a running
build uses stays, and so do the caches of steps, unless they are asked for.

Examples:
  ocify prune --dry-run
  ocify prune --keep-days 7
  ocify prune --keep-size 20GB")]
pub(super) struct Arguments {
    /// Remove the least recently used first, only until the store has at most this size: 10GB, 500MB, 1GiB
    #[arg(long, value_name = "SIZE")]
    keep_size: Option<Size>,
    /// Keep what was used in the last N days
    #[arg(long, value_name = "N")]
    keep_days: Option<u16>,
    /// Also remove the caches of steps (`cache(...)`, `RUN --mount=type=cache`) that none is using
    #[arg(long)]
    caches: bool,
    /// Print what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store_to_look_at()?;
    #[allow(clippy::disallowed_methods, reason = "decides what is old, which no image depends on")]
    let now = SystemTime::now();
    let days = |days: u16| now.checked_sub(DAY * u32::from(days)).unwrap_or(SystemTime::UNIX_EPOCH);
    let options = PruneOptions {
        keep_size: arguments.keep_size.map(|size| size.0),
        keep_since: arguments.keep_days.map(days),
        dry_run: arguments.dry_run,
    };
    let failed = |error| Diagnostic::failure("the store cannot be pruned").caused_by(error);
    let pruned = store.prune(&options).map_err(failed)?;
    let caches = match arguments.caches {
        true => store.remove_step_caches(arguments.dry_run).map_err(failed)?,
        false => Vec::new(),
    };
    let (remove, free, are) = match arguments.dry_run {
        false => ("removed", "freed", "are"),
        true => ("would remove", "would free", "would be"),
    };
    let mut text = String::new();
    for file in &pruned.removed {
        text.push_str(&format!("{remove} {} {}\n", file.path().display(), human_size(file.size)));
    }
    for cache in &caches {
        let (path, size) = (cache.path.display(), human_size(cache.size));
        text.push_str(&format!("{remove} {path} {size}: cache `{}`\n", cache.id));
    }
    let of_caches: u64 = caches.iter().map(|cache| cache.size).sum();
    let freed: u64 = pruned.removed.iter().map(|file| file.size).sum();
    let (freed, left) = (human_size(freed + of_caches), human_size(pruned.left));
    let also = match caches.len() {
        0 => String::new(),
        1 => " and a cache".to_owned(),
        many => format!(" and {many} caches"),
    };
    text.push_str(&format!("{free} {freed} in {} files{also}; {left} {are} left\n", pruned.removed.len()));
    print(&text)
}
