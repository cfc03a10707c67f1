//! The config's history.

use crate::image::{Image, ImageError};
use crate::oci::History;
use crate::target::{HistoryEntry, ImageSpec};

use super::fields::problem;

/// The history of an image on `base`: the base's entries, then one for each added layer, which are `entries` or the
/// spec's own, with a comment of `entries` where the spec has none.
///
/// Entries belong to layers by their order alone. Where the base's history does not account for its layers, no entry
/// that follows could be told from one of theirs, so such an image gets no history; image-spec makes it optional.
pub fn history(
    base: Option<&Image>,
    spec: &ImageSpec,
    entries: Vec<History>,
    created: &str,
) -> Result<Vec<History>, ImageError> {
    let entries = match &spec.history {
        Some(own) if own.iter().filter(|entry| !entry.empty_layer).count() != entries.len() => {
            let (own, layers) = (own.iter().filter(|entry| !entry.empty_layer).count(), entries.len());
            return problem("history", format!("has {own} entries for {layers} layers; it should have one for each"));
        }
        Some(own) => {
            let mut made = entries.into_iter();
            let mut entry = |entry: &HistoryEntry| {
                let made = if entry.empty_layer { None } else { made.next() };
                History {
                    created: None,
                    created_by: entry.created_by.clone(),
                    author: entry.author.clone(),
                    comment: entry.comment.clone().or(made.and_then(|made| made.comment)),
                    empty_layer: entry.empty_layer,
                }
            };
            own.iter().map(&mut entry).collect()
        }
        None => entries,
    };
    let below = base.map_or(&[][..], |base| &base.config().history);
    let accounted = below.iter().filter(|entry| !entry.empty_layer).count();
    if accounted != base.map_or(0, |base| base.layers().len()) {
        return match spec.history {
            Some(_) => problem("history", "the base has none for its own layers, so no entry can be added to it"),
            None => Ok(Vec::new()),
        };
    }
    let timed = |entry: History| History { created: entry.created.or_else(|| Some(created.to_owned())), ..entry };
    Ok(below.iter().cloned().chain(entries.into_iter().map(timed)).collect())
}
