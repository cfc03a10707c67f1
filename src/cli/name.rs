//! Images of the store by what a person types: a name, a label, a digest, or the beginning of one.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, nearest};
use crate::digest::Digest;
use crate::image::{self, Image, ImageOrIndex};
use crate::oci::{Descriptor, Reference, Repository};
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::store::{Store, StoreError};
use crate::target::Label;

use super::{environment, print};

/// The fewest digits by which an image is found: with fewer, a misspelt name would often be one.
const MIN_DIGITS: usize = 4;

/// What a text stands for in the store.
pub(super) struct Found {
    /// As index.json has it; `None` for an image that was asked for by digest or ID.
    pub(super) name: Option<String>,
    /// Of the manifest or index.
    pub(super) digest: Digest,
}

/// The image that `text` stands for: of these the first that there is,
///
/// 1. a label, `//path:name` or `:name`,
/// 2. a name as index.json has it,
/// 3. the same name in another spelling: `nginx` for `docker.io/library/nginx:latest`; with a digest, an image of that
///    digest in that repository,
/// 4. the digest of a manifest or index, or of a config (Docker's image ID), or at least four digits of one.
///
/// # Errors
/// There is no such image, or several.
pub(super) fn find(text: &str, store: &Store) -> Result<Found, Diagnostic> {
    let references = references(store)?;
    if Label::looks_like(text) {
        let here = environment::workspace().map_or_else(|_| WorkspacePath::root(), |(_, here)| here);
        let label = Label::parse(text, &here).map_err(|error| Diagnostic::spec(error.to_string()))?;
        let name = label.ref_name();
        return listed(&name, &references).ok_or_else(|| unknown(&name, &references));
    }
    if let Some(found) = listed(text, &references) {
        return Ok(found);
    }
    if let Ok(reference) = text.parse::<Reference>()
        && let Some(found) = spelt_otherwise(text, &reference, &references)?
    {
        return Ok(found);
    }
    match digits(text) {
        Some(digits) => by_digits(text, digits, &references, store)?.ok_or_else(|| unknown(text, &references)),
        None => Err(unknown(text, &references)),
    }
}

/// As [`find`], with manifests and configs.
pub(super) fn load(text: &str, store: &Store) -> Result<(Found, ImageOrIndex), Diagnostic> {
    let found = find(text, store)?;
    let loaded = image::load(store, &found.digest)
        .map_err(|error| Diagnostic::failure(format!("`{text}` cannot be read")).caused_by(error))?;
    Ok((found, loaded))
}

/// As [`find`], where one image is needed: of an index the one for `platform`, or the only one.
pub(super) fn load_image(text: &str, platform: Option<&Platform>, store: &Store) -> Result<Image, Diagnostic> {
    let (_, loaded) = load(text, store)?;
    select(text, &loaded, platform).cloned()
}

/// The image in `loaded` for `platform`, or the only one. `text` is what the user called it.
///
/// # Errors
/// There is none for `platform`; there are several and no platform was asked for.
pub(super) fn select<'a>(
    text: &str,
    loaded: &'a ImageOrIndex,
    platform: Option<&Platform>,
) -> Result<&'a Image, Diagnostic> {
    let images = runnable(loaded);
    let matching: Vec<&Image> =
        images.iter().filter(|image| platform.is_none_or(|platform| image.platform() == *platform)).copied().collect();
    let there = || images.iter().map(|image| image.platform().to_string()).collect::<Vec<_>>().join(", ");
    match (matching.as_slice(), platform) {
        ([image], _) => Ok(image),
        ([], Some(platform)) => {
            Err(Diagnostic::spec(format!("`{text}` has no image for {platform}"))
                .help(format!("it is for {}", there())))
        }
        ([], None) => Err(Diagnostic::spec(format!("`{text}` is an index without images"))),
        (_, None) => Err(Diagnostic::spec(format!("`{text}` is an index of several images"))
            .help(format!("choose one with `--platform`: {}", there()))),
        (_, Some(platform)) => Err(Diagnostic::spec(format!("`{text}` has several images for {platform}"))
            .help(format!("name one by its digest: {}", list(matching.iter().map(|image| image.digest()))))),
    }
}

/// The images of an index that run somewhere. BuildKit lists provenance and the like beside them, as manifests for the
/// platform `unknown/unknown`.
pub(super) fn runnable(loaded: &ImageOrIndex) -> Vec<&Image> {
    loaded.images().into_iter().filter(|image| image.config().os != "unknown").collect()
}

/// All names of the store.
pub(super) fn references(store: &Store) -> Result<BTreeMap<String, Descriptor>, Diagnostic> {
    store.references().map_err(unreadable)
}

/// The error that index.json cannot be read.
pub(super) fn unreadable(error: StoreError) -> Diagnostic {
    Diagnostic::failure("the store's index cannot be read").caused_by(error)
}

/// Lets these names lead to `descriptor`. A name that is listed in another spelling keeps that; one without a tag, which may
/// be a label's, counts as the same only if it is what was typed.
pub(super) fn set(names: &[Reference], descriptor: &Descriptor, store: &Store) -> Result<(), Diagnostic> {
    let listed = references(store)?;
    let mut new = Vec::new();
    for name in names {
        let typed = name.to_string();
        let is_same =
            |other: &&String| **other == typed || (is_tagged(other) && canonical(other) == Some(name.canonical()));
        let spelt: Vec<&String> = listed.keys().filter(is_same).collect();
        match spelt.is_empty() {
            true => new.push((name.clone().or_latest().to_string(), descriptor.clone())),
            false => new.extend(spelt.into_iter().map(|name| (name.clone(), descriptor.clone()))),
        }
    }
    store.set_references(&new).map_err(unwritable)?;
    // What has a name now needs no entry without one.
    store.remove_references(&BTreeSet::new(), &BTreeSet::from([descriptor.digest])).map_err(unwritable)
}

/// Names what a command has made, or keeps it without a name, and prints name and digest.
pub(super) fn publish(name: Option<&Reference>, descriptor: &Descriptor, store: &Store) -> Result<(), Diagnostic> {
    let digest = descriptor.digest;
    match name {
        Some(name) => {
            set(std::slice::from_ref(name), descriptor, store)?;
            print(&format!("{name} {digest}\n"))
        }
        None => {
            keep_unnamed(descriptor, store)?;
            print(&format!("{digest}\n"))
        }
    }
}

/// Keeps an image that nobody named.
pub(super) fn keep_unnamed(descriptor: &Descriptor, store: &Store) -> Result<(), Diagnostic> {
    store.keep_unnamed(descriptor).map_err(unwritable)
}

/// The error that index.json cannot be written.
pub(super) fn unwritable(error: StoreError) -> Diagnostic {
    Diagnostic::failure("the store's index cannot be written").caused_by(error)
}

fn listed(name: &str, references: &BTreeMap<String, Descriptor>) -> Option<Found> {
    let descriptor = references.get(name)?;
    Some(Found { name: Some(name.to_owned()), digest: descriptor.digest })
}

fn canonical(name: &str) -> Option<Reference> {
    name.parse::<Reference>().ok().map(|reference| reference.canonical())
}

/// True for a name with a tag or a digest.
fn is_tagged(name: &str) -> bool {
    name.parse::<Reference>().is_ok_and(|reference| reference.tag.is_some() || reference.digest.is_some())
}

/// The listed name that means the same as `reference`; one without a tag, which may be a label's, only if no other does.
fn spelt_otherwise(
    text: &str,
    reference: &Reference,
    references: &BTreeMap<String, Descriptor>,
) -> Result<Option<Found>, Diagnostic> {
    let is_same = |(name, descriptor): &(&String, &Descriptor)| {
        let Some(other) = canonical(name) else { return false };
        let in_repository = || Repository::of(&other) == Repository::of(reference);
        other == reference.canonical()
            || reference.digest.is_some_and(|digest| digest == descriptor.digest && in_repository())
    };
    let mut same: Vec<(&String, &Descriptor)> = references.iter().filter(is_same).collect();
    if same.iter().any(|(name, _)| is_tagged(name)) {
        same.retain(|(name, _)| is_tagged(name));
    }
    let digests: BTreeSet<Digest> = same.iter().map(|(_, descriptor)| descriptor.digest).collect();
    match (same.first(), digests.len()) {
        (Some((name, descriptor)), 1) => Ok(Some(Found { name: Some(String::clone(name)), digest: descriptor.digest })),
        (None, _) => Ok(None),
        (Some(_), _) => {
            let lines = same.iter().map(|(name, descriptor)| format!("`{name}` ({})", short(&descriptor.digest)));
            Err(Diagnostic::spec(format!("`{text}` stands for several images"))
                .help(format!("write one of these in full: {}", list(lines))))
        }
    }
}

/// The hexadecimal digits of a digest or of its beginning.
fn digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    ((MIN_DIGITS..=64).contains(&digits.len()) && digits.bytes().all(is_digit)).then_some(digits)
}

/// The image whose digest or ID begins with `digits`. An image that no name leads to is found by its whole digest alone.
fn by_digits(
    text: &str,
    digits: &str,
    references: &BTreeMap<String, Descriptor>,
    store: &Store,
) -> Result<Option<Found>, Diagnostic> {
    if let Ok(digest) = Digest::from_hex(digits)
        && (references.values().any(|descriptor| descriptor.digest == digest) || image::load(store, &digest).is_ok())
    {
        return Ok(Some(Found { name: None, digest }));
    }
    let unnamed = store.unnamed().map_err(unreadable)?;
    let mut candidates: BTreeMap<Digest, BTreeSet<&str>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let named = references.iter().map(|(name, descriptor)| (name.as_str(), descriptor.digest));
    for (name, root) in named.chain(unnamed.iter().map(|descriptor| ("<none>", descriptor.digest))) {
        if root.hex().starts_with(digits) {
            candidates.entry(root).or_default().insert(name);
        }
        if !seen.insert(root) {
            continue;
        }
        // What cannot be read is called by its own digest only.
        let Ok(loaded) = image::load(store, &root) else { continue };
        for image in loaded.images() {
            if [image.id(), image.digest()].iter().any(|digest| digest.hex().starts_with(digits)) {
                candidates.entry(image.digest()).or_default().insert(name);
            }
        }
    }
    let mut found = candidates.iter();
    match (found.next(), found.next()) {
        (Some((&digest, _)), None) => Ok(Some(Found { name: None, digest })),
        (None, _) => match Digest::from_hex(digits) {
            // There, and unreadable: whoever reads it says why.
            Ok(digest) if store.contains(&digest).is_some() => Ok(Some(Found { name: None, digest })),
            _ => Ok(None),
        },
        _ => {
            let line = |(digest, names): (&Digest, &BTreeSet<&str>)| format!("{digest} ({})", list(names));
            Err(Diagnostic::spec(format!("`{text}` is the beginning of several digests"))
                .help(format!("write more of it: {}", list(candidates.iter().map(line)))))
        }
    }
}

fn unknown(name: &str, references: &BTreeMap<String, Descriptor>) -> Diagnostic {
    let error = Diagnostic::spec(format!("the store has no image `{name}`"));
    error.help(match nearest(name, references.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`ocify images` lists what there is, `ocify build` makes more".into(),
    })
}

/// The first twelve digits, as tools show a digest to people.
pub(super) fn short(digest: &Digest) -> String {
    digest.hex()[..12].to_owned()
}

/// Items with commas between them.
pub(super) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
